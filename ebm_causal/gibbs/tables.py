"""Energies at points that many rows share: what depends on the points alone is computed once for all rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from ebm_causal.energies import Energy, Mechanism


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The factors that depend on the points alone, and the predictions of the mechanisms whose parents do.

    Attributes:
        given: Rows of what is given.
        beta: The inverse temperature.
        alone: The sum of the former, ``[points]``.
        predictions: Mechanisms, each with its predictions ``[points, *child]``.
    """

    given: Mapping[str, Tensor]
    beta: float
    alone: Tensor
    predictions: Sequence[tuple[Mechanism, Tensor]]

    def at(self, places: Tensor, rows: Tensor) -> Tensor:
        """The reduced energies of rows at points of their own, given by places here, ``[rows, points]`` both."""
        flat = places.reshape(-1)
        total = self.alone.index_select(0, flat).reshape(places.shape)
        for mechanism, known in self.predictions:
            child = self.given[mechanism.child]
            prediction = known.index_select(0, flat).reshape(*places.shape, *known.shape[1:])
            values = {name: prediction.new_zeros(1) for name in mechanism.parents}
            values[mechanism.child] = (child if len(child) == 1 else child[rows])[:, None]
            total = total + _with_prediction(mechanism, prediction).reduced(values, self.beta)
        return total


def tabulate(
    energy: Energy, given: Mapping[str, Tensor], values: Mapping[str, Tensor], beta: float
) -> Table | None:
    """A table of an energy at values of the variables that are not given, ``[points, 1, dim]`` each.

    Returns:
        The table, or None where some factor depends on points and rows in another way than through a
        mechanism's prediction, or a variable is an image or a sequence.
    """
    if not isinstance(beta, (int, float)) or any(value.ndim != 3 for value in values.values()):
        return None
    first = next(iter(values.values()))
    alone, predictions = first.new_zeros(len(first), 1), []
    for factor in energy.factors.values():
        if set(factor.variables) <= set(values):
            alone = alone + factor.reduced(values, beta)
        elif isinstance(factor, Mechanism) and _separates(factor, values, given):
            predictions.append((factor, factor.predict(values)[:, 0]))
        else:
            return None
    return Table(given=given, beta=beta, alone=alone[:, 0], predictions=predictions)


def _separates(factor: Mechanism, values: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> bool:
    """Whether its child is given and its parents are not."""
    return (
        type(factor) is Mechanism
        and set(factor.parents) <= set(values)
        and factor.child in given
        and given[factor.child].ndim == 2
    )


def _with_prediction(factor: Mechanism, prediction: Tensor) -> Mechanism:
    """The mechanism with its prediction known."""
    part = Mechanism(
        factor.child,
        factor.parents,
        lambda **parents: prediction,
        factor.cost,
        factor.variables[factor.child],
    )
    part.know(factor.known)
    return part
