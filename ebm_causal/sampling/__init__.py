"""Quadratures and kernels over bare callables of a batch: no energies, no names, no Pyro."""

from ebm_causal.sampling.adapting import adapt_lattice, coarse_points, lay_lattices
from ebm_causal.sampling.annealed_search import search_annealed
from ebm_causal.sampling.annealing import Annealed, anneal
from ebm_causal.sampling.batching import run_rows
from ebm_causal.sampling.coordinate_search import search_coordinates
from ebm_causal.sampling.diagnostics import Mixing, indicate_modes, mixing
from ebm_causal.sampling.directions import PointEnergy, curvatures, slopes
from ebm_causal.sampling.drawing import draw_within
from ebm_causal.sampling.evolution import search_evolving
from ebm_causal.sampling.hmc import hmc_step
from ebm_causal.sampling.kernels import Info, State, begin
from ebm_causal.sampling.ladders import effective_share, next_beta
from ebm_causal.sampling.langevin import langevin_step
from ebm_causal.sampling.lattice import Lattice, RowEnergy, joined, resample, weighed
from ebm_causal.sampling.mala import mala_step
from ebm_causal.sampling.minimizers import Certificate, Minima, certify, judge, minimize_rows
from ebm_causal.sampling.mixtures import Mixture, mixture_around
from ebm_causal.sampling.pareto import pareto_k
from ebm_causal.sampling.paths import WALL, Path
from ebm_causal.sampling.pooled import Frame, PooledChains, run_pooled
from ebm_causal.sampling.running import Chains, run_chains
from ebm_causal.sampling.schedules import (
    check_schedule,
    constant_schedule,
    cosine_schedule,
    diffusion_schedule,
    geometric_schedule,
    linear_schedule,
)
from ebm_causal.sampling.sweeping import Sweep, run_sweeps, sweep
from ebm_causal.sampling.telling import Tell, part_of, silent
from ebm_causal.sampling.tempering import run_tempered
from ebm_causal.sampling.tracing import Kernel
from ebm_causal.sampling.tuning import Metric, metric_of, weighted_metric
from ebm_causal.sampling.verdicts import RAN_AWAY, REASONS, Goal, RowChains, Select
from ebm_causal.sampling.weighting import LogMean, log_mean_weight

__all__ = [
    "RAN_AWAY",
    "REASONS",
    "WALL",
    "Annealed",
    "Certificate",
    "Chains",
    "Frame",
    "Goal",
    "Info",
    "Kernel",
    "Lattice",
    "LogMean",
    "Metric",
    "Minima",
    "Mixing",
    "Mixture",
    "Path",
    "PointEnergy",
    "PooledChains",
    "RowChains",
    "RowEnergy",
    "Select",
    "State",
    "Sweep",
    "Tell",
    "adapt_lattice",
    "anneal",
    "begin",
    "certify",
    "check_schedule",
    "coarse_points",
    "constant_schedule",
    "cosine_schedule",
    "curvatures",
    "diffusion_schedule",
    "draw_within",
    "effective_share",
    "geometric_schedule",
    "hmc_step",
    "indicate_modes",
    "joined",
    "judge",
    "langevin_step",
    "lay_lattices",
    "linear_schedule",
    "log_mean_weight",
    "mala_step",
    "metric_of",
    "minimize_rows",
    "mixing",
    "mixture_around",
    "next_beta",
    "pareto_k",
    "part_of",
    "resample",
    "run_chains",
    "run_pooled",
    "run_rows",
    "run_sweeps",
    "run_tempered",
    "search_annealed",
    "search_coordinates",
    "search_evolving",
    "silent",
    "slopes",
    "sweep",
    "weighed",
    "weighted_metric",
]
