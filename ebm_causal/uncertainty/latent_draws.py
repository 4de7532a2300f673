"""Complete scores at draws of the latents, where no lattice integrates them out."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ebm_causal.calculus import parameter_jacobian
from ebm_causal.energies import Regularizer, prior_groups
from ebm_causal.errors import ConvergenceError, EnergyError
from ebm_causal.inference import log_likelihood_of_given, sample
from ebm_causal.shapes import common_rows
from ebm_causal.uncertainty.informations import Question
from ebm_causal.uncertainty.scores import unused_parameters


def complete_log_densities(
    question: Question, values: Mapping[str, Tensor], drawn: tuple[int, int], seed: int
) -> Tensor:
    """Of what is seen and each draw of the latents given it, less that of what is given, ``[chains * draws, rows]``.

    Args:
        question: With latents, and locally normalized mechanisms.
        values: All that is seen.
        drawn: How many chains, and draws of each.
        seed: Of the draws.

    Raises:
        ConvergenceError: If the latents' posterior has not converged.
        EnergyError: If a prior has no normalizer, or a parameter is not used.
    """
    posterior = sample(
        question.energy, question.latents, values, question.beta, draws=drawn[1], chains=drawn[0], seed=seed
    )
    if not posterior.diagnostics.ok:
        raise ConvergenceError(
            f"the posterior of {list(question.latents)} has not converged: {'; '.join(posterior.diagnostics.warnings)} "
            "The information would be that of other data. Take more draws, or another parametrization."
        )
    latents = {name: value.flatten(0, 1) for name, value in posterior.values.items()}
    rows = common_rows(values)
    with torch.enable_grad():
        found = -question.energy.reduced({**values, **latents}, question.beta).expand(-1, rows)
        known = log_density_of_given(question, {name: values[name] for name in question.given})
        found = found - _prior_normalizer(question, found) - known.expand(rows)
        unused_parameters(found, question.parameters.names, question.parameters.tensors)
    return found


def complete_scores(
    question: Question, values: Mapping[str, Tensor], drawn: tuple[int, int], seed: int
) -> Tensor:
    """The scores of the same, ``[chains, draws, rows, p]``.

    Raises:
        ConvergenceError: As ``complete_log_densities``.
    """
    found = complete_log_densities(question, values, drawn, seed)
    return parameter_jacobian(found, question.parameters.tensors).unflatten(0, drawn)


def log_density_of_given(question: Question, given: Mapping[str, Tensor]) -> Tensor:
    """The log density of what is given.

    Raises:
        EnergyError: If its causes are latents that no lattice integrates out.
    """
    try:
        return log_likelihood_of_given(question.energy, given, question.beta)
    except EnergyError as error:
        raise EnergyError(
            f"the density of what is given, {list(given)}, is needed too, and it has causes among the latents: {error} "
            "Put it into over."
        ) from error


def _prior_normalizer(question: Question, like: Tensor) -> Tensor:
    """The log normalizers of all priors, which depend on their weights."""
    total = like.new_zeros(())
    for prior in prior_groups(question.energy):
        (first, *more) = prior.factors.values()
        if more or not isinstance(first, Regularizer):
            raise EnergyError(
                f"the prior {list(prior.factors)} has no normalizer in closed form: leave draws out."
            )
        total = total + first.log_normalizer(question.beta, like)
    return total
