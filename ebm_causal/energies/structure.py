"""What an energy's factors say together: the graph, the latents, the order of causes, the parameters' names."""

import itertools
import re
from collections.abc import Iterable, Mapping

import networkx as nx
import torch
from torch import Tensor, nn

from ebm_causal.energies.energies import Energy
from ebm_causal.energies.factors import Factor, FunctionFactor
from ebm_causal.energies.mechanisms import LocalNormalizer, Mechanism
from ebm_causal.energies.regularizers import Regularizer
from ebm_causal.errors import ArgumentError, EnergyError


def mechanisms_of(energy: Energy) -> Mapping[str, Mechanism]:
    """The mechanisms by child."""
    return {f.child: f for f in energy.factors.values() if isinstance(f, Mechanism)}


def regularizers_of(energy: Energy) -> Mapping[str, Regularizer]:
    """The regularizers by variable."""
    return {f.variable: f for f in energy.factors.values() if isinstance(f, Regularizer)}


def undirected_of(energy: Energy) -> tuple[Factor, ...]:
    """The plain factors that touch a variable with a mechanism, or that are all the energy has.

    A plain factor on variables without a mechanism is a regularizer where there are mechanisms.
    """
    caused = set(mechanisms_of(energy))
    plain = [f for f in energy.factors.values() if isinstance(f, FunctionFactor)]
    return tuple(f for f in plain if not caused or caused & set(f.variables))


def latents_of(energy: Energy) -> tuple[str, ...]:
    """Variables with a regularizer and without a mechanism, in the energy's order."""
    caused, undirected = set(mechanisms_of(energy)), undirected_of(energy)
    weighed = set(regularizers_of(energy))
    for factor in energy.factors.values():
        if isinstance(factor, FunctionFactor) and factor not in undirected:
            weighed |= set(factor.variables)
    return tuple(name for name in energy.variables if name in weighed - caused)


def graph_of(energy: Energy) -> nx.DiGraph:
    """The causal graph: arrows from each mechanism's parents to its child, nodes marked ``latent``."""
    latents = set(latents_of(energy))
    graph = nx.DiGraph()
    graph.add_nodes_from((name, {"latent": name in latents}) for name in energy.variables)
    for child, mechanism in mechanisms_of(energy).items():
        graph.add_edges_from((parent, child) for parent in mechanism.parents if parent in graph)
    return graph


def causal_order(energy: Energy) -> tuple[str, ...]:
    """The variables, causes first.

    Raises:
        EnergyError: If the mechanisms form a cycle.
    """
    graph = graph_of(energy)
    try:
        return tuple(nx.lexicographical_topological_sort(graph, key=list(graph).index))
    except nx.NetworkXUnfeasible as error:
        cycle = " -> ".join(edge[0] for edge in nx.find_cycle(graph))
        raise EnergyError(
            f"the mechanisms form a cycle, {cycle}: a causal energy needs an order of causes."
        ) from error


def normalized(energy: Energy) -> Energy:
    r"""The same energy with a local normalizer beside each mechanism: a product of conditional densities.

    Regularizers need none of their own here: their normalizers do not depend on other variables.
    """
    have = {f.mechanism for f in energy.factors.values() if isinstance(f, LocalNormalizer)}
    added = [LocalNormalizer(m) for m in mechanisms_of(energy).values() if m not in have]
    whole = Energy([*energy.factors.values(), *added], clamped=energy.clamped)
    whole.learn_dims_of(energy)
    return whole


def prior_groups(energy: Energy) -> tuple[Energy, ...]:
    """What weighs the variables without mechanisms: regularizers and plain factors, those that share variables as one.

    Each group is a prior of its own, proportional to exp(-beta times its sum).
    """
    caused = set(mechanisms_of(energy))
    weighing = [
        factor
        for factor in energy.factors.values()
        if isinstance(factor, Regularizer | FunctionFactor) and not caused & set(factor.variables)
    ]
    shared = nx.Graph()
    for factor in weighing:
        nx.add_path(shared, factor.variables)
        shared.add_nodes_from(factor.variables)
    parts = ([f for f in weighing if part & set(f.variables)] for part in nx.connected_components(shared))
    return tuple(Energy(part) for part in parts)


def unclamped(energy: Energy) -> Energy:
    """The same factors as a function of all variables, clamped ones included; itself where none is clamped."""
    if not energy.clamped:
        return energy
    opened = Energy(energy.factors.values())
    opened.learn_dims_of(energy)
    return opened


def like_of(energy: Energy) -> Tensor:
    """A tensor of the dtype and device that an energy's arrays have; float64 where it holds none."""
    for tensor in itertools.chain(energy.parameters(), energy.buffers()):
        if tensor.is_floating_point() and tensor.ndim > 0:
            return tensor.detach()
    return torch.zeros(1, dtype=torch.float64)


def named_parameters(energy: Energy) -> Mapping[str, nn.Parameter]:
    """The learnable parameters by the names that a reader would give them.

    A plain factor's parameters keep their own names (``w``); a mechanism's start with its child
    (``y.decoder.weight``), a regularizer's with its name. Names that clash get the factor's name.
    """
    found: dict[str, nn.Parameter] = {}
    for factor_name, factor in energy.factors.items():
        if isinstance(factor, LocalNormalizer):
            continue
        for local, parameter in factor.named_parameters():
            if any(parameter is known for known in found.values()):
                continue
            name = _display(factor, local)
            found[f"{factor_name}.{local}" if name in found else name] = parameter
    return found


def find_parameters(energy: Energy, wanted: Iterable[str]) -> tuple[str, ...]:
    """The full names of parameters given by full name or by an ending of it that fits only one.

    Raises:
        ArgumentError: If a name fits none, or several.
    """
    known = tuple(named_parameters(energy))
    full: list[str] = []
    for name in wanted:
        hits = [k for k in known if k == name] or [k for k in known if k.endswith(f".{name}")]
        if len(hits) != 1:
            what = "is not a parameter" if not hits else f"could be any of {hits}"
            raise ArgumentError(f"{name!r} {what}; the energy's parameters are {list(known)}.")
        full.append(hits[0])
    return tuple(full)


def _display(factor: Factor, local: str) -> str:
    if isinstance(factor, FunctionFactor):
        return re.sub(r"^(function\.)+", "", local)  # once more for each time it was scaled
    shorter = local.replace(".value", "")
    return f"{factor.name}.{shorter}"


def as_energy(energy: object) -> Energy:
    """An energy as it is, a factor as the energy of that factor alone.

    Raises:
        EnergyError: If it is neither.
    """
    if isinstance(energy, Energy):
        return energy
    if isinstance(energy, Factor):
        return Energy([energy])
    raise EnergyError(
        f"an energy is made by ec.energy(function, x=1, ...), or is a sum of factors; got {type(energy).__name__}."
    )
