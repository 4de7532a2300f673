"""The only door to DoWhy: a second opinion on identification, and two refutation tests.

DoWhy sees copies with plain column names, never a latent, and a random state instead of a seed (with an
int it would draw the same sample in every simulation). Its messages are silenced here and nowhere else.
"""

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd
from jaxtyping import Float

from ebm_causal.errors import ArgumentError, ConvergenceError, TableError
from ebm_causal.graph.checks import Check, Refutation, placebo_treatment, random_common_cause
from ebm_causal.graph.graphs import CausalGraph
from ebm_causal.graph.identification import identify

FEWEST_SIMULATIONS = 39
"""With fewer, a two-sided p value of 2 / (simulations + 1) could never reach .05."""

Simulate = Callable[[np.random.RandomState], float | None]


def check_identification(graph: CausalGraph, treatment: str, outcome: str) -> Check:
    """Ask DoWhy for an adjustment set, by its complete criterion, and compare it with ours.

    Only adjustment is compared: DoWhy 0.14 treats latents as observed in its general algorithm.

    Args:
        graph: The causal graph.
        treatment: The cause, observed.
        outcome: The effect, observed.

    Returns:
        The check: they agree where DoWhy's minimal set is one of ours, or both find none.
    """
    ours = identify(graph, treatment, outcome).adjustment_sets
    plain = {name: f"v{position}" for position, name in enumerate(graph.nodes)}
    with _quiet():
        import dowhy
        from dowhy.causal_identifier.auto_identifier import identify_generalized_adjustment_set

        found = identify_generalized_adjustment_set(
            nx.relabel_nodes(graph.to_networkx(), plain),
            [plain[treatment]],
            [plain[outcome]],
            [plain[name] for name in graph.observed],
        )
    by = f"DoWhy {dowhy.__version__}"
    if not found:
        return Check(by=by, agrees=not ours, text="no set of observed variables is enough to adjust for")
    variables = found[0].get_adjustment_variables()
    theirs = tuple(name for name in graph.nodes if plain[name] in variables)
    what = (
        "{" + ", ".join(map(repr, theirs)) + "} is enough to adjust for"
        if theirs
        else "nothing needs adjustment"
    )
    return Check(by=by, agrees=theirs in ours, text=what)


def refute(
    frame: pd.DataFrame,
    treatment: str,
    outcome: str,
    adjustment: Sequence[str],
    *,
    simulations: int = 40,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Refutation, ...]:
    r"""Try to refute a least-squares effect with DoWhy: a shuffled treatment, and a random common cause.

    With n simulated effects :math:`e_i` and the value e that the null hypothesis expects among them,

    .. math:: p = \min\Bigl(1, 2\,\frac{1 + \min(\#\{e_i \le e\}, \#\{e_i \ge e\})}{n + 1}\Bigr).

    Neither test detects hidden confounding: both pass on estimates that are wholly spurious.

    Args:
        frame: The data, with numeric columns; it is not changed.
        treatment: The column of the treatment.
        outcome: The column of the outcome.
        adjustment: The columns adjusted for.
        simulations: How many simulations each test makes, 39 at least.
        seed: The seed; the same seed gives the same numbers.
        progress: Called with the number of simulations done and the number in all.

    Returns:
        The placebo treatment and the random common cause.

    Raises:
        ArgumentError: If there are too few simulations.
        TableError: If a column is missing, stands twice, or holds what is not a finite number.
        ConvergenceError: If DoWhy returns no finite effect.
    """
    if simulations < FEWEST_SIMULATIONS:
        raise ArgumentError(
            f"simulations must be {FEWEST_SIMULATIONS} or more, or p never reaches .05; got {simulations}."
        )
    data = _plain(frame, (treatment, outcome, *adjustment))
    with _quiet():
        estimate, tests = _prepare(data)
        draws = [
            _simulations(test, np.random.RandomState([seed, position]), simulations)
            for position, test in enumerate(tests)
        ]
        effects = []
        for done, effect in enumerate(chain(*draws), start=1):
            effects.append(effect)
            if progress is not None:
                progress(done, len(tests) * simulations)
    placebo, common_cause = np.split(np.asarray(effects), 2)
    return placebo_treatment(estimate, placebo), random_common_cause(estimate, common_cause)


def _simulations(test: Simulate, random_state: np.random.RandomState, count: int) -> Iterator[float]:
    for _ in range(count):
        yield _finite(test(random_state))


def _prepare(data: pd.DataFrame) -> tuple[float, tuple[Simulate, Simulate]]:
    """The estimate, and for each test a function that makes one simulation.

    One simulation a call, because DoWhy hands back only their mean, and a one-sided p value.
    """
    from dowhy.causal_estimators.linear_regression_estimator import LinearRegressionEstimator
    from dowhy.causal_identifier.identified_estimand import IdentifiedEstimand
    from dowhy.causal_refuters import refute_placebo_treatment, refute_random_common_cause
    from dowhy.causal_refuters.placebo_treatment_refuter import PlaceboType

    treatment, outcome, *adjustment = data.columns
    estimand = IdentifiedEstimand(
        None,
        treatment_variable=[treatment],
        outcome_variable=[outcome],
        backdoor_variables={"backdoor": adjustment},
        default_backdoor_id="backdoor",
        identifier_method="backdoor",
    )
    fitted = LinearRegressionEstimator(estimand).fit(data)
    effect = fitted.estimate_effect(data, treatment_value=1, control_value=0)

    def placebo(random_state: np.random.RandomState) -> float | None:
        return refute_placebo_treatment(
            data.copy(),
            estimand,
            effect,
            [treatment],
            num_simulations=1,
            placebo_type=PlaceboType.PERMUTE,
            random_state=random_state,
        ).new_effect

    def common_cause(random_state: np.random.RandomState) -> float | None:
        return refute_random_common_cause(
            data.copy(), estimand, effect, num_simulations=1, random_state=random_state
        ).new_effect

    return _finite(effect.value), (placebo, common_cause)


def _plain(frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """The columns as floats under names that DoWhy's formulas cannot trip over."""
    columns = {}
    for position, name in enumerate(names):
        found = sum(column == name for column in frame.columns)
        if found != 1 or list(names).count(name) != 1:
            raise TableError(
                f"the column {name!r} must stand once in the table and in one role; found {found}."
            )
        columns[f"v{position}"] = _numbers(frame[name])
    return pd.DataFrame(columns)


def _numbers(column: pd.Series) -> Float[np.ndarray, " rows"]:
    try:
        values = column.to_numpy(dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TableError(f"the column {column.name!r} is not numeric: pass its indicators.") from error
    if not np.isfinite(values).all():
        raise TableError(f"the column {column.name!r} has values that are not finite: drop these rows.")
    return values


def _finite(value: Any) -> float:
    if value is None or not np.isfinite(value):
        raise ConvergenceError(f"DoWhy's linear regression gave the effect {value}: are columns collinear?")
    return float(value)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence DoWhy's logger and its warnings, and leave both as they were."""
    logger = logging.getLogger("dowhy")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
