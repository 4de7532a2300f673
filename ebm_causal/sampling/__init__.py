"""Quadratures and kernels over bare callables of a batch: no energies, no names, no Pyro."""

from ebm_causal.sampling.adapting import adapt_lattice
from ebm_causal.sampling.directions import PointEnergy, curvatures
from ebm_causal.sampling.hmc import hmc_init, hmc_step
from ebm_causal.sampling.ladders import effective_share, next_beta
from ebm_causal.sampling.lattice import Lattice
from ebm_causal.sampling.minimizers import Certificate, Minima, certify, judge, minimize_rows
from ebm_causal.sampling.running import Chains, run_chains
from ebm_causal.sampling.schedules import (
    check_schedule,
    constant_schedule,
    cosine_schedule,
    diffusion_schedule,
    geometric_schedule,
    linear_schedule,
)

__all__ = [
    "Certificate",
    "Chains",
    "Lattice",
    "Minima",
    "PointEnergy",
    "adapt_lattice",
    "certify",
    "check_schedule",
    "constant_schedule",
    "cosine_schedule",
    "curvatures",
    "diffusion_schedule",
    "effective_share",
    "geometric_schedule",
    "hmc_init",
    "hmc_step",
    "judge",
    "linear_schedule",
    "minimize_rows",
    "next_beta",
    "run_chains",
]
