r"""Fisher information: the variance of the score, latents integrated out."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd
from torch import Tensor

from ebm_causal.calculus import inverse_or_none, spectrum
from ebm_causal.energies import Energy, find_parameters, named_parameters, normalized, undirected_of
from ebm_causal.errors import ArgumentError
from ebm_causal.gibbs import latents_left
from ebm_causal.inference import ParameterVector
from ebm_causal.shapes import as_names
from ebm_causal.uncertainty.informations import (
    Question,
    expected_information,
    observed_information,
    simulated_information,
)

RELATIVE = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Direction:
    """A direction of the parameters about which the data say nothing.

    Attributes:
        eigenvalue: Of the information, in this direction.
        weights: The direction's coordinates by parameter, of unit length.
    """

    eigenvalue: float
    weights: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class FisherInformation:
    """An information matrix and what it says.

    Attributes:
        matrix: The information, summed over rows.
        names: One per coordinate.
        kind: ``expected`` or ``observed``.
        eigenvalues: In rising order.
        rank: How many eigenvalues exceed 1e-9 of the largest.
        unidentified: The directions of the others, unclipped.
        cramer_rao: The inverse, a bound on the covariance of unbiased estimators; None where singular.
        complete: The information had the latents been seen; None where not computed.
        missing: What is lost by not seeing them: complete minus the information.
        standard_error: Of the matrix's entries, where it was simulated; None where exact.
    """

    matrix: Tensor
    names: tuple[str, ...]
    kind: str
    eigenvalues: Tensor
    rank: int
    unidentified: tuple[Direction, ...]
    cramer_rao: Tensor | None
    complete: Tensor | None
    missing: Tensor | None
    standard_error: Tensor | None = None

    @property
    def smallest_eigenvalue(self) -> float:
        """The smallest eigenvalue; negative where an observed information is indefinite."""
        return float(self.eigenvalues[0])

    def summary(self) -> pd.DataFrame:
        """A row per parameter: its information alone, and its standard error where there is a bound."""
        frame = pd.DataFrame({"information": self.matrix.diagonal().numpy()}, index=list(self.names))
        if self.cramer_rao is not None:
            frame["standard_error"] = self.cramer_rao.diagonal().sqrt().numpy()
        return frame

    def __repr__(self) -> str:
        size = len(self.names)
        least = f"smallest eigenvalue {self.smallest_eigenvalue:.3g}"
        return f"FisherInformation({self.kind}, rank {self.rank} of {size}, {least})"


def fisher_information(
    energy: Energy,
    wrt: str | Iterable[str] = "parameters",
    over: str | Iterable[str] = "y",
    given: Mapping[str, object] | None = None,
    kind: Literal["expected", "observed"] = "expected",
    *,
    data: Mapping[str, object] | None = None,
    beta: float = 1.0,
    draws: int | None = None,
    rows: int | None = None,
    seed: int = 0,
) -> FisherInformation:
    r"""The Fisher information of parameters in the density of ``over`` given ``given``.

    .. math:: I = \mathrm{Cov}_p(\nabla_\theta \log p) = \beta^2\,\mathrm{Cov}_p(\nabla_\theta F_\beta)

    What is in neither ``over`` nor ``given`` is latent and integrated out: the score is the posterior mean
    of the complete score (Fisher's identity), and the information is complete minus missing (Louis).
    Mechanisms are locally normalized; an energy with plain factors is normalized as a whole. ``expected``
    is exact on a lattice or by enumeration; with ``draws`` it is simulated, which serves any number of
    rows and variables (where what is ``given`` has causes among the latents, these are drawn given it).
    ``observed`` is minus the Hessian of the log density at the data, and may be indefinite. Summed over rows.

    Args:
        energy: The energy at the parameters in question.
        wrt: ``parameters``, or names of some; ``beta`` too, for an energy of plain factors.
        over: The variables of the density.
        given: What it is conditional on.
        kind: ``expected`` or ``observed``.
        data: For ``observed``: the values of ``over``.
        beta: The inverse temperature.
        draws: Simulated data sets for ``expected``; None for the exact one.
        rows: How many rows alike there are, where ``given`` holds one row or none.
        seed: For ``draws``.

    Returns:
        The information.

    Raises:
        ArgumentError: If a name is not a parameter, the kind is unknown, or data are missing.
        EnergyError: If the energy does not use a parameter, or no exact method serves (then give ``draws``).
        ConvergenceError: If the causes of what is given cannot be drawn.

    Example:
        >>> import ebm_causal as ec, torch
        >>> weight = torch.ones(1, 1, dtype=torch.float64)
        >>> energy = ec.LinearGaussianEnergy(0 * weight, weight)
        >>> ec.fisher_information(energy, wrt="input_weight", given={"x": [[3.0]]}).matrix.round(decimals=6)
        tensor([[9.]], dtype=torch.float64)

    References:
        Louis (1982), Finding the observed information matrix when using the EM algorithm.
    """
    if kind not in ("expected", "observed"):
        raise ArgumentError(f"kind must be 'expected' or 'observed'; got {kind!r}.")
    question = _question(energy, wrt, (as_names(over), dict(given or {})), beta)
    question = replace(question, rows=rows)
    if kind == "observed":
        if not data:
            raise ArgumentError("the observed information needs data={...} with the values of over.")
        return _information(question, kind, *observed_information(question, data))
    if draws is not None:
        return _information(question, kind, *simulated_information(question, draws, seed))
    return _information(question, kind, *expected_information(question))


def _question(
    energy: Energy, wrt: str | Iterable[str], sides: tuple[tuple[str, ...], dict[str, object]], beta: float
) -> Question:
    over, given = sides
    whole = energy if undirected_of(energy) else normalized(energy)
    names = tuple(named_parameters(energy)) if wrt == "parameters" else as_names(wrt)
    warm = "beta" in names
    wanted = find_parameters(energy, [name for name in names if name != "beta"])
    if warm and not undirected_of(energy):
        raise ArgumentError(
            "beta is a parameter of energies of plain factors; mechanisms are normalized at their own."
        )
    vector = ParameterVector(energy, [name for name in named_parameters(energy) if name not in wanted])
    if not len(vector) and not warm:
        raise ArgumentError("the energy has no parameters: its callables are not nn.Modules.")
    return Question(
        energy=whole, over=over, latents=latents_left(whole, over, given), given=given, beta=float(beta),
        parameters=vector, warm=warm, global_normalizer=bool(undirected_of(energy)),
    )  # fmt: skip


def _information(
    question: Question, kind: str, matrix: Tensor, complete: Tensor | None, standard_error: Tensor | None
) -> FisherInformation:
    values, vectors, rank = spectrum(matrix, RELATIVE)
    names = question.labels
    flat = [i for i, value in enumerate(values) if value <= RELATIVE * float(values.abs().max())]
    directions = tuple(
        Direction(eigenvalue=float(values[i]), weights=dict(zip(names, vectors[:, i].tolist(), strict=True)))
        for i in flat
    )
    return FisherInformation(
        matrix=matrix, names=names, kind=kind, eigenvalues=values, rank=rank, unidentified=directions,
        cramer_rao=inverse_or_none(matrix, RELATIVE), complete=complete,
        missing=None if complete is None else complete - matrix, standard_error=standard_error,
    )  # fmt: skip
