r"""The latent energy of a table: a hidden confounder of treatment and outcome, of stated strength.

.. math:: E(w,t,y,z) = C_t(\mathrm{Dec}_t(w,z), t) + C_y(\mathrm{Dec}_y(w,t,z), y) + \tfrac12|z|^2

Data on w, t and y do not say how strong z is, so its strengths are no ordinary parameters: they are stated
as partial :math:`R^2` toward treatment and toward outcome, and held while the rest is learned.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ebm_causal.energies.costs import BernoulliCost, Cost, SquaredError, StudentTCost
from ebm_causal.energies.energies import Energy
from ebm_causal.energies.mechanisms import Mechanism
from ebm_causal.energies.regularizers import GaussianRegularizer
from ebm_causal.energies.structure import mechanisms_of
from ebm_causal.energies.variables import Variable
from ebm_causal.errors import ArgumentError, EnergyError

LOGISTIC_SD = math.pi / math.sqrt(3)
Tail = Literal["normal", "heavy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Strength:
    r"""How strong a hidden confounder is, and how its two sides line up.

    Attributes:
        treatment: The partial :math:`R^2` of z with the treatment given the covariates; for a binary treatment
            that of the log-odds index, whose own noise has variance :math:`\pi^2/3`.
        outcome: The partial :math:`R^2` of z with the outcome given treatment and covariates, with the scale
            of the cost as the standard deviation of the noise (for a binary outcome, on its index).
        alignment: The cosine between what moves the treatment and what moves the outcome; 1 or -1 for a
            latent of one dimension. Positive: what raises the treatment raises the outcome.
    """

    treatment: float
    outcome: float
    alignment: float = 1.0

    def __post_init__(self) -> None:
        for name, value in (("treatment", self.treatment), ("outcome", self.outcome)):
            if not 0 <= value < 1:
                raise ArgumentError(f"the partial R^2 toward the {name} must be in [0, 1); got {value}.")
        if not -1 <= self.alignment <= 1:
            raise ArgumentError(f"an alignment is a cosine, in [-1, 1]; got {self.alignment}.")


class Strengths(nn.Module):
    """The strengths as the energy holds them: log-odds of the two partial R^2, and the alignment.

    Args:
        strength: Where they start.
    """

    alignment: Tensor

    def __init__(self, strength: Strength) -> None:
        super().__init__()
        self.treatment = nn.Parameter(torch.zeros((), dtype=torch.float64))
        self.outcome = nn.Parameter(torch.zeros((), dtype=torch.float64))
        self.register_buffer("alignment", torch.ones((), dtype=torch.float64))
        self.set(strength)

    def set(self, strength: Strength) -> None:
        """Hold other strengths; a partial R^2 of zero becomes one of 1e-12, which loads nothing visible."""
        with torch.no_grad():
            for parameter, value in ((self.treatment, strength.treatment), (self.outcome, strength.outcome)):
                parameter.fill_(torch.logit(torch.tensor(value, dtype=torch.float64), eps=1e-12))
            self.alignment.fill_(strength.alignment)


class TreatmentDecoder(nn.Module):
    """The index of the treatment: linear in the covariates and the first coordinate of z.

    Args:
        columns: How many covariate columns.
        binary: Whether the index is a log-odds.
        strengths: Shared with the outcome's decoder.
    """

    def __init__(self, columns: int, binary: bool, strengths: Strengths) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.zeros(1, dtype=torch.float64))
        self.covariates = nn.Parameter(torch.zeros(columns, dtype=torch.float64)) if columns else None
        self.log_sd = None if binary else nn.Parameter(torch.zeros((), dtype=torch.float64))
        self.strengths = strengths

    def loading(self) -> Tensor:
        """How far one standard deviation of z moves the index."""
        odds = self.strengths.treatment
        if self.log_sd is None:
            return LOGISTIC_SD * torch.exp(0.5 * odds)
        return self.log_sd.exp() * torch.sigmoid(odds).sqrt()

    def noise(self) -> Tensor:
        """The standard deviation of a continuous treatment given covariates and z."""
        log_sd = torch.zeros(()) if self.log_sd is None else self.log_sd
        return log_sd.exp() * torch.sigmoid(-self.strengths.treatment).sqrt()

    def forward(self, z: Tensor, w: Tensor | None = None) -> Tensor:
        """The index."""
        seen = (
            self.offset
            if w is None or self.covariates is None
            else self.offset + (w @ self.covariates)[..., None]
        )
        return seen + self.loading() * z[..., :1]


class OutcomeDecoder(nn.Module):
    """The index of the outcome: linear in covariates, treatment and z.

    Args:
        columns: How many covariate columns.
        binary: Whether the index is a log-odds.
        treatment: The treatment's decoder, which says how much of z is left given the treatment.
    """

    def __init__(self, columns: int, binary: bool, treatment: TreatmentDecoder) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.zeros(1, dtype=torch.float64))
        self.covariates = nn.Parameter(torch.zeros(columns, dtype=torch.float64)) if columns else None
        self.effect = nn.Parameter(torch.zeros((), dtype=torch.float64))
        self.log_noise = None if binary else nn.Parameter(torch.zeros((), dtype=torch.float64))
        self.strengths = treatment.strengths
        self.continuous_treatment = treatment.log_sd is not None

    def noise(self) -> Tensor:
        """The scale of the outcome's cost."""
        return (
            torch.full((), LOGISTIC_SD, dtype=torch.float64)
            if self.log_noise is None
            else self.log_noise.exp()
        )

    def left_of_latent(self) -> Tensor:
        """The variance of z, along what moves the outcome, that is left given a continuous treatment and covariates."""
        told = torch.sigmoid(self.strengths.treatment) * self.strengths.alignment**2
        return 1 - told if self.continuous_treatment else torch.ones_like(told)

    def loading(self) -> Tensor:
        """How far one standard deviation of z moves the index."""
        return self.noise() * torch.exp(0.5 * self.strengths.outcome) / self.left_of_latent().sqrt()

    def forward(self, t: Tensor, z: Tensor, w: Tensor | None = None) -> Tensor:
        """The index."""
        seen = (
            self.offset
            if w is None or self.covariates is None
            else self.offset + (w @ self.covariates)[..., None]
        )
        along = self.strengths.alignment * z[..., :1]
        if z.shape[-1] > 1:
            along = along + (1 - self.strengths.alignment**2).clamp_min(0.0).sqrt() * z[..., 1:2]
        return seen + self.effect * t + self.loading() * along


def confounded_energy(
    columns: int,
    *,
    binary_treatment: bool,
    binary_outcome: bool = False,
    tail: Tail = "normal",
    latent_dim: int = 1,
    strength: Strength,
) -> Energy:
    """The latent energy of a table with covariates w, treatment t, outcome y and a hidden confounder z.

    Only two directions of z can matter, the one that moves the treatment and the one that moves the outcome,
    so a latent of more than two dimensions is held as two; their alignment says how they lie.

    Args:
        columns: Columns of w; none where zero.
        binary_treatment: Whether t is 0 or 1 (a Bernoulli cost on a log-odds index), else squared error.
        binary_outcome: The same for y.
        tail: ``heavy`` gives a continuous outcome a Student-t cost, ``normal`` squared error.
        latent_dim: The dimension of z.
        strength: Where the strengths are held.

    Returns:
        The energy, with parameters at zero.

    Raises:
        ArgumentError: If the latent has no dimension.
    """
    if latent_dim < 1:
        raise ArgumentError(f"latent_dim must be at least one; got {latent_dim}.")
    treatment = TreatmentDecoder(columns, binary_treatment, Strengths(strength))
    outcome = OutcomeDecoder(columns, binary_outcome, treatment)
    covariates = ("w",) if columns else ()
    boolean = BernoulliCost.support
    factors = [
        Mechanism(
            "t", (*covariates, "z"), treatment, BernoulliCost() if binary_treatment else SquaredError(treatment.noise),
            dim=Variable(1, boolean) if binary_treatment else 1,
        ),
        Mechanism(
            "y", (*covariates, "t", "z"), outcome, _outcome_cost(outcome, binary_outcome, tail),
            dim=Variable(1, boolean) if binary_outcome else 1,
        ),
        GaussianRegularizer(min(latent_dim, 2)),
    ]  # fmt: skip
    energy = Energy(factors)
    if columns:
        energy.learn_dim("w", columns)
    return energy


def decoders_of(energy: Energy) -> tuple[TreatmentDecoder, OutcomeDecoder]:
    """The decoders of a confounded energy's treatment and outcome.

    Raises:
        EnergyError: If the energy is not a table's latent energy.
    """
    mechanisms = mechanisms_of(energy)
    treatment, outcome = (getattr(mechanisms.get(name), "decoder", None) for name in ("t", "y"))
    if not isinstance(treatment, TreatmentDecoder) or not isinstance(outcome, OutcomeDecoder):
        raise EnergyError("expected an energy made by confounded_energy, with mechanisms of 't' and 'y'.")
    return treatment, outcome


def strengths_of(energy: Energy) -> Strengths:
    """The strengths that a confounded energy holds."""
    return decoders_of(energy)[0].strengths


class Tails(nn.Module):
    """The tail index of a heavy-tailed outcome, above one so that its mean exists."""

    def __init__(self) -> None:
        super().__init__()
        self.log_excess = nn.Parameter(torch.tensor(math.log(4.0), dtype=torch.float64))

    def forward(self) -> Tensor:
        """The degrees of freedom."""
        return 1 + self.log_excess.exp()


def _outcome_cost(outcome: OutcomeDecoder, binary: bool, tail: Tail) -> Cost:
    if binary:
        return BernoulliCost()
    return StudentTCost(outcome.noise, Tails()) if tail == "heavy" else SquaredError(outcome.noise)
