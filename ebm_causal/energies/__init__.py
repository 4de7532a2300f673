"""Energies: sums of named factors, from which graph, density, intervention and derivatives are read off."""

from ebm_causal.energies.confounded import (
    Strength,
    Strengths,
    Tail,
    confounded_energy,
    decoders_of,
    strengths_of,
)
from ebm_causal.energies.costs import BernoulliCost, Cost, PositiveScale, SquaredError, StudentTCost
from ebm_causal.energies.energies import Energy, energy
from ebm_causal.energies.factors import Factor, FunctionFactor
from ebm_causal.energies.latent import LatentEnergy, PredictThenDecode
from ebm_causal.energies.linear import LinearGaussianEnergy
from ebm_causal.energies.mechanisms import LocalNormalizer, Mechanism
from ebm_causal.energies.regularizers import GaussianRegularizer, Regularizer
from ebm_causal.energies.structure import (
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

__all__ = [
    "BernoulliCost",
    "Cost",
    "Energy",
    "Factor",
    "FiniteSupport",
    "FunctionFactor",
    "GaussianRegularizer",
    "LatentEnergy",
    "LinearGaussianEnergy",
    "LocalNormalizer",
    "Mechanism",
    "PositiveScale",
    "PredictThenDecode",
    "Regularizer",
    "SquaredError",
    "Strength",
    "Strengths",
    "StudentTCost",
    "Tail",
    "Variable",
    "causal_order",
    "confounded_energy",
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
