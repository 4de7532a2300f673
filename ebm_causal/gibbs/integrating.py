"""Which method integrates which rows: the first that serves the variables and can be trusted there."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from ebm_causal.energies import LinearGaussianEnergy
from ebm_causal.errors import ArgumentError, EnergyError
from ebm_causal.gibbs.annealed import annealed_log_integral
from ebm_causal.gibbs.estimates import Estimate
from ebm_causal.gibbs.importance import laplace_log_integral, prior_log_integral, proposed_log_integral
from ebm_causal.gibbs.judging import check_energy, judged, judged_finite
from ebm_causal.gibbs.quadrature import LogIntegral, lattice_log_integral
from ebm_causal.gibbs.restriction import MOST_STATES, Restriction
from ebm_causal.gibbs.states import count_states, hold, states_of
from ebm_causal.shapes import check_callable, check_choice, check_count, check_seed

Method = Literal["auto", "exact", "lattice", "laplace", "importance", "annealed"]
Report = Callable[[float, str], None]
LATTICE_UP_TO = 3
LAPLACE_UP_TO = 64  # dimensions; above, a Hessian of every mode costs more than annealing
DRAWS, PARTICLES = 4096, 1024
SURE = 0.02  # a standard error of fits at the modes above which annealing takes the row: tails may hide behind it
MOST_HELD = 1024  # states of finite variables that are held while the real ones are integrated
NEGLIGIBLE = 1e-6  # the share of a state's mass, below which its estimate need not be trusted


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How an estimate is to be made.

    Attributes:
        method: Or ``auto``.
        draws: Per row, or particles; None for the method's own number.
        seed: Of the draws.
        proposal: For ``importance``.
        progress: Told the share done and what is being done.
    """

    method: Method = "auto"
    draws: int | None = None
    seed: int = 0
    proposal: TorchDistributionMixin | None = None
    progress: Report | None = None


def integrate(restriction: Restriction, effort: Effort | None = None) -> Estimate:
    """The log integral of exp(-reduced energy), per row, by the methods that serve: rows that one cannot do go on.

    Raises:
        ArgumentError: If there is no such method, or it does not serve these variables.
        ConvergenceError: If a row's integral is not finite.
    """
    effort = effort or Effort()
    _check(effort)
    check_energy(restriction)
    exact = exact_log_integral(restriction) if effort.method in ("auto", "exact") else None
    if exact is not None:
        judged_finite(exact.value, restriction)
        return exact
    states = count_states(restriction)
    mixed = states > 1 and not restriction.finite and effort.method != "annealed"
    if mixed and states <= MOST_HELD:
        found, served = _over_states(restriction, states, effort)
    else:
        found, served = _in_turn(restriction, effort)
    notes = judged(found, restriction, served)
    return Estimate(value=found.value, standard_error=found.error, method=_told(served), warnings=notes)


def _in_turn(restriction: Restriction, effort: Effort) -> tuple[LogIntegral, list[str]]:
    """Each row by the first method that can be trusted there, else by the last that has a number; and by which."""
    methods = _methods(restriction, effort.method)
    found, served = _try(restriction, methods[0], effort), [methods[0]] * restriction.rows
    for method in methods[1:]:
        left = (~found.trusted).nonzero().flatten()
        if len(left) == 0:
            break
        again = _try(restriction.select(left), method, effort)
        better = again.value.detach().isfinite() & (again.trusted | (method == "annealed"))
        better = better | ~found.value.detach()[left].isfinite()
        found = _replaced(found, left[better], again, better)
        for row in left[better].tolist():
            served[row] = method
    return found, served


def _over_states(restriction: Restriction, states: int, effort: Effort) -> tuple[LogIntegral, list[str]]:
    """The real variables integrated in each state of the finite ones, and the states summed."""
    finite = states_of(restriction, states)
    real = tuple(name for name in restriction.over if name not in finite)
    held = hold(restriction, real, finite)
    if isinstance(restriction.beta, Tensor):
        held = replace(held, beta=restriction.beta.repeat(states))
    found, served = _in_turn(held, effort)
    value, error, trusted = (
        part.reshape(states, restriction.rows) for part in (found.value, found.error, found.trusted)
    )
    share = torch.softmax(value.detach().nan_to_num(nan=-torch.inf), 0)
    whole = LogIntegral(
        value=value.logsumexp(0),
        error=((share * error.nan_to_num(posinf=0.0)) ** 2).sum(0).sqrt(),
        trusted=(trusted | (share < NEGLIGIBLE)).all(0),
    )
    by_state = [served[state * restriction.rows : (state + 1) * restriction.rows] for state in range(states)]
    heaviest = share.argmax(0).tolist()
    return whole, [by_state[state][row] for row, state in enumerate(heaviest)]


def _check(effort: Effort) -> None:
    check_choice("method", effort.method, get_args(Method))
    check_seed(effort.seed)
    if effort.draws is not None:
        check_count("draws", effort.draws, least=64)
    if effort.progress is not None:
        check_callable("progress", effort.progress)
    if effort.proposal is not None and effort.method != "importance":
        raise ArgumentError(f"a proposal serves method='importance'; got method={effort.method!r}.")
    if effort.proposal is not None and not isinstance(effort.proposal, TorchDistributionMixin):
        raise ArgumentError(f"a proposal must be a Pyro distribution; got {effort.proposal!r}.")


def _methods(restriction: Restriction, method: Method) -> list[str]:
    """The methods to try, in order.

    Raises:
        ArgumentError: If the method that was asked for does not serve the variables.
    """
    states, what = count_states(restriction), f"{list(restriction.over)} (dimension {restriction.dim})"
    mixed = states > 1 and not restriction.finite
    if method == "exact" and not restriction.finite:
        raise ArgumentError(
            f"method='exact' serves finite variables, and a LinearGaussianEnergy over 'z', or 'y' and 'z'; {what} is "
            "neither: use 'auto'."
        )
    if method == "exact" or (restriction.finite and method in ("auto", "lattice") and states <= MOST_STATES):
        return ["enumeration"]
    if method in ("laplace", "importance") and states > 1:
        raise ArgumentError(
            f"method={method!r} serves real variables, and of {what} some are finite: use 'auto'."
        )
    if method == "auto":
        if states > 1:
            return ["annealed"]
        chain = ["lattice"] if restriction.dim <= LATTICE_UP_TO else []
        chain += ["laplace"] if restriction.dim <= LAPLACE_UP_TO else []
        return chain + (["annealed"] if restriction.dim >= LATTICE_UP_TO else [])
    if method == "lattice" and (mixed or restriction.dim > LATTICE_UP_TO):
        raise EnergyError(
            f"a lattice serves one to three real dimensions, not {what}: use 'auto', 'laplace', 'importance' or "
            "'annealed', or put some variables into given."
        )
    return [method]


def _try(restriction: Restriction, method: str, effort: Effort) -> LogIntegral:
    generator = torch.Generator().manual_seed(effort.seed)
    draws = effort.draws or DRAWS
    if method in ("enumeration", "lattice"):
        return lattice_log_integral(restriction)
    if method == "importance" and effort.proposal is not None:
        return proposed_log_integral(restriction, draws, effort.proposal, effort.seed)
    if method == "importance":
        return prior_log_integral(restriction, draws, generator)
    if method == "laplace":
        return _laplace_or_doubt(restriction, draws, generator, strict=effort.method == "laplace")
    tell = effort.progress
    report = None if tell is None else (lambda share: tell(share, "annealing"))
    particles = -(-(effort.draws or PARTICLES) // 64) * 64
    return annealed_log_integral(restriction, particles, generator, report)


def _laplace_or_doubt(
    restriction: Restriction, draws: int, generator: torch.Generator, *, strict: bool
) -> LogIntegral:
    """Laplace's estimate; unless it was asked for, nothing is trusted that is rough or has no gradients."""
    try:
        found = laplace_log_integral(restriction, draws, generator)
        return found if strict else replace(found, trusted=found.trusted & (found.error <= SURE))
    except EnergyError:
        if strict:
            raise
        nothing = restriction.like.new_full((restriction.rows,), torch.nan)
        return LogIntegral(value=nothing, error=nothing, trusted=torch.zeros_like(nothing, dtype=torch.bool))


def _replaced(found: LogIntegral, rows: Tensor, again: LogIntegral, better: Tensor) -> LogIntegral:
    return LogIntegral(
        value=found.value.index_copy(0, rows, again.value[better].to(found.value)),
        error=found.error.index_copy(0, rows, again.error[better].to(found.error)),
        trusted=found.trusted.index_copy(0, rows, again.trusted[better]),
    )


def _told(served: list[str]) -> str:
    """What was done, and for how many rows where it was not one thing for all."""
    counts = Counter(served)
    if len(counts) == 1:
        return served[0]
    return ", ".join(f"{method} ({rows} rows)" for method, rows in counts.items())


def exact_log_integral(restriction: Restriction) -> Estimate | None:
    """The log integral in closed form, of a ``LinearGaussianEnergy`` over z or over y and z; None for others."""
    over = set(restriction.over)
    if not isinstance(restriction.energy, LinearGaussianEnergy) or over not in ({"z"}, {"y", "z"}):
        return None
    energy, given, beta = restriction.energy, restriction.given, restriction.beta
    if over == {"z"}:
        value = -beta * energy.free_energy(given["y"], given.get("x"), beta)
    else:
        value = energy.log_partition(beta)
    parameters = torch.stack([p.detach().isfinite().all() for p in energy.parameters()]).all()
    value = torch.where(parameters, value, torch.nan).expand(restriction.rows)
    return Estimate(value=value, standard_error=torch.zeros_like(value), method="exact")
