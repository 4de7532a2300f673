"""Uncertainty: variance propagated, information counted."""

from ebm_causal.uncertainty.fisher import Direction, FisherInformation, fisher_information
from ebm_causal.uncertainty.propagation import Propagation, propagate_variance

__all__ = ["Direction", "FisherInformation", "Propagation", "fisher_information", "propagate_variance"]
