r"""Fisher information: the variance of the score, latents integrated out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal, get_args, overload

import numpy as np
import torch
from torch import Tensor
from torch.distributions import constraints

from ebm_causal.calculus import inverse_or_none, spectrum
from ebm_causal.energies import (
    Energy,
    as_energy,
    find_parameters,
    named_parameters,
    normalized,
    undirected_of,
)
from ebm_causal.errors import ArgumentError
from ebm_causal.gibbs import at_each, latents_left, single_or_schedule
from ebm_causal.inference import ParameterVector
from ebm_causal.shapes import Betas, as_names, check_count, check_seed
from ebm_causal.uncertainty.at_data import information_at_data
from ebm_causal.uncertainty.gauss_newton import gauss_newton_information
from ebm_causal.uncertainty.informations import Drawing, Parts, Question, expected_information
from ebm_causal.uncertainty.matrices import Direction, FisherInformation, FisherInformations
from ebm_causal.uncertainty.settings import Progress, check_progress
from ebm_causal.uncertainty.simulations import simulated_information
from ebm_causal.uncertainty.values import in_one_precision, values_by_name

RELATIVE = 1e-9
Kind = Literal["expected", "observed", "opg", "ggn"]


@overload
def fisher_information(
    energy: Energy,
    wrt: str | Iterable[str] = ...,
    over: str | Iterable[str] = ...,
    given: Mapping[str, object] | None = ...,
    kind: Kind = ...,
    *,
    data: Mapping[str, object] | None = ...,
    beta: float = ...,
    draws: int | None = ...,
    rows: int | None = ...,
    by_row: bool = ...,
    seed: int = ...,
    progress: Progress | None = ...,
) -> FisherInformation: ...


@overload
def fisher_information(
    energy: Energy,
    wrt: str | Iterable[str] = ...,
    over: str | Iterable[str] = ...,
    given: Mapping[str, object] | None = ...,
    kind: Kind = ...,
    *,
    data: Mapping[str, object] | None = ...,
    beta: Sequence[float] | np.ndarray | Tensor,
    draws: int | None = ...,
    rows: int | None = ...,
    by_row: bool = ...,
    seed: int = ...,
    progress: Progress | None = ...,
) -> FisherInformations: ...


def fisher_information(
    energy: Energy,
    wrt: str | Iterable[str] = "parameters",
    over: str | Iterable[str] = "y",
    given: Mapping[str, object] | None = None,
    kind: Kind = "expected",
    *,
    data: Mapping[str, object] | None = None,
    beta: Betas = 1.0,
    draws: int | None = None,
    rows: int | None = None,
    by_row: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> FisherInformation | FisherInformations:
    r"""The Fisher information of parameters or variables in the density of ``over`` given ``given``.

    .. math:: I = \mathrm{Cov}_p(\nabla_\theta \log p) = \beta^2\,\mathrm{Cov}_p(\nabla_\theta F_\beta)

    What is in neither ``over`` nor ``given`` is latent and integrated out: the score is the posterior mean of the
    complete score (Fisher's identity), and the information is complete minus missing (Louis). Mechanisms are locally
    normalized; an energy with plain factors is normalized as a whole, its log Z by the centered covariance.

    Four kinds, which agree on average at the truth and not otherwise. ``expected``: over the model, never negative;
    exact on a lattice or by enumeration, or, with ``draws``, simulated, which serves any number of rows and variables
    (where what is ``given`` has causes among the latents, these are drawn given it). ``observed``: minus the Hessian
    of the log density at the data, which may be indefinite. ``opg``: outer products of the scores at the data. ``ggn``:
    through the decoders' Jacobians and the costs' curvature. Summed over rows.

    Args:
        energy: The energy at the parameters in question.
        wrt: ``parameters``, or names of some; ``beta`` too; or variables: one of ``over`` (information of location),
            or one that is ``given`` (a latent or an input held at a value).
        over: The variables of the density.
        given: What it is conditional on.
        kind: As above.
        data: For ``observed`` and ``opg``: the values of ``over``; for ``ggn`` where the cost's curvature needs them.
        beta: The inverse temperature; a schedule of them asks at each, with the same seed.
        draws: Simulated data sets for ``expected``; draws of the latents for ``observed`` and ``opg``, which serves
            latents that no lattice does; None for the exact one.
        rows: How many rows alike there are, where ``given`` holds one row or none.
        by_row: Whether to keep the information of each row; all but what is simulated.
        seed: For ``draws``.
        progress: Told the share done and what is being done.

    Returns:
        The information; for a schedule all of them, ``matrix`` being ``[betas, parameters, parameters]``.

    Raises:
        ArgumentError: If a name is not a parameter, the kind is unknown, data are missing, or beta is neither
            positive nor a schedule.
        EnergyError: If the energy does not use a parameter, or no exact method serves (then give ``draws``).
        ConvergenceError: If the causes of what is given cannot be drawn, or the latents' posterior has not converged.

    Example:
        >>> import ebm_causal as ec, torch
        >>> weight = torch.ones(1, 1, dtype=torch.float64)
        >>> energy = ec.LinearGaussianEnergy(0 * weight, weight)
        >>> ec.fisher_information(energy, wrt="input_weight", given={"x": [[3.0]]}).matrix.round(decimals=6)
        tensor([[9.]], dtype=torch.float64)

    References:
        Louis (1982), Finding the observed information matrix when using the EM algorithm; Kunstner, Balles and Hennig
        (2019), Limitations of the empirical Fisher approximation; Martens (2020), New insights and perspectives on the
        natural gradient method.
    """
    if kind not in get_args(Kind):
        raise ArgumentError(f"kind must be one of {list(get_args(Kind))}; got {kind!r}.")
    if kind in ("observed", "opg") and not data:
        raise ArgumentError(f"the {kind} information needs data={{...}} with the values of over.")
    held, seen = in_one_precision(energy, values_by_name("given", given), values_by_name("data", data))
    sides, drawing = (as_names(over), held), Drawing(draws, check_seed(seed), progress)
    _refuse_idle(kind, data, draws, rows)
    check_progress(progress)
    if by_row and (rows is not None or (kind == "expected" and draws is not None)):
        raise ArgumentError("by_row serves rows that are given and not simulated: leave rows and draws out.")
    betas = single_or_schedule(beta)
    found, count = [], len(at_each(betas))
    for number, each in enumerate(at_each(betas)):
        question = replace(ask(energy, wrt, sides, each), rows=rows, by_row=by_row)
        with torch.enable_grad():
            parts = _parts(question, kind, seen, drawing.at(number, count))
        found.append(_information(question, kind, parts, by_row=by_row))
        drawing.tell((number + 1) / count, f"information at beta {each:.4g}")
    return FisherInformations(beta=betas, each=tuple(found)) if isinstance(betas, Tensor) else found[0]


def _refuse_idle(kind: str, data: object, draws: object, rows: object) -> None:
    """Refuse what would have no effect."""
    if kind == "expected" and data:
        raise ArgumentError(
            "the expected information is over the model and takes no data; ask for 'observed'."
        )
    if kind == "ggn" and draws is not None:
        raise ArgumentError("the Gauss-Newton matrix takes no draws; leave them out.")
    for name, count in (("draws", draws), ("rows", rows)):
        if count is not None:
            check_count(name, count)


def _parts(question: Question, kind: str, data: Mapping[str, object], drawing: Drawing) -> Parts:
    if kind == "ggn":
        return gauss_newton_information(question, data)
    if kind != "expected":
        return information_at_data(question, kind, data, drawing)
    return (
        expected_information(question) if drawing.draws is None else simulated_information(question, drawing)
    )


def ask(
    energy: Energy, wrt: str | Iterable[str], sides: tuple[tuple[str, ...], dict[str, object]], beta: float
) -> Question:
    """Which information is asked for, names and sides checked."""
    over, given = sides
    energy = as_energy(energy)
    whole = energy if undirected_of(energy) else normalized(energy)
    free = tuple(name for name, one in named_parameters(energy).items() if one.requires_grad)
    names = free if wrt == "parameters" else as_names(wrt)
    if not names and wrt != "parameters":
        raise ArgumentError("wrt names nothing: give 'parameters', or names of parameters or variables.")
    variables = _variables(whole, names, over, given)
    warm = "beta" in names and not variables
    wanted = () if variables else find_parameters(energy, [name for name in names if name != "beta"])
    frozen = [name for name in wanted if name not in free]
    if frozen:
        raise ArgumentError(
            f"{frozen[0]!r} is frozen (requires_grad is False): free it, or leave it out of wrt."
        )
    vector = ParameterVector(energy, [name for name in named_parameters(energy) if name not in wanted])
    if not len(vector) and not warm and not variables:
        raise ArgumentError(
            "the energy has no free parameters: its callables are not nn.Modules, or all are frozen."
        )
    return Question(
        energy=whole, over=over, latents=latents_left(whole, over, given), given=given, beta=beta,
        parameters=vector, warm=warm, global_normalizer=bool(undirected_of(energy)), variables=variables,
    )  # fmt: skip


def _variables(
    energy: Energy, names: tuple[str, ...], over: tuple[str, ...], given: Mapping[str, object]
) -> tuple[str, ...]:
    """The names, if they are variables; none of them if they are parameters."""
    parameters = named_parameters(energy)
    known = [name for name in names if name in energy.variables and name not in parameters]
    if not known:
        return ()
    if len(known) < len(names):
        other = next(name for name in names if name not in known)
        raise ArgumentError(
            f"wrt mixes the variable {known[0]!r} with {other!r}: ask for one kind at a time."
        )
    sides = {name in over for name in known}
    stray = [name for name in known if name not in over and name not in given]
    if stray or len(sides) > 1:
        raise ArgumentError(
            f"{known if not stray else stray[0]!r} must be in over, or in given: the information is about the location "
            "of what is drawn, or about what it is drawn given. Put a latent into given at its value."
        )
    finite = [
        name for name in known if not isinstance(energy.variables[name].support, type(constraints.real))
    ]
    if finite:
        raise ArgumentError(
            f"{finite[0]!r} is not a real vector: it has no location to be differentiated in."
        )
    return names


def _information(question: Question, kind: str, parts: Parts, *, by_row: bool) -> FisherInformation:
    matrix, complete = parts.rows.sum(0), None if parts.complete is None else parts.complete.sum(0)
    values, vectors, rank = spectrum(matrix, RELATIVE)
    if parts.noisy and parts.standard_error is not None:
        rank = _rank_beyond_noise(values, vectors, parts.standard_error)
    names = question.labels
    directions = tuple(
        Direction(eigenvalue=float(values[i]), weights=dict(zip(names, vectors[:, i].tolist(), strict=True)))
        for i in range(len(values) - rank)
    )
    return FisherInformation(
        matrix=matrix, names=names, kind=kind, eigenvalues=values, rank=rank, unidentified=directions,
        cramer_rao=inverse_or_none(matrix, RELATIVE) if rank == len(matrix) else None, complete=complete,
        missing=None if complete is None else complete - matrix, standard_error=parts.standard_error,
        by_row=parts.rows if by_row else None, scores=parts.scores,
    )  # fmt: skip


def _rank_beyond_noise(values: Tensor, vectors: Tensor, error: Tensor) -> int:
    """How many eigenvalues exceed twice what the entries' errors may put into them, all in step."""
    sizes = vectors.abs()
    return int((values > 2 * torch.einsum("ik,ij,jk->k", sizes, error, sizes)).sum())
