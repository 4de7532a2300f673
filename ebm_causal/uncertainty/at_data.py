"""Information at the data: observed, and by outer products of scores; latents on a lattice or by draws."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ebm_causal.calculus import hessian, parameter_jacobian, row_hessians
from ebm_causal.errors import ArgumentError
from ebm_causal.gibbs import GibbsDensity, restrict, values_of
from ebm_causal.inference import MarginalLikelihood, log_likelihood_of_given
from ebm_causal.shapes import check_count, common_rows
from ebm_causal.uncertainty.informations import Drawing, Parts, Question
from ebm_causal.uncertainty.latent_draws import complete_log_densities
from ebm_causal.uncertainty.scores import unused_parameters

Values = Mapping[str, Tensor]
STEPS = (0.9, 0.45, 0.06, 0.008, 0.001)  # of the latents' lattices, in posterior standard deviations
WIDTH, MOST_POINTS = 12.0, 3e6  # a lattice's width in the same, and points of all rows together
AGREED = 1e-4  # relative, of two lattices


def information_at_data(question: Question, kind: str, data: Mapping[str, object], drawing: Drawing) -> Parts:
    """The observed information, or that by outer products, at rows of data.

    Raises:
        ArgumentError: If the question is about beta, or has rows of its own.
        EnergyError: If a parameter is not used.
        ConvergenceError: If the posterior of the latents has not converged.
    """
    if question.rows is not None:
        raise ArgumentError(f"the {kind} information has the rows of its data; leave rows out.")
    if question.warm:
        raise ArgumentError(f"the {kind} information takes parameters; beta is served by kind='expected'.")
    draws, values = drawing.draws, rows_at(question, data)
    if question.variables:
        if draws is not None:
            raise ArgumentError("draws serve parameters; leave draws out for the information of variables.")
        return _in_variables(question, kind, values)
    if draws is not None:
        return _by_draws(question, kind, values, drawing)
    question.refuse_wide("give draws=... to draw them")
    return _refined(question, kind, values)


def _refined(question: Question, kind: str, values: Values) -> Parts:
    """By lattices that are laid finer until two agree: where the second derivatives jump (ELU) that takes many points.

    Where none does within the points that are served, the last change stands as the error.
    """
    found = _at_step(question, kind, values, STEPS[0])
    real = [name for name in question.latents if values_of(question.energy.variables[name]) is None]
    if not real or question.global_normalizer:
        return found
    error = torch.zeros(())
    for step in STEPS[1:]:
        if common_rows(values) * (WIDTH / step) ** question.latent_dim > MOST_POINTS:
            break
        before, found = found.rows.sum(0), _at_step(question, kind, values, step)
        error = (found.rows.sum(0) - before).abs()
        if float(error.max()) <= AGREED * float(before.abs().max()):
            return found
    return found._replace(standard_error=error) if error.ndim else found


def _at_step(question: Question, kind: str, values: Values, step: float) -> Parts:
    """The information with the latents on lattices of this step, in their posterior standard deviations."""
    log_density, complete = _log_density(question, values, step)
    tensors = question.parameters.tensors
    unused_parameters(log_density, question.parameters.names, tensors)
    scores = parameter_jacobian(log_density, tensors)
    if kind == "opg":
        return Parts(scores[:, :, None] * scores[:, None, :], scores=scores)
    rows = -(
        row_hessians(log_density, tensors) if question.by_row else hessian(log_density.sum(), tensors)[None]
    )
    information = rows.sum(0)
    if complete is not None:
        return Parts(rows, complete[None], scores=scores)
    if not question.latents:
        return Parts(rows, information[None], scores=scores)
    return Parts(rows, (information + _missing(question, values))[None], scores=scores)


def rows_at(question: Question, data: Mapping[str, object]) -> dict[str, Tensor]:
    """Given and data together, one row each."""
    held = restrict(question.energy, question.latents, {**question.given, **data}, question.beta)
    return {name: value.expand(held.rows, *value.shape[1:]) for name, value in held.given.items()}


def _log_density(question: Question, values: Values, step: float) -> tuple[Tensor, Tensor | None]:
    """Of each row, with a graph; and the complete information where the mechanisms' lattices tell it."""
    if question.global_normalizer:
        given = {name: values[name] for name in question.given}
        density = GibbsDensity(question.energy, question.over, given, question.beta)
        point = torch.cat([values[name].flatten(1) for name in question.over], -1)
        return density.normalized_log_prob(point).reshape(-1), None
    held = {name: value for name, value in values.items() if name in question.energy.variables}
    likelihood = MarginalLikelihood(question.energy, held, question.latents, question.beta)
    likelihood.adapt(step=step)
    joint = likelihood.log_likelihood()
    known = log_likelihood_of_given(question.energy, question.given, question.beta).expand(joint.shape)
    if not question.latents:
        return joint - known, None
    total = _complete_log_density(likelihood) - known.sum()
    return joint - known, -hessian(total, question.parameters.tensors)


def _complete_log_density(likelihood: MarginalLikelihood) -> Tensor:
    """Summed over rows, averaged over the latents at the parameters of the moment."""
    terms = [-(lattice.weights() * block(lattice.points)).sum() for block, lattice in likelihood.lattices()]
    return torch.stack(terms).sum() - likelihood.rows * likelihood.log_prior_normalizer()


def _missing(question: Question, values: Values) -> Tensor:
    """The covariance of the complete scores over each row's latents, summed: what is not seen of them."""
    inner = restrict(question.energy, question.latents, values, question.beta)
    lattice = inner.quadrature(step=1 / 3, drop=32.0)
    reduced = question.energy.reduced({**inner.given, **inner.split(lattice.points)}, question.beta)
    weights = lattice.weights()
    scores = parameter_jacobian(-reduced.expand(weights.shape), question.parameters.tensors)
    apart = scores - (weights[..., None] * scores).sum(0)
    return torch.einsum("kni,knj,kn->ij", apart, apart, weights)


def _by_draws(question: Question, kind: str, values: Values, drawing: Drawing) -> Parts:
    """Fisher's and Louis' identities over draws of the latents: scores are means, what is missing a covariance."""
    if question.global_normalizer or not question.latents:
        raise ArgumentError(
            "draws serve the latents of energies of mechanisms; this one has none, or is normalized as a whole: "
            "leave draws out."
        )
    draws = check_count("draws", drawing.draws, least=2)
    if question.by_row and kind == "observed":
        raise ArgumentError("by_row serves the observed information that is exact; leave draws out.")
    chains = 4
    log_complete = complete_log_densities(question, values, (chains, -(-draws // chains)), drawing.seed)
    tensors = question.parameters.tensors
    scores = parameter_jacobian(log_complete, tensors)
    marginal = scores.mean(0)
    error = scores.std(0) / len(scores) ** 0.5  # of each row's score
    if kind == "opg":
        spread = 2 * torch.einsum("ni,nj->ij", marginal.abs(), error)
        return Parts(
            marginal[:, :, None] * marginal[:, None, :],
            standard_error=0.5 * (spread + spread.mT),
            scores=marginal,
        )
    apart = scores - marginal
    products = torch.einsum("kni,knj->kij", apart, apart)
    complete = -hessian(log_complete.mean(0).sum(), tensors)
    missing = products.sum(0) / (len(scores) - 1)
    spread = products.std(0) / len(scores) ** 0.5
    return Parts(
        (complete - missing)[None], complete[None], standard_error=spread, scores=marginal, noisy=True
    )


def _in_variables(question: Question, kind: str, values: Values) -> Parts:
    """In the location of what is asked about, or in what is given: row by row."""
    leaves = {name: values[name].detach().clone().requires_grad_() for name in question.variables}
    whole = {**values, **leaves}
    with torch.enable_grad():
        given = {name: whole[name] for name in question.given}
        density = GibbsDensity(question.energy, question.over, given, question.beta)
        point = torch.cat([whole[name].flatten(1) for name in question.over], -1)
        inside = set(question.variables) <= set(question.over)
        rows = density.log_prob(point) if inside else density.normalized_log_prob(point)
        unused_parameters(rows, question.variables, list(leaves.values()))
        slopes = torch.autograd.grad(rows.sum(), list(leaves.values()), create_graph=kind == "observed")
        scores = torch.cat([slope.flatten(1) for slope in slopes], -1)
        if kind == "opg":
            scores = scores.detach()
            return Parts(scores[:, :, None] * scores[:, None, :], scores=scores)
        columns = []
        for entry in scores.unbind(-1):
            found = torch.autograd.grad(
                entry.sum(),
                list(leaves.values()),
                retain_graph=True,
                allow_unused=True,
                materialize_grads=True,
            )
            columns.append(torch.cat([part.flatten(1) for part in found], -1))
    information = -torch.stack(columns, -2).detach()
    return Parts(0.5 * (information + information.mT), scores=scores.detach())
