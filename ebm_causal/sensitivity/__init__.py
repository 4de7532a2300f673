"""How strong something hidden would have to be to change the answer."""

from ebm_causal.sensitivity.austen import AustenCurve, austen_curve
from ebm_causal.sensitivity.bayesian import BayesianSensitivity, bayesian_of_fits, bayesian_sensitivity
from ebm_causal.sensitivity.benchmarks import omitted_variable_bias
from ebm_causal.sensitivity.calibration import calibrated_prior, strongest_covariate
from ebm_causal.sensitivity.capacity import CapacityCurve, capacity_curve
from ebm_causal.sensitivity.e_values import EValue, e_value
from ebm_causal.sensitivity.effect_e_values import e_value_of_difference, e_value_of_effect
from ebm_causal.sensitivity.hidden_confounder import Hidden, fit_hidden
from ebm_causal.sensitivity.implied_confounding import ImpliedConfounding
from ebm_causal.sensitivity.linear import LinearSensitivity
from ebm_causal.sensitivity.marginal import MarginalSensitivity, marginal_sensitivity
from ebm_causal.sensitivity.matched_pairs import RosenbaumBounds, rosenbaum_bounds
from ebm_causal.sensitivity.no_assumption import NoAssumptionBounds, no_assumption_bounds
from ebm_causal.sensitivity.omitted_variable import OmittedVariableBias
from ebm_causal.sensitivity.scenarios import Contour, Extremes

__all__ = [
    "AustenCurve",
    "BayesianSensitivity",
    "CapacityCurve",
    "Contour",
    "EValue",
    "Extremes",
    "Hidden",
    "ImpliedConfounding",
    "LinearSensitivity",
    "MarginalSensitivity",
    "NoAssumptionBounds",
    "OmittedVariableBias",
    "RosenbaumBounds",
    "austen_curve",
    "bayesian_of_fits",
    "bayesian_sensitivity",
    "calibrated_prior",
    "capacity_curve",
    "e_value",
    "e_value_of_difference",
    "e_value_of_effect",
    "fit_hidden",
    "marginal_sensitivity",
    "no_assumption_bounds",
    "omitted_variable_bias",
    "rosenbaum_bounds",
    "strongest_covariate",
]
