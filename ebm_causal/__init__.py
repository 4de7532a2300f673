"""What would happen if we set x, rather than saw it, when something hidden moves both x and the outcome.

The names below are loaded when they are first used: ``import ebm_causal`` itself loads neither torch,
nor pandas, nor DoWhy. They stand in the order in which data meets them.

>>> import ebm_causal as ec
>>> ec.identify(ec.CausalGraph(["z -> x", "z -> y", "x -> y"]), "x", "y").adjustment_sets
(('z',),)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what __getattr__ gives, as type checkers see it
    from ebm_causal.analysis import analyze
    from ebm_causal.data import CausalTable, load_dataset, read_table
    from ebm_causal.energies import (
        BernoulliCost,
        CategoricalCost,
        CodebookRegularizer,
        CosineCost,
        Energy,
        GaussianRegularizer,
        HingeCost,
        HuberCost,
        JointEmbeddingEnergy,
        LaplaceRegularizer,
        LatentEnergy,
        LinearGaussianEnergy,
        Mechanism,
        PoissonCost,
        SquaredError,
        StudentTCost,
        Variable,
        VICRegRegularizer,
        energy,
        finite,
    )
    from ebm_causal.findings import Findings
    from ebm_causal.gibbs import (
        GibbsDensity,
        free_energy,
        log_partition,
        minimize,
        pyro_model,
        thermodynamics,
    )
    from ebm_causal.graph import CausalGraph, identify
    from ebm_causal.inference import Posterior, sample
    from ebm_causal.intervention import (
        adjust,
        confounding_gap,
        counterfactual,
        do,
        interventional,
        observational,
        probabilities_of_causation,
    )
    from ebm_causal.learning import Fit, fit, load_fit
    from ebm_causal.sensitivity import (
        LinearSensitivity,
        OmittedVariableBias,
        bayesian_sensitivity,
        e_value,
        marginal_sensitivity,
        no_assumption_bounds,
        omitted_variable_bias,
        rosenbaum_bounds,
    )
    from ebm_causal.uncertainty import (
        decompose_variance,
        fisher_information,
        laplace_approximation,
        propagate_through_minimum,
        propagate_variance,
    )

_NAMES = {
    "data": ("CausalTable", "read_table", "load_dataset"),
    "graph": ("CausalGraph", "identify"),
    "energies": (
        *("Variable", "finite", "energy", "Energy", "Mechanism"),
        *("SquaredError", "BernoulliCost", "CategoricalCost", "StudentTCost"),
        *("HuberCost", "PoissonCost", "HingeCost", "CosineCost"),
        *("GaussianRegularizer", "LaplaceRegularizer", "CodebookRegularizer", "VICRegRegularizer"),
        *("LatentEnergy", "JointEmbeddingEnergy", "LinearGaussianEnergy"),
    ),
    "gibbs": ("free_energy", "log_partition", "thermodynamics", "GibbsDensity", "pyro_model", "minimize"),
    "inference": ("sample", "Posterior"),
    "learning": ("fit", "Fit", "load_fit"),
    "intervention": (
        "do",
        "interventional",
        "observational",
        "confounding_gap",
        "counterfactual",
        "probabilities_of_causation",
        "adjust",
    ),
    "uncertainty": (
        *("propagate_variance", "propagate_through_minimum", "decompose_variance", "fisher_information"),
        "laplace_approximation",
    ),
    "sensitivity": (
        *("LinearSensitivity", "omitted_variable_bias", "OmittedVariableBias"),
        *(
            "e_value",
            "marginal_sensitivity",
            "rosenbaum_bounds",
            "no_assumption_bounds",
            "bayesian_sensitivity",
        ),
    ),
    "findings": ("Findings",),
    "analysis": ("analyze",),
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names}

__version__ = "0.1.0"
__all__ = [  # noqa: RUF022 -- in the order in which data meets them
    "CausalTable",
    "read_table",
    "load_dataset",
    "CausalGraph",
    "identify",
    "Variable",
    "finite",
    "energy",
    "Energy",
    "Mechanism",
    "SquaredError",
    "BernoulliCost",
    "CategoricalCost",
    "StudentTCost",
    "HuberCost",
    "PoissonCost",
    "HingeCost",
    "CosineCost",
    "GaussianRegularizer",
    "LaplaceRegularizer",
    "CodebookRegularizer",
    "VICRegRegularizer",
    "LatentEnergy",
    "JointEmbeddingEnergy",
    "LinearGaussianEnergy",
    "free_energy",
    "log_partition",
    "thermodynamics",
    "GibbsDensity",
    "pyro_model",
    "minimize",
    "sample",
    "Posterior",
    "fit",
    "Fit",
    "load_fit",
    "do",
    "interventional",
    "observational",
    "confounding_gap",
    "counterfactual",
    "probabilities_of_causation",
    "adjust",
    "propagate_variance",
    "propagate_through_minimum",
    "decompose_variance",
    "fisher_information",
    "laplace_approximation",
    "LinearSensitivity",
    "omitted_variable_bias",
    "OmittedVariableBias",
    "e_value",
    "marginal_sensitivity",
    "rosenbaum_bounds",
    "no_assumption_bounds",
    "bayesian_sensitivity",
    "Findings",
    "analyze",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'ebm_causal' has no attribute {name!r}")
    value = getattr(import_module(f"ebm_causal.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
