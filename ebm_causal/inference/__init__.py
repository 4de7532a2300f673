"""Inference: marginal likelihoods, posteriors of latents and of parameters, and ArviZ."""

from ebm_causal.inference.arviz import chain_statistics, inference_data
from ebm_causal.inference.arviz import version as arviz_version
from ebm_causal.inference.bounds import Bounds, CompleteLikelihood, bounds_of, log_weights
from ebm_causal.inference.collapsed import Objective, Optimum, maximize, whiten
from ebm_causal.inference.diagnostics import Diagnostics
from ebm_causal.inference.exactly import draw_rows
from ebm_causal.inference.guides import AmortizedGuide, FlatGuide, NormalGuide
from ebm_causal.inference.joint import JointDensity, sample_jointly
from ebm_causal.inference.keeping import Keeper
from ebm_causal.inference.marginal import (
    MarginalLikelihood,
    likelihood_of_given,
    log_likelihood_of_given,
    refuse_undirected,
)
from ebm_causal.inference.mcmc import Kernel, ParameterDraws, sample_parameters
from ebm_causal.inference.parameters import ParameterVector
from ebm_causal.inference.posterior import Posterior, sample
from ebm_causal.inference.svi import Engine, Kind, VariationalRun, run_svi

__all__ = [
    "AmortizedGuide",
    "Bounds",
    "CompleteLikelihood",
    "Diagnostics",
    "Engine",
    "FlatGuide",
    "JointDensity",
    "Keeper",
    "Kernel",
    "Kind",
    "MarginalLikelihood",
    "NormalGuide",
    "Objective",
    "Optimum",
    "ParameterDraws",
    "ParameterVector",
    "Posterior",
    "VariationalRun",
    "arviz_version",
    "bounds_of",
    "chain_statistics",
    "draw_rows",
    "inference_data",
    "likelihood_of_given",
    "log_likelihood_of_given",
    "log_weights",
    "maximize",
    "refuse_undirected",
    "run_svi",
    "sample",
    "sample_jointly",
    "sample_parameters",
    "whiten",
]
