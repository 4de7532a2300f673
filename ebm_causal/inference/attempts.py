"""What one method gives for some rows, and how parts of the rows are put together."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from ebm_causal.gibbs import Restriction
from ebm_causal.sampling import REASONS, RowChains

PER_ROW = (
    "r_hat",
    "r_hat_modes",
    "ess_bulk",
    "ess_tail",
    "pareto_k",
    "divergences",
    "non_finite",
    "step_size",
)
PER_CHAIN = ("acceptance", "moved")
PER_DRAW = ("lp", "acceptance_rate", "diverging")
ENOUGH = 400.0  # effective draws of a row, of all chains together
SHARE = 0.5  # of the draws, that is enough where few are asked for


class Counts(NamedTuple):
    """How many draws are wanted.

    Attributes:
        chains: How many chains.
        draws: Of each.
    """

    chains: int
    draws: int

    @property
    def total(self) -> int:
        """Of all chains together."""
        return self.chains * self.draws

    @property
    def enough(self) -> float:
        """The effective draws at which a row is done."""
        return min(ENOUGH, SHARE * self.total)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Draws of rows by one method, or by several after rows have been put together.

    Attributes:
        points: Within the supports, ``[chains, draws, rows, dim]``.
        methods: Which method served each row.
        reasons: Why a row is not to be trusted; empty where it is.
        numbers: ``[rows]`` by name, ``[chains, rows]`` for acceptance and moves; NaN where there are none.
        statistics: ``[chains, draws, rows]`` by name, of chains; empty where nothing is a chain.
    """

    points: Tensor
    methods: tuple[str, ...]
    reasons: tuple[str, ...]
    numbers: Mapping[str, Tensor]
    statistics: Mapping[str, Tensor]

    def failed_but(self, hopeless: str) -> Tensor:
        """The rows that are not to be trusted, but for those that no other method would mend."""
        bad = [row for row, reason in enumerate(self.reasons) if reason not in ("", hopeless)]
        return torch.tensor(bad, dtype=torch.long)

    def put(self, rows: Tensor, part: "Attempt") -> "Attempt":
        """This with some rows replaced."""
        methods, reasons = list(self.methods), list(self.reasons)
        for place, row in enumerate(rows.tolist()):
            methods[row], reasons[row] = part.methods[place], part.reasons[place]
        numbers = {name: self.numbers[name].index_copy(-1, rows, part.numbers[name]) for name in self.numbers}
        statistics = self.statistics
        if part.statistics:
            blank = {name: torch.full_like(value, math.nan) for name, value in part.statistics.items()}
            wide = {
                name: self.statistics.get(name, value[..., :1].expand(*value.shape[:2], len(methods)))
                for name, value in blank.items()
            }
            statistics = {
                name: value.index_copy(-1, rows, part.statistics[name]) for name, value in wide.items()
            }
        return replace(
            self, points=self.points.index_copy(2, rows, part.points), methods=tuple(methods),
            reasons=tuple(reasons), numbers=numbers, statistics=statistics,
        )  # fmt: skip


def independent(
    method: str, points: Tensor, counts: Counts, reasons: list[str], **numbers: Tensor
) -> Attempt:
    """An attempt by draws ``[draws, rows, dim]`` that are independent, in any order."""
    rows = points.shape[1]
    whole = points.new_full((rows,), float(counts.total))
    known = {name: points.new_full((rows,), math.nan) for name in PER_ROW}
    known |= {name: points.new_full((counts.chains, rows), math.nan) for name in PER_CHAIN}
    known |= {"ess_bulk": whole, "ess_tail": whole, **numbers}
    return Attempt(
        points=points.reshape(counts.chains, counts.draws, rows, -1), methods=(method,) * rows,
        reasons=tuple(reasons), numbers=known, statistics={},
    )  # fmt: skip


def of_chains(method: str, chains: RowChains, block: Restriction) -> Attempt:
    """An attempt by chains in unconstrained coordinates."""
    inside = chains.draws
    if not block.finite:
        with torch.no_grad():
            inside = block.to_support(chains.draws.flatten(0, 1))[0].reshape(chains.draws.shape)
    like = chains.r_hat
    numbers = {name: getattr(chains, name).to(like) for name in (*PER_ROW, *PER_CHAIN) if name != "pareto_k"}
    statistics = dict(
        zip(PER_DRAW, (-chains.energies, chains.acceptances, chains.divergent.to(like)), strict=True)
    )
    return Attempt(
        points=inside, methods=(method,) * block.rows,
        reasons=tuple(REASONS[place] for place in chains.reason.tolist()),
        numbers={**numbers, "pareto_k": torch.full_like(like, math.nan)}, statistics=statistics,
    )  # fmt: skip


def joined(parts: list[Attempt]) -> Attempt:
    """Attempts at blocks of rows, one after another, as one."""
    first = parts[0]
    return Attempt(
        points=torch.cat([part.points for part in parts], 2),
        methods=tuple(name for part in parts for name in part.methods),
        reasons=tuple(name for part in parts for name in part.reasons),
        numbers={name: torch.cat([part.numbers[name] for part in parts], -1) for name in first.numbers},
        statistics={
            name: torch.cat([part.statistics[name] for part in parts], -1) for name in first.statistics
        },
    )
