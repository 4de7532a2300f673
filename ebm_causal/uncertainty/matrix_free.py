"""The information of an energy as an operator, for more parameters than a matrix holds."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from ebm_causal.energies import Energy
from ebm_causal.errors import ArgumentError
from ebm_causal.gibbs import GibbsDensity, restrict
from ebm_causal.inference import MarginalLikelihood, log_likelihood_of_given
from ebm_causal.shapes import as_names, check_beta, check_count, check_seed
from ebm_causal.uncertainty.fisher import ask
from ebm_causal.uncertainty.gauss_newton import Predicted, predicted
from ebm_causal.uncertainty.informations import Question, repeated
from ebm_causal.uncertainty.operators import FisherOperator
from ebm_causal.uncertainty.simulations import simulated
from ebm_causal.uncertainty.values import in_one_precision, values_by_name

SINGULAR = 1e-6  # of the largest eigenvalue: what rounding may take below zero


def fisher_operator(
    energy: Energy,
    wrt: str | Iterable[str] = "parameters",
    over: str | Iterable[str] = "y",
    given: Mapping[str, object] | None = None,
    kind: Literal["expected", "ggn"] = "expected",
    *,
    data: Mapping[str, object] | None = None,
    beta: float = 1.0,
    draws: int = 16,
    seed: int = 0,
    cached: bool = True,
) -> FisherOperator:
    r"""The Fisher information as products with vectors, the matrix never formed.

    .. math:: I v \approx \tfrac{1}{S-1}\sum_s \nabla u_s\,(\nabla u_s'v - \overline{\nabla u'v}),
        \qquad u = \beta F_\beta

    ``expected`` takes draws from the model, some for each row, centered within it: memory is of the order of the
    parameters and the draws. Locally normalized mechanisms have scores of mean zero, and are not centered (and S takes
    the place of S - 1). ``ggn`` goes through the decoders' Jacobians and the costs' curvature, without draws: the
    expected information itself where the costs are squared errors or canonical ones.

    Args:
        energy: The energy at the parameters in question.
        wrt: ``parameters`` or names of some.
        over: The variables of the density.
        given: What it is conditional on.
        kind: As above.
        data: For ``ggn``, where the cost's curvature depends on the value.
        beta: The inverse temperature.
        draws: Per row, for ``expected``.
        seed: Of the draws.
        cached: Whether to keep the graph between products.

    Returns:
        The operator: ``product``, ``solve``, ``diagonal``, ``trace``, ``top_eigenvalues``.

    Raises:
        ArgumentError: If the kind, a name or a count does not serve.
        EnergyError: As ``fisher_information``.

    Example:
        >>> import ebm_causal as ec, torch
        >>> weight = torch.ones(1, 1, dtype=torch.float64)
        >>> energy = ec.LinearGaussianEnergy(0 * weight, weight)
        >>> fisher_operator(energy, "input_weight", draws=4000, given={"x": [[3.0]]}).product([1.0]).shape
        torch.Size([1])

    References:
        Schraudolph (2002), Fast curvature matrix-vector products for second-order gradient descent; Martens (2020), New
        insights and perspectives on the natural gradient method.
    """
    if kind not in ("expected", "ggn"):
        raise ArgumentError(f"kind must be 'expected' or 'ggn'; got {kind!r}.")
    held, seen = in_one_precision(energy, values_by_name("given", given), values_by_name("data", data))
    question = ask(energy, wrt, (as_names(over), held), check_beta(beta))
    if question.warm or question.variables:
        raise ArgumentError(
            "an operator is about parameters; ask fisher_information about beta and variables."
        )
    if kind == "ggn":
        return _by_predictions(question, seen, cached)
    if seen:
        raise ArgumentError("the expected information is over the model and takes no data; ask for 'ggn'.")
    return _by_draws(question, check_count("draws", draws, least=2), check_seed(seed), cached)


def _by_draws(question: Question, draws: int, seed: int, cached: bool) -> FisherOperator:
    if question.global_normalizer:
        density = GibbsDensity(question.energy, question.over, question.given, question.beta)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            points = density.sample((draws,))

        def energies() -> Tensor:
            return -density.log_weight(points).reshape(draws, -1)

        def centered(pushed: Tensor) -> Tensor:
            return (pushed - pushed.mean(0)) / (draws - 1)

        return FisherOperator(
            energies, question.parameters.tensors, centered, names=question.labels, cached=cached
        )
    question.refuse_wide("take fisher_information, which draws them")
    rows = repeated(
        restrict(question.energy, (*question.over, *question.latents), question.given, question.beta), 1
    )
    values = simulated(question, rows, draws, seed)
    given = {name: values[name] for name in question.given}

    def log_densities() -> Tensor:
        if not question.latents:
            return -question.energy.reduced(values, question.beta).expand(draws * rows.rows)
        likelihood = MarginalLikelihood(question.energy, values, question.latents, question.beta)
        joint = likelihood.log_likelihood()
        return joint - log_likelihood_of_given(question.energy, given, question.beta)

    def roots(value: Tensor) -> Sequence[Tensor]:
        return [torch.full_like(value, draws**-0.5)]

    return FisherOperator(
        log_densities, question.parameters.tensors, lambda pushed: pushed / draws, roots=roots,
        names=question.labels, modules=question.energy, cached=cached,
    )  # fmt: skip


def _by_predictions(question: Question, data: Mapping[str, object] | None, cached: bool) -> FisherOperator:
    found = predicted(question, data)
    bend, factor = found.curvature, _root(found)

    def metric(pushed: Tensor) -> Tensor:
        return (bend @ pushed[..., None]).squeeze(-1)

    def roots(value: Tensor) -> Sequence[Tensor]:
        return list(factor.expand(*value.shape, value.shape[-1]).unbind(-1))

    return FisherOperator(
        found.predictions, question.parameters.tensors, metric, roots=roots, names=question.labels,
        modules=question.energy, cached=cached,
    )  # fmt: skip


def _root(found: Predicted) -> Tensor:
    """Roots of the costs' curvatures, which may be singular, as that of softmax.

    Raises:
        ArgumentError: If a cost bends downward.
    """
    bend = found.curvature
    factor, failed = torch.linalg.cholesky_ex(bend)
    if not bool((failed > 0).any()):
        return factor
    values, vectors = torch.linalg.eigh(bend)
    if bool((values[..., 0] < -SINGULAR * values.abs().amax(-1)).any()):
        children = " or ".join(repr(mechanism.child) for mechanism in found.mechanisms)
        raise ArgumentError(
            f"the cost of {children} bends downward at the data (curvature {float(values.min()):.3g}): its "
            "Gauss-Newton matrix is no information. Take kind='expected' with draws."
        )
    return vectors * values.clamp_min(0.0).sqrt()[..., None, :]  # what rounding took below zero
