"""Draws of latents given rows, with their diagnostics, for ArviZ and for files."""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from ebm_causal.energies import Energy
from ebm_causal.errors import ArgumentError
from ebm_causal.gibbs import Restriction, check_energy, level_of_caller, restrict_at, single_or_schedule
from ebm_causal.inference.arviz import inference_data
from ebm_causal.inference.attempts import Attempt, Counts
from ebm_causal.inference.choosing import Method, Progress, draw
from ebm_causal.inference.diagnostics import Diagnostics, diagnose
from ebm_causal.inference.files import read_posterior, write_posterior
from ebm_causal.shapes import Betas, check_callable, check_seed
from ebm_causal.threads import one_thread


@dataclass(frozen=True, slots=True, kw_only=True)
class Posterior:
    """Draws of variables, row by row.

    Attributes:
        values: ``[chains, draws, rows, dim]`` by name; ``[betas, chains, draws, rows, dim]`` for a schedule.
        diagnostics: What can be trusted.
        beta: The inverse temperature, or the schedule, ``[betas]``.
        given: Rows of the other variables, ``[rows, dim]`` by name; one row where all share it.
        statistics: Of each draw of a chain, in the shape of a coordinate: ``lp`` (log density in unconstrained
            coordinates, up to a constant), ``acceptance_rate``, ``diverging``; NaN in rows without a chain,
            empty where there is none.
    """

    values: Mapping[str, Tensor]
    diagnostics: Diagnostics
    beta: float | Tensor
    given: Mapping[str, Tensor]
    statistics: Mapping[str, Tensor]

    def to_arviz(self) -> Any:
        """The draws as ArviZ's data: posterior, sample_stats, observed_data.

        Dimensions are chain, draw, row and ``<name>_dim``; a schedule is the dimension ``beta``, after chain
        and draw. There is no log likelihood of rows: with z integrated out it does not vary over draws of z,
        and given z it would make each row its own parameter.
        """
        schedule = isinstance(self.beta, Tensor)
        over = ["beta", "row"] if schedule else ["row"]
        groups: dict[str, dict[str, Any]] = {"posterior": {}, "sample_stats": {}, "observed_data": {}}
        dims: dict[str, list[str]] = {}
        for name, value in self.values.items():
            groups["posterior"][name] = _drawn_first(value, schedule)
            dims[name] = over + _own_dims(name, value.ndim - 4 if schedule else value.ndim - 3)
        for name, value in self.statistics.items():
            groups["sample_stats"][name] = _drawn_first(value, schedule)
            dims[name] = over
        for name, value in self.given.items():
            groups["observed_data"][name] = value.detach().cpu().numpy()
            dims[name] = [
                "row" if len(value) == self.diagnostics.rows else "all_rows",
                *_own_dims(name, value.ndim - 1),
            ]
        coords = {"beta": self.beta.cpu().numpy()} if isinstance(self.beta, Tensor) else {}
        return inference_data(groups, dims, coords)

    def summary(self) -> pd.DataFrame:
        """Mean and standard deviation of each coordinate in each row; rows are called ``name[row, coordinate]``.

        For a schedule they come once for each beta, which the first column tells.
        """
        if not isinstance(self.beta, Tensor):
            return pd.concat([_moments(name, value) for name, value in self.values.items()])
        frames = []
        for place, beta in enumerate(self.beta.tolist()):
            frames += [_moments(name, value[place], beta) for name, value in self.values.items()]
        return pd.concat(frames)

    def save(self, path: str | Path) -> None:
        """Write all of it to a netCDF file, which ArviZ reads too.

        Raises:
            ArgumentError: If no library for netCDF is installed, or the folder does not exist.
        """
        write_posterior(self, self.to_arviz(), Path(path))

    @classmethod
    def load(cls, path: str | Path) -> "Posterior":
        """Read what ``save`` has written.

        Raises:
            ArgumentError: If the file is not there, is damaged, or holds no posterior of this package.
        """
        return cls(**read_posterior(Path(path)))

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name}: {list(value.shape)}" for name, value in self.values.items())
        return f"Posterior({shapes}, method={self.diagnostics.method!r}, ok={self.diagnostics.ok})"


def _drawn_first(value: Tensor, schedule: bool) -> Any:
    """An array with chain and draw in front."""
    return (value.movedim(0, 2) if schedule else value).detach().cpu().numpy()


def _own_dims(name: str, count: int) -> list[str]:
    return [f"{name}_dim"] if count == 1 else [f"{name}_dim_{place}" for place in range(count)]


def _moments(name: str, value: Tensor, beta: float | None = None) -> pd.DataFrame:
    """Mean and standard deviation of draws ``[chains, draws, rows, *shape]`` of one variable."""
    flat = value.flatten(0, 1).flatten(2)
    labels = [f"{name}[{i}, {j}]" for i in range(flat.shape[1]) for j in range(flat.shape[2])]
    columns = {"mean": flat.mean(0).flatten().cpu().numpy(), "sd": flat.std(0).flatten().cpu().numpy()}
    return pd.DataFrame(columns if beta is None else {"beta": beta, **columns}, index=labels)


@one_thread()
def sample(
    energy: Energy,
    over: str | Iterable[str] = "z",
    given: Mapping[str, object] | pd.DataFrame | None = None,
    beta: Betas = 1.0,
    *,
    draws: int = 1000,
    chains: int = 4,
    method: Method = "auto",
    seed: int = 0,
    progress: Progress | None = None,
) -> Posterior:
    r"""Draw from :math:`p(z \mid \text{given}) \propto e^{-\beta E}`, every row at once.

    Each row goes from one method to the next until it passes that method's own check: stratified draws from a
    lattice (one to three real dimensions) or from all states (finite variables); importance sampling around
    the modes; Hamiltonian chains; replica exchange. Rows that none serves are warned about, once. What no
    start finds, no method sees: a mode far from the prior and narrow can be missed by all.

    - ``lattice``, ``enumeration``, ``importance``: independent draws. A lattice also serves up to 256 states of
      finite variables beside up to three real dimensions.
    - ``hmc``, ``mala``: chains of all rows in one batch, with step size and metric per row. A row is done when
      it has 400 effective draws (half of the draws asked for, where those are fewer) and its chains agree;
      until then it runs on, for up to fifteen times the draws, of which as many as asked for are kept.
    - ``langevin``: without Metropolis decisions, and therefore biased; only on request.
    - ``tempering``: chains on ladders of beta from a normal that covers the modes, for rows of several modes.
    - ``gibbs``: sweeps over finite variables with too many states to list.

    Args:
        energy: The energy, taken as the raw sum of its factors.
        over: What to draw; every other variable is given.
        given: Rows of the others, by name or as a frame; None means one row.
        beta: The inverse temperature; a schedule of them draws at each.
        draws: Draws per chain.
        chains: How many chains; independent draws are dealt to as many.
        method: One of those above, or ``auto``.
        seed: The same seed gives the same draws.
        progress: Told the share done and what is being done: the method, and how many rows it serves.

    Returns:
        The posterior.

    Raises:
        EnergyError: If names or shapes do not fit, or no method serves the variables.
        ArgumentError: If beta or the counts are not positive, or the method does not serve.
        EnergyError: If a row's energy changes with the other rows.
        ConvergenceError: If a row has no finite energy where it was evaluated.

    Example:
        >>> import ebm_causal as ec, torch
        >>> energy = ec.Mechanism("y", "z", lambda z: z, ec.SquaredError()) + ec.GaussianRegularizer(1)
        >>> ec.sample(energy, over="z", given={"y": [[2.0]]}, draws=500).summary().round(1).loc[
        ...     "z[0, 0]", "mean"
        ... ]
        np.float64(1.0)

    References:
        Neal (2011), MCMC using Hamiltonian dynamics; Vehtari et al. (2021), Rank-normalization, folding, and
        localization; Syed et al. (2022), Non-reversible parallel tempering.
    """
    counts = _checked_counts(draws, chains)
    if progress is not None:
        check_callable("progress", progress)
    restriction, shape = restrict_at(energy, over, given, beta)
    check_energy(restriction, walls=True)
    generator = torch.Generator().manual_seed(check_seed(seed))
    found, before = draw(restriction, method, counts, generator, progress)
    diagnostics = diagnose(found, before, restriction.over, shape)
    for note in diagnostics.warnings:
        warnings.warn(note, stacklevel=level_of_caller())
    return Posterior(
        values=_by_name(found, restriction, shape), diagnostics=diagnostics, beta=single_or_schedule(beta),
        given=_single(restriction.given, shape),
        statistics={name: _by_beta(value, shape) for name, value in found.statistics.items()},
    )  # fmt: skip


def _checked_counts(draws: int, chains: int) -> Counts:
    for name, value in (("draws", draws), ("chains", chains)):
        if isinstance(value, bool) or not isinstance(value, int):
            raise ArgumentError(f"{name} must be a whole number; got {value!r}.")
    if draws < 1 or chains < 1:
        raise ArgumentError(f"draws and chains must be positive; got {draws} and {chains}.")
    return Counts(chains=chains, draws=draws)


def _by_name(found: Attempt, restriction: Restriction, shape: tuple[int, int] | None) -> dict[str, Tensor]:
    flat = restriction.split(found.points.flatten(0, 1))
    counts = found.points.shape[:2]
    return {name: _by_beta(value.unflatten(0, counts), shape) for name, value in flat.items()}


def _by_beta(value: Tensor, shape: tuple[int, int] | None) -> Tensor:
    """``[chains, draws, rows, ...]``, for a schedule with the betas in front."""
    return value.unflatten(2, shape).movedim(2, 0) if shape else value


def _single(given: Mapping[str, Tensor], shape: tuple[int, int] | None) -> dict[str, Tensor]:
    """What is given, once rather than at each beta."""
    return {
        name: value[: shape[1]].detach() if shape and len(value) > 1 else value.detach()
        for name, value in given.items()
    }
