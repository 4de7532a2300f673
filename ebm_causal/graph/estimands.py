r"""The answer to a causal question: whether an effect is identified, by what, and what it equals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Float

from ebm_causal.errors import TableError
from ebm_causal.graph.evaluation import check_joint, count_levels, marginal, times, undefined, value_of
from ebm_causal.graph.expressions import Term, free, name_in_latex, probabilities, written

Kind = Literal["backdoor", "frontdoor", "general", "iv", "unidentified"]
Names = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Expression:
    r"""What :math:`P(y \mid do(x))` equals: a function of the observed distribution alone.

    Attributes:
        treatment: The cause x.
        outcome: The effect y.
        term: The function, as sums, products and quotients of probabilities.

    Examples:
        >>> import ebm_causal as ec
        >>> graph = ec.CausalGraph(["x -> m -> y", "x <-> y"])
        >>> print(ec.identify(graph, "x", "y").expression.text)
        P(y | do(x)) = Σ_{m} P(m | x) [Σ_{x'} P(y | x', m) P(x')]
    """

    treatment: str
    outcome: str
    term: Term

    @property
    def text(self) -> str:
        """The expression in plain text."""
        return f"P({self.outcome} | do({self.treatment})) = {written(self.term, False, self._visible())}"

    @property
    def latex(self) -> str:
        r"""The expression in LaTeX, without dollar signs."""
        x, y = name_in_latex(self.treatment), name_in_latex(self.outcome)
        return rf"P({y} \mid do({x})) = {written(self.term, True, self._visible())}"

    @property
    def anchors(self) -> Names:
        """Variables that stand in the expression though the effect is the same at each of their values."""
        return tuple(sorted(free(self.term) - {self.treatment, self.outcome}))

    @property
    def variables(self) -> Names:
        """All variables that must be observed."""
        inside = [name for p in probabilities(self.term) for name in (*p.variables, *p.given)]
        return tuple(dict.fromkeys([self.treatment, self.outcome, *inside]))

    def evaluate(
        self, joint: Float[np.ndarray, "*levels"], names: Sequence[str]
    ) -> Float[np.ndarray, "treatments outcomes"]:
        """The law of the outcome at each level of the treatment, from a joint distribution.

        Where the expression has ``anchors``, it is averaged over their observed distribution.

        Args:
            joint: The probabilities, an axis for each variable; it is not changed.
            names: The variables of the axes, in order; others than those of the expression may be among them.

        Returns:
            A row for each level of the treatment, a column for each level of the outcome.

        Raises:
            ArgumentError: If a variable has no axis, or these are no probabilities.
            TableError: If the expression is not defined: levels that it conditions on never occur together.
        """
        levels = {name: range(size) for name, size in zip(names, np.shape(joint), strict=False)}
        return self._evaluated(joint, names, levels)

    def estimate(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The law of the outcome at each level of the treatment, from the counts of discrete columns.

        The plug-in estimate, without a model or a standard error. It needs rows in every combination of
        levels that the expression conditions on.

        Args:
            frame: The data; other columns than those of the expression are not looked at.

        Returns:
            A row for each level of the treatment, a column for each level of the outcome.

        Raises:
            TableError: If a column is missing, has missing values or too many levels, or if a combination
                that is needed has no rows.
        """
        joint, levels = count_levels(frame, self.variables)
        rows, columns = (pd.Index(levels[name], name=name) for name in (self.treatment, self.outcome))
        return pd.DataFrame(self._evaluated(joint, self.variables, levels), index=rows, columns=columns)

    def _evaluated(self, joint: np.ndarray, names: Sequence[str], levels: dict) -> np.ndarray:
        axes = check_joint(joint, names, self.variables)
        x, y = axes[self.treatment], axes[self.outcome]
        anchors = [axes[name] for name in self.anchors]
        values = times(value_of(self.term, joint, axes), marginal(joint, anchors))
        values = values.sum(axis=tuple(anchors), keepdims=True)
        shape = [size if axis in (x, y) else 1 for axis, size in enumerate(joint.shape)]
        rest = tuple(axis for axis in range(joint.ndim) if axis not in (x, y))
        table = np.broadcast_to(values, shape).squeeze(axis=rest)
        if not np.isfinite(table).all():
            raise TableError(undefined(self.term, joint, axes, levels))
        return np.array(table if x < y else table.T)

    def _visible(self) -> dict[str, int]:
        return dict.fromkeys(free(self.term) | {self.treatment, self.outcome}, 0)

    def _repr_latex_(self) -> str:
        return f"${self.latex}$"

    def __repr__(self) -> str:
        return f"Expression({self.text})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimand:
    """Whether and how an effect follows from observed data, given the graph.

    Attributes:
        kind: The first that holds of "backdoor", "frontdoor", "general", "iv", "unidentified".
        treatment: The cause in question.
        outcome: The effect in question.
        adjustment_sets: All minimal sets that meet the back-door criterion, the smallest first.
        cheapest_set: The adjustment set of least cost; of least size, where no costs were given.
        mediators: For the front door, a set of variables from which none can be left out.
        instruments: For "iv", each instrument with what it must be conditioned on.
        expression: What the effect equals, or None where it is not identified.
        hedge: Where it is not: two sets of variables, each connected by hidden causes, the larger with the
            treatment and the smaller without it, that show that no function of the data is the effect.
        text: The answer in words.
        warnings: What to mind, for example that the effect is zero.
    """

    kind: Kind
    treatment: str
    outcome: str
    adjustment_sets: tuple[Names, ...] = ()
    cheapest_set: Names | None = None
    mediators: Names = ()
    instruments: tuple[tuple[str, Names], ...] = ()
    expression: Expression | None = None
    hedge: tuple[Names, Names] | None = None
    text: str
    warnings: tuple[str, ...] = ()

    @property
    def identified(self) -> bool:
        """Whether the effect follows without assumptions on the form of the mechanisms."""
        return self.kind not in ("iv", "unidentified")

    def summary(self) -> pd.DataFrame:
        """One row per way to the effect: its kind, its variables, and what they are given."""
        rows: list[tuple[Names, Names]] = [(self.mediators, ())]
        if self.kind == "backdoor":
            rows = [(names, ()) for names in self.adjustment_sets]
        elif self.kind == "iv":
            rows = [((name,), given) for name, given in self.instruments]
        table = pd.DataFrame(rows, columns=["variables", "given"])
        table.insert(0, "kind", self.kind)
        return table

    def __repr__(self) -> str:
        return f"Estimand({self.kind}: {self.text})"
