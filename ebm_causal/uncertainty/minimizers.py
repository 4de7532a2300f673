r"""Variance propagated through a minimum, :math:`\hat y = \arg\min E`, by the implicit function theorem."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from ebm_causal.calculus import (
    MinimumSlopes,
    Taylor,
    gradient_of,
    minimum_slopes,
    near_minimizer,
    rows_without_slope,
)
from ebm_causal.energies import Energy
from ebm_causal.errors import ConvergenceError
from ebm_causal.shapes import check_beta
from ebm_causal.uncertainty.posing import Problem, Search, posed
from ebm_causal.uncertainty.propagated import Propagation
from ebm_causal.uncertainty.propagation import compared, from_slopes, propagate
from ebm_causal.uncertainty.settings import Method, Progress, Settings, Shares
from ebm_causal.uncertainty.uncertain import Uncertain

SINGULAR = 1e-10  # of a Hessian whose diagonal is one
NEAR = 1e-6  # relative, of a bound
STEPS = {"second_order": 2, "third_order": 2}  # of Newton's method, exact to third derivatives


def propagate_through_minimum(
    energy: Energy,
    over: str | Iterable[str],
    given_means: Mapping[str, object],
    covariance: object,
    method: Method = "first_order",
    *,
    shares: Shares = "covariance",
    given: Mapping[str, object] | None = None,
    at: Mapping[str, object] | None = None,
    beta: float = 1.0,
    starts: int = 8,
    draws: int = 10_000,
    seed: int = 0,
    cross_check: bool = False,
    progress: Progress | None = None,
) -> Propagation:
    r"""Propagate uncertain inputs through the minimum of an energy.

    .. math:: \frac{d\hat v}{du} = -E_{vv}^{-1}E_{vu}, \qquad \hat v(u) = \arg\min_v E(v, u)

    Holds at a stationary point with a positive definite Hessian, inside of the supports and off kinks; each is
    checked. With y and z minimized together the derivative of y is that of the Schur complement, so z follows its
    inputs. Second and third order differentiate Newton steps from the minimum; sigma points and Monte Carlo minimize
    at every point. The width that the minimum has of itself, :math:`(\beta E_{vv})^{-1}`, is ``noise`` beside the
    covariance, never in it.

    Args:
        energy: The energy, taken as the raw sum of its factors.
        over: What is minimized over; the result is ordered as it.
        given_means: The means of the uncertain inputs, ``[rows, dim]`` or one row each.
        covariance: Of these, in their order, ``[n, n]`` or ``[rows, n, n]``; a frame that names them is put into it.
        method: As for ``propagate_variance``.
        shares: ``covariance`` or ``shapley``.
        given: Values without uncertainty.
        at: The minimum, where it is known; else it is searched for.
        beta: The inverse temperature, for ``noise``.
        starts: Of the search.
        draws: For ``monte_carlo`` and the cross-check.
        seed: Of search and draws.
        cross_check: Also by Monte Carlo, with a warning where the two part.
        progress: Told the share done and what is being done, where minimizing takes long.

    Returns:
        The propagation; inputs and outputs bear the names of the variables.

    Raises:
        EnergyError: If a variable is finite, or names and shapes do not fit.
        ConvergenceError: If a row has no minimum there, it is on a bound or a kink, or its Hessian is singular.
        ArgumentError: As ``propagate_variance``.

    Example:
        >>> import ebm_causal as ec
        >>> energy = ec.energy(lambda y, x: (y**4 / 4 + y**2 / 2 - y * x).sum(-1), y=1, x=1)
        >>> ec.propagate_through_minimum(energy, "y", {"x": 10.0}, [[0.3]])
        Propagation(2 +- 0.0421, method='first_order', shares by covariance)

    References:
        Krantz and Parks (2002), The implicit function theorem; Gould et al. (2016), On differentiating parameterized
        argmin and argmax problems.
    """
    settings = Settings(
        method=method, shares=shares, draws=draws, seed=seed, cross_check=cross_check, progress=progress
    )
    settings.check()
    scale = check_beta(beta)
    problem = posed(energy, over, (given_means, given), Search(starts, seed, progress))
    inputs = problem.uncertain(covariance)
    settings = replace(settings, outputs=problem.labels(problem.restriction.over))
    minimum = problem.search() if at is None else problem.known(at)
    slopes = _checked(problem, minimum, inputs)
    if method == "first_order" and not cross_check:
        found = from_slopes(Taylor(minimum, slopes.jacobian()), inputs, settings)
    else:
        found = _by_function(problem, minimum, slopes, (inputs, settings))
    noise = torch.cholesky_inverse(torch.linalg.cholesky(scale * slopes.hessian))
    return _without_rows(replace(found, noise=noise)) if problem.single else replace(found, noise=noise)


def _checked(problem: Problem, minimum: Tensor, inputs: Uncertain) -> MinimumSlopes:
    """The slopes at a minimum, if it is one where the theorem holds."""
    over = list(problem.restriction.over)
    _refuse_bounds(problem, minimum)
    slopes = minimum_slopes(problem.energy, minimum, problem.means)
    smallest, scaled = slopes.smallest_eigenvalues()
    singular = (~(scaled > SINGULAR)).nonzero().flatten().tolist()
    if singular:
        raise ConvergenceError(
            f"the Hessian over {over} is singular or indefinite in rows {singular[:5]}: its smallest eigenvalue is "
            f"{float(smallest[singular].min()):.3g}. The minimum is not unique to first order (or lies on a kink), and "
            "has no derivative."
        )
    tolerated = 1e-6 if minimum.dtype == torch.float64 else 1e-3
    step = slopes.step().abs()
    off = (step > tolerated * (1 + minimum.abs())).any(-1).nonzero().flatten().tolist()
    if off:
        raise ConvergenceError(
            f"the point is not stationary in rows {off[:5]}: Newton's step from it over {over} is up to "
            f"{float(step.max()):.3g}. Minimize further; a kink or a bound does the same."
        )
    wide = torch.diag_embed(slopes.hessian.diagonal(dim1=-2, dim2=-1).rsqrt())
    root = torch.stack([torch.block_diag(a, b) for a, b in zip(wide, _each(inputs), strict=True)])
    point = torch.cat([minimum, problem.means], -1)
    derivative = torch.cat([slopes.hessian, slopes.cross], -1)
    gradient = gradient_of(problem.energy, minimum.shape[-1])
    kinks = rows_without_slope(gradient, point, (slopes.gradient, derivative), root)
    if kinks:
        raise ConvergenceError(
            f"the energy has a kink at the minimum over {over} in rows {kinks[:5]}, or a step that autograd does not "
            "see: the minimizer has no derivative there."
        )
    return slopes


def _each(inputs: Uncertain) -> Tensor:
    return inputs.root.expand(*inputs.mean.shape, inputs.mean.shape[-1])


def _refuse_bounds(problem: Problem, minimum: Tensor) -> None:
    for name, value in problem.restriction.split(minimum[None]).items():
        support = problem.restriction.energy.variables[name].support
        for bound in (getattr(support, "lower_bound", None), getattr(support, "upper_bound", None)):
            if bound is None:
                continue
            near = (value[0].flatten(1) - bound).abs() <= NEAR * (1 + abs(float(bound)))
            rows = near.any(-1).nonzero().flatten().tolist()
            if rows:
                raise ConvergenceError(
                    f"{name!r} is on its bound {float(bound):.6g} in rows {rows[:5]}: on a bound a minimizer stays or "
                    "leaves with a kink, and has no derivative."
                )


def _by_function(
    problem: Problem, minimum: Tensor, slopes: MinimumSlopes, how: tuple[Uncertain, Settings]
) -> Propagation:
    """By the minimizer as a function of its inputs; values alone come from minimizing at every point."""
    (inputs, settings), first = how, how[1].method == "first_order"
    searched = replace(settings, cross_check=False)
    if settings.method in STEPS:
        found = propagate(near_minimizer(problem.energy, minimum, STEPS[settings.method]), inputs, searched)
    elif first:
        found = from_slopes(Taylor(minimum, slopes.jacobian()), inputs, searched)
    else:
        found = propagate(problem.search, inputs, searched)
    if not settings.cross_check:
        return found
    return compared(found, propagate(problem.search, inputs, replace(searched, method="monte_carlo")))


def _without_rows(found: Propagation) -> Propagation:
    """The one row of a propagation."""
    tensors = (
        "mean",
        "covariance",
        "shares",
        "standard_error",
        "covariance_standard_error",
        "linear_share",
        "noise",
    )
    parts = {name: getattr(found, name)[0] for name in tensors if getattr(found, name) is not None}
    check = None if found.check is None else _without_rows(found.check)
    return replace(found, **parts, check=check)
