r"""Draws of an effect under a hidden confounder whose strength has a prior: by formula, by fits, or by MCMC."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Beta, Distribution, SigmoidTransform, TransformedDistribution

from ebm_causal.energies import Energy, decoders_of, named_parameters, strengths_of
from ebm_causal.learning import (
    HELD,
    ConfoundedFits,
    Fit,
    StrengthPrior,
    average_effect,
    fit,
    residual_variance,
    treatment_covariance,
)
from ebm_causal.sensitivity.drawn_parameters import energies_of
from ebm_causal.sensitivity.hidden_confounder import Hidden
from ebm_causal.sensitivity.omitted_variable import OmittedVariableBias
from ebm_causal.sensitivity.seen_contrasts import seen_contrast

CHAINS = 4
WARMUP = 150
STRONGEST = 0.95  # what lies beyond is drawn there
Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StrengthDraws:
    r"""Draws from a posterior, and from the prior of the strengths, one beside the other.

    Attributes:
        effect: The effect.
        bias: What the confounder adds to the slope that is seen, with its sign; of a binary outcome, to the
            difference of chances that is seen.
        r2_treatment: Its partial :math:`R^2` with the treatment, on the scale of the prior.
        r2_outcome: Its partial :math:`R^2` with the outcome.
        prior: The two strengths as the prior has them.
        warnings: What cannot be trusted.
    """

    effect: Float[np.ndarray, " draws"]
    bias: Float[np.ndarray, " draws"]
    r2_treatment: Float[np.ndarray, " draws"]
    r2_outcome: Float[np.ndarray, " draws"]
    prior: tuple[Float[np.ndarray, " draws"], Float[np.ndarray, " draws"]]
    warnings: tuple[str, ...] = ()


def linear_draws(
    omitted: OmittedVariableBias, prior: StrengthPrior, draws: int, generator: np.random.Generator
) -> StrengthDraws:
    r"""The posterior where treatment and outcome are linear and normal, exactly and without a chain.

    The likelihood knows the slope that is seen and two residual variances, which have the usual posteriors
    under the reference prior; the strengths and the sign keep theirs. With
    :math:`s_y^2 \sim \nu\,\hat s_y^2/\chi^2_\nu` and :math:`s_t^2 \sim (\nu + 1)\,\hat s_t^2/\chi^2_{\nu + 1}`

    .. math::
        \tau = \hat\tau + \frac{s_y}{\sqrt{\tilde t'\tilde t}} \epsilon
               - \rho \frac{s_y}{s_t} \sqrt{\frac{R_Y R_D}{1 - \rho^2 R_D}},

    :math:`\rho` being the sign, or, for a latent of more dimensions, the cosine between its two sides.
    """
    treatment, outcome, alignment = draw_strengths(prior, draws, generator)
    noise, spread = generator.chisquare(omitted.dof, draws), generator.chisquare(omitted.dof + 1, draws)
    wider = omitted.standard_error * np.sqrt(omitted.dof / noise)
    slope = omitted.estimate + wider * generator.standard_normal(draws)
    shared = np.sqrt(outcome * treatment / (1 - alignment**2 * treatment))
    bias = alignment * wider * np.sqrt(spread) * shared
    return StrengthDraws(
        effect=slope - bias, bias=bias, r2_treatment=treatment, r2_outcome=outcome,
        prior=draw_strengths(prior, draws, generator)[:2],
    )  # fmt: skip


def fitted_draws(
    fits: ConfoundedFits, unit: float, draws: int, generator: np.random.Generator
) -> StrengthDraws:
    """The posterior of fits at strengths drawn from their prior: one normal law of the effect at each of them.

    The strengths keep their prior: what the form of the mechanisms might say about them is left out.
    """
    at = generator.permutation(np.arange(draws) % len(fits.effects))
    effect = fits.effects[at] + fits.standard_errors[at] * generator.standard_normal(draws)
    strengths = np.array([(s.treatment, s.outcome) for s in fits.strengths])[at]
    missed = int((~fits.converged).sum())
    note = f"{missed} of {len(fits.effects)} fits over the strengths did not converge."
    return StrengthDraws(
        effect=unit * effect, bias=unit * fits.bias[at], r2_treatment=strengths[:, 0], r2_outcome=strengths[:, 1],
        prior=draw_strengths(fits.prior, draws, generator)[:2], warnings=(note,) if missed else (),
    )  # fmt: skip


def sampled_draws(
    hidden: Hidden, prior: StrengthPrior, draws: int, seed: int, progress: Progress
) -> StrengthDraws:
    """The posterior by MCMC on all parameters of the energy, the strengths among them, once for each sign.

    Here the form of the mechanisms may move the strengths away from their prior. The two signs keep a half each.
    The latent has one dimension.
    """
    laws: dict[str, Distribution] = dict(
        zip(HELD, map(_log_odds_law, (prior.treatment, prior.outcome)), strict=True)
    )
    found, notes = [], []
    for place, sign in enumerate((1.0, -1.0)):
        report = partial(_report, progress, place)
        sampled = fit(
            _turned(hidden.fit.energy, sign), hidden.fit.data, method="mcmc", priors=laws, seed=seed + place,
            chains=CHAINS, draws=max(4, -(-draws // (2 * CHAINS))), warmup=WARMUP, progress=report,
        )  # fmt: skip
        notes += list(sampled.diagnostics.warnings)
        found.append(_quantities(sampled))
    effect, bias, treatment, outcome = np.concatenate(found, axis=1)
    unit, generator = hidden.standardized.effect_in_units(1.0), np.random.default_rng(seed)
    order = generator.permutation(len(effect))
    return StrengthDraws(
        effect=unit * effect[order], bias=unit * bias[order],
        r2_treatment=treatment[order], r2_outcome=outcome[order],
        prior=draw_strengths(prior, len(effect), generator)[:2], warnings=tuple(dict.fromkeys(notes)),
    )  # fmt: skip


def draw_strengths(
    prior: StrengthPrior, draws: int, generator: np.random.Generator
) -> tuple[Float[np.ndarray, " draws"], Float[np.ndarray, " draws"], Float[np.ndarray, " draws"]]:
    """Partial R^2 with treatment and outcome, and how the two sides line up, from their prior."""
    treatment, outcome = (
        generator.beta(1, (1 - mean) / mean, draws).clip(max=STRONGEST)
        for mean in (prior.treatment, prior.outcome)
    )
    if prior.latent_dim == 1:
        return treatment, outcome, generator.choice([-1.0, 1.0], draws)
    half = (prior.latent_dim - 1) / 2
    return treatment, outcome, 2 * generator.beta(half, half, draws) - 1


def _log_odds_law(mean: float) -> Distribution:
    tail = torch.tensor((1 - mean) / mean, dtype=torch.float64)
    return TransformedDistribution(Beta(torch.ones_like(tail), tail), SigmoidTransform().inv)


def _turned(energy: Energy, sign: float) -> Energy:
    own = copy.deepcopy(energy)
    strengths_of(own).alignment.fill_(sign)
    return own


def _report(progress: Progress, place: int, share: float, what: str) -> None:
    progress((place + share) / 2, what)


def _quantities(sampled: Fit) -> np.ndarray:
    """The effect, the bias and the two strengths at each draw, ``[4, draws]``."""
    found = []
    for energy in energies_of(sampled):
        with torch.no_grad():
            effect = float(average_effect(energy, sampled.data))
            strengths = [torch.sigmoid(named_parameters(energy)[name]).item() for name in HELD]
            found.append([effect, _bias(energy, sampled.data, effect), *strengths])
    return np.array(found).T


def _bias(energy: Energy, rows: Mapping[str, Tensor], effect: float) -> float:
    """What hiding z adds: to the slope, or, for a binary outcome, to the contrast of chances."""
    outcome = decoders_of(energy)[1]
    if outcome.log_noise is None:
        return seen_contrast(energy, rows) - effect
    follow = float(outcome.loading() * outcome.strengths.alignment)
    return follow * treatment_covariance(energy, rows) / residual_variance(rows)


def central(draws: Float[np.ndarray, " draws"], level: float) -> tuple[float, float]:
    """The ends of the central interval."""
    lower, upper = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(lower), float(upper)


def spread(of: str, draws: Float[np.ndarray, " draws"], level: float) -> dict[str, float]:
    """Mean and central interval, named after the law."""
    lower, upper = central(draws, level)
    return {f"{of}_mean": float(draws.mean()), f"{of}_lower": lower, f"{of}_upper": upper}


def in_chains(draws: Float[np.ndarray, " draws"]) -> Float[np.ndarray, "chains each"]:
    """Draws without an order as four chains."""
    each = max(1, len(draws) // CHAINS)
    return draws[: each * (len(draws) // each)].reshape(-1, each)
