"""Gibbs-Boltzmann: densities, free energies and partition functions of energies, and energies as Pyro models."""

from ebm_causal.gibbs.density import GibbsDensity
from ebm_causal.gibbs.estimates import Estimate, level_of_caller
from ebm_causal.gibbs.free_energies import free_energy
from ebm_causal.gibbs.importance import MOST_MODES, STARTS, UNSEEN, numbered_blocks, trusted_k
from ebm_causal.gibbs.judging import check_energy
from ebm_causal.gibbs.minima import LocalMinima, Minimum
from ebm_causal.gibbs.minimization import minimize, minimum_free_energy
from ebm_causal.gibbs.models import ConditionalLaw, pyro_model, site_law
from ebm_causal.gibbs.modes import Modes, find_modes
from ebm_causal.gibbs.partition import log_partition
from ebm_causal.gibbs.restriction import MOST_STATES, Restriction, latents_left, restrict, values_of
from ebm_causal.gibbs.starting import draw_starts
from ebm_causal.gibbs.states import count_states, hold, states_of
from ebm_causal.gibbs.temperatures import at_each, restrict_at, single_or_schedule
from ebm_causal.gibbs.thermal import Thermodynamics, thermodynamics

__all__ = [
    "MOST_MODES",
    "MOST_STATES",
    "STARTS",
    "UNSEEN",
    "ConditionalLaw",
    "Estimate",
    "GibbsDensity",
    "LocalMinima",
    "Minimum",
    "Modes",
    "Restriction",
    "Thermodynamics",
    "at_each",
    "check_energy",
    "count_states",
    "draw_starts",
    "find_modes",
    "free_energy",
    "hold",
    "latents_left",
    "level_of_caller",
    "log_partition",
    "minimize",
    "minimum_free_energy",
    "numbered_blocks",
    "pyro_model",
    "restrict",
    "restrict_at",
    "single_or_schedule",
    "site_law",
    "states_of",
    "thermodynamics",
    "trusted_k",
    "values_of",
]
