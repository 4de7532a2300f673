"""Energies: sums of named factors, from which graph, density, intervention and derivatives are read off."""

from ebm_causal.energies.codebooks import Codebook, CodebookRegularizer
from ebm_causal.energies.confounded import (
    OutcomeDecoder,
    Strength,
    Strengths,
    Tail,
    TreatmentDecoder,
    confounded_energy,
    decoders_of,
    strengths_of,
)
from ebm_causal.energies.costs import (
    BernoulliCost,
    Cost,
    PositiveScale,
    SquaredError,
    StudentTCost,
    Temperature,
)
from ebm_causal.energies.discrete_costs import CategoricalCost, PoissonCost
from ebm_causal.energies.energies import Energy, energy
from ebm_causal.energies.factors import Factor, FunctionFactor
from ebm_causal.energies.invariance import InvariantSubspace
from ebm_causal.energies.joint_embedding import JointEmbeddingEnergy
from ebm_causal.energies.latent import LatentEnergy, PredictThenDecode
from ebm_causal.energies.linear import LinearGaussianEnergy
from ebm_causal.energies.margin_costs import CosineCost, HingeCost
from ebm_causal.energies.mechanisms import LocalNormalizer, Mechanism
from ebm_causal.energies.noises import Noise, abduct, coupling_of
from ebm_causal.energies.regularizers import GaussianRegularizer, LaplaceRegularizer, Regularizer
from ebm_causal.energies.robust_costs import HuberCost
from ebm_causal.energies.structure import (
    as_energy,
    causal_order,
    find_parameters,
    latents_of,
    like_of,
    mechanisms_of,
    named_parameters,
    normalized,
    prior_groups,
    regularizers_of,
    unclamped,
    undirected_of,
)
from ebm_causal.energies.variables import FiniteSupport, Variable, finite
from ebm_causal.energies.vicreg import VICRegRegularizer, VICRegTerms

__all__ = [
    "BernoulliCost",
    "CategoricalCost",
    "Codebook",
    "CodebookRegularizer",
    "CosineCost",
    "Cost",
    "Energy",
    "Factor",
    "FiniteSupport",
    "FunctionFactor",
    "GaussianRegularizer",
    "HingeCost",
    "HuberCost",
    "InvariantSubspace",
    "JointEmbeddingEnergy",
    "LaplaceRegularizer",
    "LatentEnergy",
    "LinearGaussianEnergy",
    "LocalNormalizer",
    "Mechanism",
    "Noise",
    "OutcomeDecoder",
    "PoissonCost",
    "PositiveScale",
    "PredictThenDecode",
    "Regularizer",
    "SquaredError",
    "Strength",
    "Strengths",
    "StudentTCost",
    "Tail",
    "Temperature",
    "TreatmentDecoder",
    "VICRegRegularizer",
    "VICRegTerms",
    "Variable",
    "abduct",
    "as_energy",
    "causal_order",
    "confounded_energy",
    "coupling_of",
    "decoders_of",
    "energy",
    "find_parameters",
    "finite",
    "latents_of",
    "like_of",
    "mechanisms_of",
    "named_parameters",
    "normalized",
    "prior_groups",
    "regularizers_of",
    "strengths_of",
    "unclamped",
    "undirected_of",
]
