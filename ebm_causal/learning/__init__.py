"""Learning: fits of latent energies by likelihood and by every other principle of the note, one loop for all losses."""

from ebm_causal.learning.capacity import CapacityCurve, latent_capacity
from ebm_causal.learning.confounding import HELD, ConfoundedFits, StrengthPrior, fit_over_strengths
from ebm_causal.learning.contrastive import ContrastiveHinge, InfoNCE, SquareSquare, squared_distance
from ebm_causal.learning.contrastive_divergence import ContrastiveDivergence, PersistentContrastiveDivergence
from ebm_causal.learning.embedding_loss import VICReg
from ebm_causal.learning.evidence import EvidenceLowerBound
from ebm_causal.learning.exact_likelihood import CollapsedLikelihood
from ebm_causal.learning.fits import Fit, FitDiagnostics
from ebm_causal.learning.fitting import fit
from ebm_causal.learning.health import effective_rank
from ebm_causal.learning.implied import (
    average_effect,
    implied_strength,
    index_strength,
    residual_variance,
    treatment_covariance,
)
from ebm_causal.learning.loops import Loop
from ebm_causal.learning.losses import Loss
from ebm_causal.learning.negatives import (
    HardNegatives,
    ModelDraws,
    Negatives,
    NoiseNegatives,
    PermutedPairs,
)
from ebm_causal.learning.noise_contrastive import NoiseContrastive
from ebm_causal.learning.records import HealthCheck, Ranking, TrainingRecord
from ebm_causal.learning.regularized_latent import RegularizedLatent
from ebm_causal.learning.saving import load_fit
from ebm_causal.learning.score_matching import DenoisingScoreMatching, ScoreMatching, SlicedScoreMatching
from ebm_causal.learning.smoothness import GradientPenalty
from ebm_causal.learning.streaming import ParquetRows
from ebm_causal.learning.training import train

__all__ = [
    "HELD",
    "CapacityCurve",
    "CollapsedLikelihood",
    "ConfoundedFits",
    "ContrastiveDivergence",
    "ContrastiveHinge",
    "DenoisingScoreMatching",
    "EvidenceLowerBound",
    "Fit",
    "FitDiagnostics",
    "GradientPenalty",
    "HardNegatives",
    "HealthCheck",
    "InfoNCE",
    "Loop",
    "Loss",
    "ModelDraws",
    "Negatives",
    "NoiseContrastive",
    "NoiseNegatives",
    "ParquetRows",
    "PermutedPairs",
    "PersistentContrastiveDivergence",
    "Ranking",
    "RegularizedLatent",
    "ScoreMatching",
    "SlicedScoreMatching",
    "SquareSquare",
    "StrengthPrior",
    "TrainingRecord",
    "VICReg",
    "average_effect",
    "effective_rank",
    "fit",
    "fit_over_strengths",
    "implied_strength",
    "index_strength",
    "latent_capacity",
    "load_fit",
    "residual_variance",
    "squared_distance",
    "train",
    "treatment_covariance",
]
