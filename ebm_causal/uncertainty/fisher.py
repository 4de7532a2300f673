r"""Fisher information: the variance of the score, latents integrated out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal, overload

import numpy as np
from torch import Tensor

from ebm_causal.calculus import inverse_or_none, spectrum
from ebm_causal.energies import Energy, find_parameters, named_parameters, normalized, undirected_of
from ebm_causal.errors import ArgumentError
from ebm_causal.gibbs import at_each, latents_left, single_or_schedule
from ebm_causal.inference import ParameterVector
from ebm_causal.shapes import Betas, as_names
from ebm_causal.uncertainty.informations import (
    Question,
    expected_information,
    observed_information,
    simulated_information,
)
from ebm_causal.uncertainty.matrices import Direction, FisherInformation, FisherInformations

RELATIVE = 1e-9


@overload
def fisher_information(
    energy: Energy,
    wrt: str | Iterable[str] = ...,
    over: str | Iterable[str] = ...,
    given: Mapping[str, object] | None = ...,
    kind: Literal["expected", "observed"] = ...,
    *,
    data: Mapping[str, object] | None = ...,
    beta: float = ...,
    draws: int | None = ...,
    rows: int | None = ...,
    seed: int = ...,
) -> FisherInformation: ...


@overload
def fisher_information(
    energy: Energy,
    wrt: str | Iterable[str] = ...,
    over: str | Iterable[str] = ...,
    given: Mapping[str, object] | None = ...,
    kind: Literal["expected", "observed"] = ...,
    *,
    data: Mapping[str, object] | None = ...,
    beta: Sequence[float] | np.ndarray | Tensor,
    draws: int | None = ...,
    rows: int | None = ...,
    seed: int = ...,
) -> FisherInformations: ...


def fisher_information(
    energy: Energy,
    wrt: str | Iterable[str] = "parameters",
    over: str | Iterable[str] = "y",
    given: Mapping[str, object] | None = None,
    kind: Literal["expected", "observed"] = "expected",
    *,
    data: Mapping[str, object] | None = None,
    beta: Betas = 1.0,
    draws: int | None = None,
    rows: int | None = None,
    seed: int = 0,
) -> FisherInformation | FisherInformations:
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
        beta: The inverse temperature; a schedule of them asks at each, with the same seed.
        draws: Simulated data sets for ``expected``; None for the exact one.
        rows: How many rows alike there are, where ``given`` holds one row or none.
        seed: For ``draws``.

    Returns:
        The information; for a schedule all of them, ``matrix`` being ``[betas, parameters, parameters]``.

    Raises:
        ArgumentError: If a name is not a parameter, the kind is unknown, data are missing, or beta is neither
            positive nor a schedule.
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
    if kind == "observed" and not data:
        raise ArgumentError("the observed information needs data={...} with the values of over.")
    betas = single_or_schedule(beta)
    found = []
    for each in at_each(betas):
        question = replace(_question(energy, wrt, (as_names(over), dict(given or {})), each), rows=rows)
        if kind == "observed":
            parts = observed_information(question, data or {})
        elif draws is not None:
            parts = simulated_information(question, draws, seed)
        else:
            parts = expected_information(question)
        found.append(_information(question, kind, *parts))
    return FisherInformations(beta=betas, each=tuple(found)) if isinstance(betas, Tensor) else found[0]


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
        energy=whole, over=over, latents=latents_left(whole, over, given), given=given, beta=beta,
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
