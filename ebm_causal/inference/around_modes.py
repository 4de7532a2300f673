"""Draws by importance around the modes, and what the modes tell chains about where to begin."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ebm_causal.gibbs import (
    MOST_MODES,
    STARTS,
    UNSEEN,
    Modes,
    Restriction,
    draw_starts,
    find_modes,
    numbered_blocks,
    trusted_k,
)
from ebm_causal.inference.attempts import Attempt, Counts, independent, joined
from ebm_causal.sampling import Metric, Mixture, Tell, mixture_around, pareto_k, resample, weighted_metric

PROPOSALS = 2  # times the draws that are wanted
FEWEST = 1000  # proposals
POOL = 128  # draws of the prior, of which some become starts
WIDER = 1.5  # times the standard deviations of the modes together, for what should cover them
HEAVY = "the weights' tail is too heavy (Pareto k)"
ALONE = "modes were found that others may stand beside"
FEW = "too few draws carry the weight"


def around_modes(
    restriction: Restriction, modes: Modes, counts: Counts, generator: torch.Generator, tell: Tell
) -> Attempt:
    r"""Draws from normal and Student-t laws around all modes, resampled by their weights.

    A row is trusted where Pareto's k is below :math:`\min(1 - 1/\log_{10} n, .7)`, the weights leave enough
    effective draws, and modes that a single start has found have less than a hundredth of the mass.
    """
    number = max(FEWEST, PROPOSALS * counts.total)
    parts = []
    for start, block in numbered_blocks(restriction, number):
        rows = torch.arange(start, start + block.rows, device=restriction.like.device)
        parts.append(_around(block, rows_of(modes, rows), (counts, number), generator))
        tell((start + block.rows) / restriction.rows)
    return joined(parts)


def rows_of(modes: Modes, rows: Tensor) -> Modes:
    """The modes of some rows."""
    return Modes(*(entry[:, rows] for entry in modes))


def _around(
    block: Restriction, modes: Modes, plan: tuple[Counts, int], generator: torch.Generator
) -> Attempt:
    counts, number = plan
    mixture, log_mass = mixture_around(modes.points, modes.precision, modes.energies)
    points, log_weights = _weighed(block, mixture, number, generator)
    k = pareto_k(log_weights)
    share = torch.softmax(log_weights, 0)
    effective = (1 / (share**2).sum(0)).nan_to_num(nan=0.0).clamp_max(counts.total)
    alone = torch.where(modes.found & (modes.ends <= 1), torch.softmax(log_mass, 0), 0.0).sum(0)
    checks = zip(
        (~(k <= trusted_k(number))).tolist(),
        ((alone > UNSEEN) | ~modes.found[0]).tolist(),
        (~(effective >= counts.enough)).tolist(),
        strict=True,
    )
    reasons = [HEAVY if heavy else ALONE if lone else FEW if few else "" for heavy, lone, few in checks]
    drawn = resample(points, log_weights.nan_to_num(nan=-math.inf), counts.total, generator)
    with torch.no_grad():
        inside = block.to_support(drawn)[0]
    bad = (~log_weights.isfinite()).sum(0).to(points)
    return independent(
        "importance", inside, counts, reasons, pareto_k=k, ess_bulk=effective, ess_tail=effective,
        non_finite=bad,
    )  # fmt: skip


def _weighed(
    block: Restriction, mixture: Mixture, number: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        points = mixture.draw(number, generator)
        energies = block(points)
        energies = torch.where(energies.isnan() | (energies == -math.inf), math.inf, energies)
        return points, -energies - mixture.log_density(*mixture.log_densities(points))


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """Where chains may begin, and in what metrics.

    Attributes:
        points: ``[starts, rows, dim]``, unconstrained, of finite energy where there was one.
        metric: Of each row, about its scale.
        wide: One that covers all that is known.
        finite: Whether a start with a finite energy was found, ``[rows]``.
    """

    points: Tensor
    metric: Metric
    wide: Metric
    finite: Tensor


def beginning(restriction: Restriction, modes: Modes | None, generator: torch.Generator) -> Beginning:
    """Starts by resampling: of draws around the modes where they are known, else of 128 draws of the prior."""
    parts = []
    for start, block in numbered_blocks(restriction, POOL):
        rows = torch.arange(start, start + block.rows, device=restriction.like.device)
        parts.append(_begin(block, None if modes is None else rows_of(modes, rows), generator))

    def whole(metrics: list[Metric]) -> Metric:
        return Metric(
            center=torch.cat([part.center for part in metrics]),
            factor=torch.cat([part.factor for part in metrics]),
        )

    return Beginning(
        points=torch.cat([part.points for part in parts], 1), finite=torch.cat([part.finite for part in parts]),
        metric=whole([part.metric for part in parts]), wide=whole([part.wide for part in parts]),
    )  # fmt: skip


def _begin(block: Restriction, modes: Modes | None, generator: torch.Generator) -> Beginning:
    if modes is None:
        pool = draw_starts(block, POOL, generator)[:, None]
        with torch.no_grad():
            energies = block(pool)
        points, log_weights = pool.expand(-1, block.rows, -1), -energies
        wide = _prior_metric(block)
    else:
        mixture, _ = mixture_around(modes.points, modes.precision, modes.energies)
        points, log_weights = _weighed(block, mixture, POOL, generator)
        wide = _covering(mixture)
    log_weights = torch.where(log_weights.isfinite(), log_weights, -math.inf)
    finite = log_weights.isfinite().any(0)
    safe = torch.where(finite, log_weights, 0.0)
    noise = torch.rand(safe.shape, generator=generator, dtype=safe.dtype).to(safe.device)
    gumbel = -(-noise.clamp_min(torch.finfo(safe.dtype).tiny).log()).log()
    best = (safe + gumbel).topk(min(32, POOL), dim=0).indices  # without replacement
    best = torch.where(safe.gather(0, best).isfinite(), best, best[:1])
    starts = points.gather(0, best[..., None].expand(-1, -1, points.shape[-1]))
    metric = weighted_metric(points, safe, wide)
    return Beginning(points=starts, metric=metric, wide=wide, finite=finite)


def _prior_metric(block: Restriction) -> Metric:
    scale = block.first_scale().expand(block.rows, -1)
    factor = torch.diag_embed(scale) if scale.shape[-1] <= 10 else scale
    return Metric(center=torch.zeros_like(scale), factor=factor)


def _covering(mixture: Mixture) -> Metric:
    """A normal that covers all modes alike, whatever their mass."""
    weight = mixture.log_weights.isfinite().to(mixture.centers)[..., None]
    share = weight / weight.sum(0)
    center = (share * mixture.centers).sum(0)
    apart = share.sqrt() * (mixture.centers - center)
    within = share[..., None] * (mixture.factors @ mixture.factors.mT)
    covariance = WIDER**2 * (torch.einsum("mri,mrj->rij", apart, apart) + within.sum(0))
    if center.shape[-1] > 10:
        return Metric(center=center, factor=covariance.diagonal(dim1=-2, dim2=-1).sqrt())
    factor, failed = torch.linalg.cholesky_ex(covariance)
    spread = torch.diag_embed(covariance.diagonal(dim1=-2, dim2=-1).sqrt())
    return Metric(center=center, factor=torch.where((failed > 0)[:, None, None], spread, factor))


def modes_of(restriction: Restriction, generator: torch.Generator) -> Modes:
    """All modes that sixteen starts find."""
    return find_modes(restriction, STARTS, generator, most=MOST_MODES)
