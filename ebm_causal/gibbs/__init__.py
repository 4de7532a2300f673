"""Gibbs-Boltzmann: densities, free energies and partition functions of energies, and energies as Pyro models."""

from ebm_causal.gibbs.density import GibbsDensity
from ebm_causal.gibbs.estimates import Estimate
from ebm_causal.gibbs.free_energies import free_energy
from ebm_causal.gibbs.minima import LocalMinima, Minimum
from ebm_causal.gibbs.minimization import minimize, minimum_free_energy
from ebm_causal.gibbs.models import ConditionalLaw, pyro_model, site_law
from ebm_causal.gibbs.partition import log_partition
from ebm_causal.gibbs.restriction import Restriction, latents_left, restrict
from ebm_causal.gibbs.temperatures import at_each, restrict_at, single_or_schedule
from ebm_causal.gibbs.thermal import Thermodynamics, thermodynamics

__all__ = [
    "ConditionalLaw",
    "Estimate",
    "GibbsDensity",
    "LocalMinima",
    "Minimum",
    "Restriction",
    "Thermodynamics",
    "at_each",
    "free_energy",
    "latents_left",
    "log_partition",
    "minimize",
    "minimum_free_energy",
    "pyro_model",
    "restrict",
    "restrict_at",
    "single_or_schedule",
    "site_law",
    "thermodynamics",
]
