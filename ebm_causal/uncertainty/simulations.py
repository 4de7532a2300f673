r"""Expected information by data simulated from the model, latents on a lattice or by their posterior's draws."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import pyro
import torch
from torch import Tensor

from ebm_causal.calculus import parameter_jacobian
from ebm_causal.errors import ArgumentError, ConvergenceError
from ebm_causal.gibbs import Restriction, pyro_model, restrict
from ebm_causal.inference import (
    MarginalLikelihood,
    draw_rows,
    likelihood_of_given,
    log_likelihood_of_given,
)
from ebm_causal.uncertainty.informations import Drawing, Parts, Question, repeated
from ebm_causal.uncertainty.latent_draws import complete_scores

TOGETHER = 20_000  # rows that are simulated at once
FEW = 1000  # the same where the latents of each are drawn
CHAINS, PER_CHAIN = 4, 100  # draws of the latents of each simulated row


class _Products(NamedTuple):
    """What one block of simulated rows adds: outer products of the scores, and of the complete ones."""

    seen: Tensor  # [rows, p, p]
    complete: Tensor | None = None


def simulated_information(question: Question, drawing: Drawing) -> Parts:
    r"""By data drawn from the model itself: the mean over data sets of the sum over rows of score times score.

    Latents that no lattice serves are drawn given each simulated row. A score is then the mean of the complete ones
    (Fisher's identity), found by each chain on its own: products of different chains' means have the right
    expectation, which the square of one mean has not.

    Raises:
        ArgumentError: If the question is about other things than parameters of mechanisms.
        ConvergenceError: If the latents of a simulated row cannot be drawn.
    """
    if question.global_normalizer or question.warm or question.variables:
        raise ArgumentError("draws serve energies of mechanisms and their parameters; leave draws out.")
    names = (*question.over, *question.latents)
    rows = repeated(
        restrict(question.energy, names, question.given, question.beta),
        1 if question.rows is None else question.rows,
    )
    draws = drawing.draws or 0
    if rows.rows * draws < 2:
        raise ArgumentError("one draw of one row has no standard error: take more draws.")
    total, squares, complete = torch.zeros(()), torch.zeros(()), torch.zeros(())
    for products in _blocks(question, rows, drawing._replace(draws=draws)):
        total, squares = total + products.seen.sum(0), squares + (products.seen**2).sum(0)
        if products.complete is not None:
            complete = complete + products.complete.sum(0)
    count = rows.rows * draws
    variance = (squares / count - (total / count) ** 2) * count / max(count - 1, 1)
    return Parts(
        total[None] / draws, complete[None] / draws if complete.ndim else None,
        standard_error=(variance * rows.rows / draws).sqrt(), noisy=question.wide,
    )  # fmt: skip


def _blocks(question: Question, rows: Restriction, drawing: Drawing) -> Iterator[_Products]:
    draws, seed, _ = drawing
    each = max(1, (FEW if question.wide else TOGETHER) // rows.rows)
    for start in range(0, draws or 0, each):
        copies = min(each, (draws or 0) - start)
        values = simulated(question, rows, copies, seed + start)
        yield _by_draws(question, values, seed + start) if question.wide else _by_lattice(question, values)
        drawing.tell((start + copies) / (draws or 1), f"simulating {draws} data sets")


def _by_lattice(question: Question, values: Mapping[str, Tensor]) -> _Products:
    joint = MarginalLikelihood(question.energy, values, question.latents, question.beta).log_likelihood()
    given = {name: values[name] for name in question.given}
    known = log_likelihood_of_given(question.energy, given, question.beta).expand(joint.shape)
    scores = parameter_jacobian(joint - known, question.parameters.tensors)
    return _Products(scores[:, :, None] * scores[:, None, :])


def _by_draws(question: Question, values: Mapping[str, Tensor], seed: int) -> _Products:
    scores = complete_scores(question, values, (CHAINS, PER_CHAIN), seed)  # [chains, draws, rows, p]
    means, everything = scores.mean(1), scores.flatten(0, 1)
    together, count = means.sum(0), len(means)
    own = torch.einsum("cni,cnj->nij", means, means)
    seen = (together[:, :, None] * together[:, None, :] - own) / (count * (count - 1))
    return _Products(seen, torch.einsum("kni,knj->nij", everything, everything) / len(everything))


def simulated(question: Question, rows: Restriction, copies: int, seed: int) -> dict[str, Tensor]:
    """Several data sets, one after the other."""
    given = {
        name: value.expand(rows.rows, *value.shape[1:]).repeat(copies, *[1] * (value.ndim - 1))
        for name, value in rows.given.items()
    }
    model = pyro_model(question.energy, beta=question.beta, rows=rows.rows * copies)
    with torch.no_grad(), torch.random.fork_rng(devices=[]), pyro.get_param_store().scope():
        torch.manual_seed(seed)
        drawn = model(**given, **_causes_of_given(question, rows, copies))
    return {**given, **{name: drawn[name] for name in question.over}}


def _causes_of_given(question: Question, rows: Restriction, copies: int) -> dict[str, Tensor]:
    """Draws of what the given variables tell about, from its density given them."""
    part = likelihood_of_given(
        question.energy, {name: rows.given[name] for name in question.given}, question.beta
    )
    if part is None or not part.latents:
        return {}
    generator = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
    points, failed = draw_rows(part.whole, copies * rows.rows // part.rows, generator)
    if failed:
        raise ConvergenceError(
            f"the causes of {list(question.given)} cannot be drawn in rows {list(failed[:5])}: their density there "
            "did not pass the lattice's self-check."
        )
    return {name: value.flatten(0, 1) for name, value in part.whole.split(points).items()}
