"""Quadratures and kernels over bare callables of a batch: no energies, no names, no Pyro."""

from ebm_causal.sampling.adapting import adapt_lattice
from ebm_causal.sampling.hmc import hmc_init, hmc_step
from ebm_causal.sampling.lattice import Lattice
from ebm_causal.sampling.running import Chains, run_chains

__all__ = ["Chains", "Lattice", "adapt_lattice", "hmc_init", "hmc_step", "run_chains"]
