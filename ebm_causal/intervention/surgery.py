"""The do-operator: delete the mechanism of x, clamp x, keep the rest."""

from collections.abc import Iterable, Mapping

from torch import Tensor

from ebm_causal.energies import (
    Energy,
    Factor,
    FunctionFactor,
    LocalNormalizer,
    Mechanism,
    Regularizer,
    as_energy,
    like_of,
    mechanisms_of,
    undirected_of,
)
from ebm_causal.errors import EnergyError, IdentificationError
from ebm_causal.intervention.policies import obeying
from ebm_causal.shapes import as_rows


def do(energy: Energy | Factor, **values: object) -> Energy:
    r"""The energy under an intervention: :math:`\mathrm{do}(x)` deletes one factor, the mechanism of x.

    .. math:: E_{\mathrm{do}(x)} = \sum_{v \neq x} \Big[E_v(v \mid \text{parents}) + \tfrac1\beta\log Z_v\Big] + R(z)

    Seeing x keeps its mechanism, so that x tells of its causes; doing does not. That is graph surgery only
    where the other mechanisms are locally normalized, so their normalizers are kept as factors wherever
    these may depend on the parents; whatever weighs the result includes them at its own beta.

    A callable is a policy: ``x=lambda w: 2 * w`` sets x by what comes before it, and ``x=lambda x: x + 1`` shifts
    what would have been, which keeps the mechanism of x and lets its effects see the shifted value. A
    :class:`Mechanism` of x takes the place of its own, which is a new law for x.

    Args:
        energy: A sum of mechanisms and regularizers; it is not changed.
        **values: What each variable is set to: a number, ``[dim]``, or ``[rows, dim]`` for one world per row; a
            policy, whose arguments are named after variables; or a mechanism.

    Returns:
        An energy of the remaining variables.

    Raises:
        EnergyError: If a variable is unknown, its value has the wrong shape, is not finite or is outside
            its support, or a policy looks at an effect of what it sets.
        IdentificationError: If another factor is undirected, or a normalizer is not known and cannot be computed.

    Example:
        >>> import ebm_causal as ec
        >>> x = ec.Mechanism("x", "z", lambda z: z, ec.SquaredError())
        >>> y = ec.Mechanism("y", ("x", "z"), lambda x, z: x + 2 * z, ec.SquaredError())
        >>> list(ec.do(x + y + ec.GaussianRegularizer(1), x=1.0).variables)
        ['z', 'y']

    References:
        Pearl (2009), Causality, section 3.2 (truncated factorization); section 4.2 (policies). Diaz and van der Laan
        (2012), Population intervention causal effects based on stochastic interventions (shifts).
    """
    energy = as_energy(energy)
    if not values:
        raise EnergyError("do() needs a variable to set, as in do(energy, x=1.0).")
    refuse_undirected_surgery(energy, values)
    energy, numbers = obeying(energy, values)
    held = held_rows(energy, numbers)
    kept = [factor for factor in energy.factors.values() if not _is_law_of(factor, numbers)]
    have = {factor.mechanism for factor in kept if isinstance(factor, LocalNormalizer)}
    for mechanism in [factor for factor in kept if isinstance(factor, Mechanism)]:
        mechanism.refuse_unknown_normalizer()
        if not mechanism.constant_normalizer and mechanism not in have:
            kept.append(LocalNormalizer(mechanism))
    cut = Energy(kept, clamped={**energy.clamped, **held})
    cut.learn_dims_of(energy)
    return cut


def held_rows(energy: Energy, values: Mapping[str, object]) -> dict[str, Tensor]:
    """Values at which variables are to be held, as rows, checked against shapes and supports.

    Raises:
        EnergyError: Naming the variable.
    """
    held: dict[str, Tensor] = {}
    for name, value in values.items():
        if name in energy.clamped:
            raise EnergyError(f"{name!r} is set already, by do(): start from the energy before that.")
        if name not in energy.variables:
            raise EnergyError(
                f"unknown variable {name!r}; the energy's variables are {list(energy.variables)}."
            )
        variable = energy.variables[name]
        held[name] = as_rows(name, value, variable.shape, like=like_of(energy))
        variable.check(name, held[name])
        _check_law(energy, name, held[name])
        energy.learn_dim(name, tuple(held[name].shape[1:]))
    return held


def _check_law(energy: Energy, name: str, rows: Tensor) -> None:
    """Ask the cost of a separate value whether it is one: how many classes there are its decoder alone says.

    Raises:
        EnergyError: If it is none.
    """
    mechanism, like = mechanisms_of(energy).get(name), like_of(energy)
    if mechanism is None or not energy.variables[name].support.is_discrete:
        return
    parents = {parent: energy.all_variables[parent] for parent in mechanism.parents}
    if any(variable.shape is None for variable in parents.values()):
        return
    shapes = {parent: (len(rows), *(variable.shape or ())) for parent, variable in parents.items()}
    zeros = {parent: like.new_zeros(shape) for parent, shape in shapes.items()}
    if not all(bool(parents[parent].support.check(value).all()) for parent, value in zeros.items()):
        return
    try:
        mechanism.term({**zeros, name: rows})
    except EnergyError as error:
        raise EnergyError(f"{name!r} cannot be held at its value: {error}") from error


def refuse_undirected_surgery(energy: Energy, held: Iterable[str]) -> None:
    """Refuse surgery where a factor has no direction: a plain one on an effect, or on what is held and more.

    Raises:
        IdentificationError: Naming the factor.
    """
    undirected, caused, held = undirected_of(energy), mechanisms_of(energy), set(held)
    for factor in energy.factors.values():
        several = len(factor.variables) > 1
        shared = isinstance(factor, FunctionFactor) and several and held & set(factor.variables)
        if shared or (factor in undirected and (several or caused)):
            raise IdentificationError(
                f"factor {factor.name!r} over {list(factor.variables)} has no direction: which of these causes which "
                "is not said, so deleting a mechanism is not graph surgery. Write it as a Mechanism."
            )


def _is_law_of(factor: object, values: Mapping[str, object]) -> bool:
    if isinstance(factor, Mechanism):
        return factor.child in values
    if isinstance(factor, LocalNormalizer):
        return factor.mechanism.child in values
    if isinstance(factor, FunctionFactor):
        return set(factor.variables) <= set(values)
    return isinstance(factor, Regularizer) and factor.variable in values
