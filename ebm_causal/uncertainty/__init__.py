"""Uncertainty: variance propagated, information counted."""

from ebm_causal.uncertainty.approximations import LaplaceApproximation
from ebm_causal.uncertainty.fisher import fisher_information
from ebm_causal.uncertainty.kronecker import KroneckerOperator, kronecker_operator
from ebm_causal.uncertainty.laplace import laplace_approximation
from ebm_causal.uncertainty.matrices import Direction, FisherInformation, FisherInformations
from ebm_causal.uncertainty.matrix_free import fisher_operator
from ebm_causal.uncertainty.minimizers import propagate_through_minimum
from ebm_causal.uncertainty.operators import FisherOperator
from ebm_causal.uncertainty.propagated import Propagation
from ebm_causal.uncertainty.propagation import propagate_variance
from ebm_causal.uncertainty.total_variance import VarianceDecomposition, decompose_variance

__all__ = [
    "Direction",
    "FisherInformation",
    "FisherInformations",
    "FisherOperator",
    "KroneckerOperator",
    "LaplaceApproximation",
    "Propagation",
    "VarianceDecomposition",
    "decompose_variance",
    "fisher_information",
    "fisher_operator",
    "kronecker_operator",
    "laplace_approximation",
    "propagate_through_minimum",
    "propagate_variance",
]
