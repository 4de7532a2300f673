"""A confounded energy at another strength: parameters that keep what it says of means and covariances."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ebm_causal.energies import (
    BernoulliCost,
    Energy,
    OutcomeDecoder,
    Strength,
    TreatmentDecoder,
    decoders_of,
    mechanisms_of,
    strengths_of,
)
from ebm_causal.learning.implied import prior_nodes


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """What the latent does to the outcome's index, as a linear regression on treatment and covariates sees it.

    Attributes:
        slopes: Of what moves the outcome, on one, the treatment and the covariates.
        wider: By how much its spread about them widens the noise, a factor.
    """

    slopes: Tensor
    wider: Tensor


@torch.no_grad()
def carry(energy: Energy, rows: Mapping[str, Tensor], strength: Strength) -> None:
    r"""Set the strengths, and move the other parameters so that what is seen hardly changes.

    The log-odds index of a binary treatment stretches by :math:`1/\sqrt{1 - R_t}`; the outcome's coefficients
    lose what :math:`b\,\mathrm E[z \mid w, t]`, regressed on w and t, adds to them, and its noise what z leaves
    of itself. With squared errors throughout this is exact: the likelihood stays the same. Else it is near.

    Args:
        energy: A ``confounded_energy``, changed in place.
        rows: Its data.
        strength: The new strengths.
    """
    treatment, outcome = decoders_of(energy)
    before = _shadow(energy, rows)
    _add(outcome, before.slopes * outcome.loading(), shrunk=before.wider)
    for by in set(stretches(energy, strength).values()):
        _stretch(treatment, by)
    strengths_of(energy).set(strength)
    after = _shadow(energy, rows)
    if outcome.log_noise is None:
        _stretch(outcome, after.wider)
    else:
        outcome.log_noise.sub_(after.wider.log())
    _add(outcome, -after.slopes * outcome.loading())


@torch.no_grad()
def stretches(energy: Energy, to: Strength) -> dict[str, Tensor]:
    """By how much :func:`carry` stretches the treatment's index, for each of its parameters by name."""
    treatment = decoders_of(energy)[0]
    if treatment.log_sd is not None:
        return {}
    now, then = torch.sigmoid(-treatment.strengths.treatment), 1 - to.treatment
    return dict.fromkeys(("t.decoder.offset", "t.decoder.covariates"), (now / then).sqrt())


def _add(outcome: OutcomeDecoder, slopes: Tensor, *, shrunk: Tensor | None = None) -> None:
    """Add to the coefficients; where told, go over to the noise, or the index, of what is seen."""
    outcome.offset.add_(slopes[0])
    outcome.effect.add_(slopes[1])
    if outcome.covariates is not None:
        outcome.covariates.add_(slopes[2:])
    if shrunk is None:
        return
    if outcome.log_noise is None:
        _stretch(outcome, 1 / shrunk)
    else:
        outcome.log_noise.add_(shrunk.log())


def _stretch(decoder: TreatmentDecoder | OutcomeDecoder, by: Tensor) -> None:
    for part in (decoder.offset, decoder.covariates, getattr(decoder, "effect", None)):
        if part is not None:
            part.mul_(by)


def _shadow(energy: Energy, rows: Mapping[str, Tensor]) -> Shadow:
    outcome, (mean, variance) = decoders_of(energy)[1], _latent_given_causes(energy, rows)
    along = outcome.strengths.alignment
    columns = torch.cat(
        [torch.ones_like(rows["t"]), rows["t"], *([rows["w"]] if "w" in rows else [])], -1
    ).to(mean)
    slopes = torch.linalg.lstsq(columns, mean[:, None]).solution[:, 0]
    left = variance.mean() + (mean - columns @ slopes).square().mean()
    spread = along**2 * left + 1 - along**2
    wider = (1 + (outcome.loading() / outcome.noise()) ** 2 * spread).sqrt()
    return Shadow(slopes=along * slopes, wider=wider)


def _latent_given_causes(energy: Energy, rows: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and variance of the first coordinate of z given treatment and covariates, per row."""
    mechanism, treatment = mechanisms_of(energy)["t"], decoders_of(energy)[0]
    nodes, weights = prior_nodes(rows["t"])
    parents = {name: rows[name] for name in mechanism.parents if name != "z"}
    if not isinstance(mechanism.cost, BernoulliCost):
        told = torch.sigmoid(treatment.strengths.treatment)
        index = mechanism.mean({**parents, "z": torch.zeros_like(nodes)})[0]
        scale = told / treatment.loading() if float(treatment.loading()) > 0 else told
        return ((rows["t"] - index) * scale)[..., 0], (1 - told).expand(len(rows["t"]))
    chance = mechanism.mean({**parents, "z": nodes})[..., 0]
    told = weights[:, None] * torch.where(rows["t"][..., 0] > 0.5, chance, 1 - chance)
    told = told / told.sum(0).clamp_min(1e-300)
    mean = (told * nodes[..., 0]).sum(0)
    return mean, (told * nodes[..., 0] ** 2).sum(0) - mean**2
