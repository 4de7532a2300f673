"""Whether a trained energy tells data from anything else, by numbers with thresholds."""

import math

import torch
from torch import Tensor

from ebm_causal.energies import JointEmbeddingEnergy
from ebm_causal.learning.negatives import Negatives, NoiseNegatives, PermutedPairs
from ebm_causal.learning.problems import Batch, Problem, Rows
from ebm_causal.learning.records import HealthCheck, Ranking

LOOKED_AT, WITH_LATENTS = 500, 100  # rows; an inner minimization for each contrast costs more
FLAT = 0.01  # in units of 1 / beta, or of the energies' own spread
RANK = 1.5  # of an embedding of two or more dimensions
SPREAD = 1e-3  # standard deviation of an embedding
CARRIED = 0.05  # share of the energy that is left once the latent is free, on permuted pairs
UNUSED = 0.01  # share of the energy that the latent takes away, on the data


def rank(problem: Problem, rows: Rows, what: str, generator: torch.Generator) -> Ranking | None:
    """The ranking condition on some rows; None where there is nothing to contrast them with."""
    batch, contrast = _some(problem, rows), _contrast(problem, rows)
    if contrast is None:
        return None
    drawn = contrast.draw(problem, batch, generator)
    with torch.no_grad():
        low = problem.raw(batch.rows)
        high = problem.raw({**problem.held(batch.rows), **drawn})
    holds = (low < high).to(torch.float64).mean(0)
    error = float(holds.std()) / math.sqrt(len(holds)) if len(holds) > 1 else math.nan
    return Ranking(
        share=float(holds.mean()), standard_error=error, gap=float((high - low).mean()),
        negatives=repr(contrast), rows=f"{len(holds)} {what}",
    )  # fmt: skip


def check_health(problem: Problem, rows: Rows, generator: torch.Generator) -> tuple[HealthCheck, ...]:
    """All that can be checked of this energy on some rows.

    Args:
        problem: What was trained.
        rows: By variable, best rows held out.
        generator: Drives what is drawn.

    Returns:
        Flatness in y; for joint embeddings spread and effective rank; with latents whether they carry too much or
        nothing.
    """
    found = []
    batch, contrast = _some(problem, rows), _contrast(problem, rows)
    if contrast is not None:
        found.append(_flatness(problem, batch, contrast.draw(problem, batch, generator)))
    if isinstance(problem.energy, JointEmbeddingEnergy) and set(problem.energy.variables) == set(rows):
        with torch.no_grad():
            found += _embeddings(problem.energy, rows)
    if problem.latents and contrast is not None:
        found += _latents(problem, batch, contrast.draw(problem, batch, generator))
    return tuple(found)


def effective_rank(embedding: Tensor) -> float:
    r"""The effective rank of rows, :math:`\exp(-\sum_k p_k \log p_k)` with p the shares of the singular values.

    References:
        Roy and Vetterli (2007), The effective rank: a measure of effective dimensionality, definition 1.
    """
    values = torch.linalg.svdvals(embedding.detach() - embedding.detach().mean(0))
    share = values / values.sum().clamp_min(1e-300)
    return float(torch.special.entr(share).sum().exp())


def _flatness(problem: Problem, batch: Batch, drawn: Rows) -> HealthCheck:
    with torch.no_grad():
        energies = problem.raw({**problem.held(batch.rows), **drawn})
        low = problem.raw(batch.rows)
    spread = problem.beta * float(torch.cat([low[None], energies]).std(0).mean())
    return _check(
        "energy in y", spread, FLAT, spread >= FLAT,
        "the energy is flat in y: it varies by {value:.2g} / beta over contrasts (threshold {threshold:g}); it has "
        "collapsed, and tells no y from another",
    )  # fmt: skip


def _embeddings(energy: JointEmbeddingEnergy, rows: Rows) -> list[HealthCheck]:
    found = []
    for name, encoder in (("x", energy.encoder_x), ("y", energy.encoder_y)):
        embedding = encoder(rows[name]).flatten(1)
        spread, dim = float(embedding.std(0).mean()), embedding.shape[1]
        found.append(_check(
            f"spread of Enc_{name}", spread, SPREAD, spread >= SPREAD,
            f"the embedding of {name} has collapsed to a point: its standard deviation is {{value:.2g}} (threshold "
            "{threshold:g})",
        ))  # fmt: skip
        if dim > 1:
            rank_of = effective_rank(embedding)
            found.append(_check(
                f"effective rank of Enc_{name}", rank_of, RANK, rank_of >= RANK,
                f"the embedding of {name} has collapsed to a line: its effective rank is {{value:.2f}} of {dim} "
                "(threshold {threshold:g})",
            ))  # fmt: skip
    return found


def _latents(problem: Problem, batch: Batch, drawn: Rows) -> list[HealthCheck]:
    idle = _idle(problem, batch.rows)
    held = problem.held(batch.rows)
    one = {name: value[0] for name, value in drawn.items()}
    with torch.no_grad():
        free, stuck = problem.raw(batch.rows), problem.energy.reduced({**batch.rows, **idle}, 1.0)
        off = {**held, **one}
        far, bare = problem.raw(off), problem.energy.reduced({**off, **idle}, 1.0)
    lowest = torch.minimum(free.min(), far.min())
    left = float((far - lowest).mean() / (bare - lowest).mean().clamp_min(1e-300))
    taken = float(1 - (free - lowest).mean() / (stuck - lowest).mean().clamp_min(1e-300))
    return [
        _check(
            "capacity of the latent", left, CARRIED, left >= CARRIED,
            "the latent explains anything: once it is free, {value:.2g} of the energy of permuted pairs is left "
            "(threshold {threshold:g}); its capacity is too high: raise the weight of R or lower its dimension",
        ),
        _check(
            "use of the latent", taken, UNUSED, taken >= UNUSED,
            "the latent is not used: it takes away {value:.2g} of the energy of the data (threshold {threshold:g}); "
            "lower the weight of R, or leave it out",
        ),
    ]  # fmt: skip


def _idle(problem: Problem, rows: Rows) -> dict[str, Tensor]:
    """Latents that say nothing: zero where they are real, their first value where finite."""
    like = next(iter(rows.values()))
    found = {}
    for name in problem.latents:
        variable = problem.variable(name)
        first = getattr(variable.support, "values", (0.0,))[0]
        found[name] = like.new_full((1, *(variable.shape or (1,))), first)
    return found


def _some(problem: Problem, rows: Rows) -> Batch:
    most = WITH_LATENTS if problem.latents else LOOKED_AT
    count = min(most, max(len(value) for value in rows.values()))
    return Batch({name: value[:count] for name, value in rows.items()}, torch.arange(count))


def _contrast(problem: Problem, rows: Rows) -> Negatives | None:
    """Permuted pairs where something is given, else noise; None where neither can be had."""
    count = max(len(value) for value in rows.values())
    if problem.given or problem.latents:
        return PermutedPairs(min(8, count - 1)) if count > 1 else None
    real = all(problem.variable(name).is_real for name in problem.over)
    return NoiseNegatives(1.0, 8) if real else None


def _check(name: str, value: float, threshold: float, ok: bool, text: str) -> HealthCheck:
    words = text.format(value=value, threshold=threshold)
    return HealthCheck(name=name, value=value, threshold=threshold, ok=ok, text=words)
