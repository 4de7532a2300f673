"""What propagation gives: a mean, a covariance, and whose variance it is."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

import pandas as pd
import torch
from torch import Tensor

from ebm_causal.errors import ArgumentError


@dataclass(frozen=True, slots=True, kw_only=True)
class Propagation:
    """A propagated mean and covariance.

    Attributes:
        mean: Of the output, ``[*batch, m]``: the function at the mean, with the terms that the method adds.
        covariance: Of the output, ``[*batch, m, m]``.
        shares: Of each output's variance by input, ``[*batch, m, n]``; each row sums to one.
        share_kind: ``covariance`` (may be negative) or ``shapley`` (never negative).
        method: ``first_order``, ``second_order``, ``third_order``, ``sigma_points`` or ``monte_carlo``.
        names: Of the inputs.
        outputs: Names of the outputs.
        units: By name of input or output; what has none is left out.
        standard_error: Of the mean by Monte Carlo, ``[*batch, m]``; None for methods without draws.
        covariance_standard_error: Of the covariance by Monte Carlo, ``[*batch, m, m]``.
        linear_share: The share of each variance that a linear function of the inputs explains, ``[*batch, m]``:
            what ``shares`` divide where the method knows no derivatives. None for the others.
        noise: Of a minimum, the covariance that it has of itself, given the inputs; not part of ``covariance``.
        check: The same by Monte Carlo, where a cross-check was asked for.
        warnings: What cannot be trusted, in words; empty where all can.
    """

    mean: Tensor
    covariance: Tensor
    shares: Tensor
    share_kind: str
    method: str
    names: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)
    standard_error: Tensor | None = None
    covariance_standard_error: Tensor | None = None
    linear_share: Tensor | None = None
    noise: Tensor | None = None
    check: Optional["Propagation"] = None
    warnings: tuple[str, ...] = ()

    @property
    def standard_deviation(self) -> Tensor:
        """Of each output, ``[*batch, m]``."""
        return self.covariance.diagonal(dim1=-2, dim2=-1).sqrt()

    @property
    def correlation(self) -> Tensor:
        """Of the outputs with each other, ``[*batch, m, m]``."""
        sd = self.standard_deviation
        return self.covariance / sd[..., :, None] / sd[..., None, :]

    def summary(self) -> pd.DataFrame:
        """A row per output: mean, standard deviation, its unit where known, and the share of each input."""
        columns = {"mean": self.mean, "standard_deviation": self.standard_deviation}
        if self.standard_error is not None:
            columns["standard_error"] = self.standard_error
        flat = {name: _numpy(part.reshape(-1)) for name, part in columns.items()}
        frame = pd.DataFrame(flat, index=self._labels())
        if self.units:
            frame.insert(2, "unit", list(itertools.islice(itertools.cycle(self._output_units()), len(frame))))
        shares = _numpy(self.shares.reshape(len(frame), -1))
        names = self.names or tuple(map(str, range(shares.shape[1])))
        return frame.join(
            pd.DataFrame(shares, columns=[f"share[{name}]" for name in names], index=frame.index)
        )

    def plot(self, ax: Any = None, *, output: int | str = 0, row: int = 0) -> Any:
        """How an output's variance adds up from input to input, as a waterfall.

        Args:
            ax: Axes to draw on.
            output: Which output, by number or name.
            row: Which row of a batch.

        Raises:
            ArgumentError: If there is no such output or row.
        """
        from ebm_causal.figures import waterfall_picture

        number = self._output(output)
        shares = self.shares.reshape(-1, *self.shares.shape[-2:])
        variances = self.covariance.diagonal(dim1=-2, dim2=-1).reshape(len(shares), -1)
        if not 0 <= row < len(shares):
            raise ArgumentError(f"row must be one of 0 to {len(shares) - 1}; got {row}.")
        parts = (shares[row, number] * variances[row, number]).tolist()
        names = self.names or tuple(f"input {i}" for i in range(len(parts)))
        unit = self._output_units()[number]
        label = f"variance ({unit}²)" if unit else "variance"
        return waterfall_picture(names, parts, ax=ax, label=label)

    def __repr__(self) -> str:
        mean, sd = self.mean.reshape(-1)[:3].tolist(), self.standard_deviation.reshape(-1)[:3].tolist()
        shown = ", ".join(f"{m:.6g} +- {s:.3g}" for m, s in zip(mean, sd, strict=True))
        more = ", ..." if self.mean.numel() > 3 else ""
        told = f", warnings={len(self.warnings)}" if self.warnings else ""
        return f"Propagation({shown}{more}, method={self.method!r}, shares by {self.share_kind}{told})"

    def _labels(self) -> list[str] | None:
        if not self.outputs:
            return None
        batch = self.mean.shape[:-1]
        if not batch:
            return list(self.outputs)
        rows = itertools.product(*(range(size) for size in batch))
        return [f"{name}[{', '.join(map(str, row))}]" for row in rows for name in self.outputs]

    def _output_units(self) -> list[str]:
        names = self.outputs or ("",) * self.mean.shape[-1]
        return [self.units.get(name, "") for name in names]

    def _output(self, output: int | str) -> int:
        known: list[str | int] = [*self.outputs] or [*range(self.mean.shape[-1])]
        number = known.index(output) if output in known else output
        if not isinstance(number, int) or not 0 <= number < self.mean.shape[-1]:
            raise ArgumentError(f"output must be one of {known}; got {output!r}.")
        return number


def _numpy(part: Tensor) -> Any:
    return part.detach().to(torch.float64).cpu().numpy()
