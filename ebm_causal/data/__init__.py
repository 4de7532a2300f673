"""Tables with roles: read, checked, standardized, and simulated with a known effect."""

from ebm_causal.data.datasets import dataset_names, load_dataset
from ebm_causal.data.designs import Design, Factor
from ebm_causal.data.missing import DroppedRows
from ebm_causal.data.reading import read_table
from ebm_causal.data.scaling import StandardizedTable
from ebm_causal.data.tables import CausalTable, Experiment
from ebm_causal.data.worlds import World, linear_world, village_world

__all__ = [
    "CausalTable",
    "Design",
    "DroppedRows",
    "Experiment",
    "Factor",
    "StandardizedTable",
    "World",
    "dataset_names",
    "linear_world",
    "load_dataset",
    "read_table",
    "village_world",
]
