"""Derivatives: Jacobians over a batch and curvature of scalar functions of parameters."""

from ebm_causal.calculus.curvature import hessian, inverse_or_none, row_hessians, spectrum
from ebm_causal.calculus.differences import differentiate
from ebm_causal.calculus.implicit import MinimumSlopes, gradient_of, minimum_slopes, near_minimizer
from ebm_causal.calculus.jacobians import (
    RowFunction,
    Taylor,
    batched_jacobian,
    parameter_jacobian,
    rows_without_slope,
    taylor,
    values_of_rows,
)
from ebm_causal.calculus.lagrangian import Backpropagation, Residuals, backpropagate, stationarity_residuals
from ebm_causal.calculus.mechanics import Motion, euler_lagrange

__all__ = [
    "Backpropagation",
    "MinimumSlopes",
    "Motion",
    "Residuals",
    "RowFunction",
    "Taylor",
    "backpropagate",
    "batched_jacobian",
    "differentiate",
    "euler_lagrange",
    "gradient_of",
    "hessian",
    "inverse_or_none",
    "minimum_slopes",
    "near_minimizer",
    "parameter_jacobian",
    "row_hessians",
    "rows_without_slope",
    "spectrum",
    "stationarity_residuals",
    "taylor",
    "values_of_rows",
]
