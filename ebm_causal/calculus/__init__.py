"""Derivatives: Jacobians over a batch and curvature of scalar functions of parameters."""

from ebm_causal.calculus.curvature import hessian, inverse_or_none, spectrum
from ebm_causal.calculus.jacobians import batched_jacobian

__all__ = ["batched_jacobian", "hessian", "inverse_or_none", "spectrum"]
