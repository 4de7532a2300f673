"""The only door to DoWhy: a second opinion on identification, and refutation tests.

DoWhy sees copies with plain column names, never a latent, and a random state instead of a seed (with an
int it would draw the same sample in every simulation). Its messages are silenced here and nowhere else.
"""

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd
from jaxtyping import Float

from ebm_causal.errors import ArgumentError, ConvergenceError, TableError
from ebm_causal.graph.checks import CLAIMS, Check, Refutation, refutation
from ebm_causal.graph.graphs import CausalGraph
from ebm_causal.graph.identification import identify

FEWEST_SIMULATIONS = 39
"""With fewer, a two-sided p value of 2 / (simulations + 1) could never reach .05."""

TESTS = tuple(claim.name for claim in CLAIMS)
DEFAULT_TESTS = TESTS[:2]

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
    tests: Sequence[str] = DEFAULT_TESTS,
    simulations: int = 40,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Refutation, ...]:
    r"""Try to refute a least-squares effect with DoWhy.

    With n simulated effects :math:`e_i` and the value e that the null hypothesis expects among them,

    .. math:: p = \min\Bigl(1, 2\,\frac{1 + \min(\#\{e_i \le e\}, \#\{e_i \ge e\})}{n + 1}\Bigr).

    No test detects hidden confounding: all pass on estimates that are wholly spurious. The subset and the
    bootstrap can hardly fail for least squares; they show how far the estimate moves with the rows.

    Args:
        frame: The data, with numeric columns; it is not changed.
        treatment: The column of the treatment.
        outcome: The column of the outcome.
        adjustment: The columns adjusted for.
        tests: Which of ``"placebo treatment"``, ``"random common cause"``, ``"data subset"``, ``"bootstrap"``
            and ``"dummy outcome"``; by default the first two.
        simulations: How many simulations each test makes, 39 at least.
        seed: The seed; the same seed gives the same numbers.
        progress: Called with the number of simulations done and the number in all.

    Returns:
        One refutation for each test, in the order asked.

    Raises:
        ArgumentError: If there are too few simulations, or a test is unknown.
        TableError: If a column is missing, stands twice, or holds what is not a finite number.
        ConvergenceError: If DoWhy returns no finite effect.
    """
    _check_asked(frame, adjustment, tests, (simulations, seed))
    data = _plain(frame, (treatment, outcome, *adjustment))
    effects: list[float] = []
    with _quiet(), _numpy_state():
        estimate, simulate = _prepared(data)
        for name, random_state in _states(tests, simulations, seed):
            effects.append(_finite(simulate[name](random_state)))
            if progress is not None:
                progress(len(effects), len(tests) * simulations)
    draws = np.asarray(effects).reshape(len(tests), simulations)
    claims = [CLAIMS[TESTS.index(name)] for name in tests]
    return tuple(refutation(claim, _finite(estimate), own) for claim, own in zip(claims, draws, strict=True))


def _check_asked(frame: object, adjustment: object, tests: object, counts: tuple[Any, Any]) -> None:
    from ebm_causal.shapes import is_whole  # with torch, which graphs do without

    simulations, seed = counts
    if not is_whole(simulations) or simulations < FEWEST_SIMULATIONS:
        raise ArgumentError(
            f"simulations must be {FEWEST_SIMULATIONS} or more, or p never reaches .05; got {simulations!r}."
        )
    if not is_whole(seed) or not 0 <= seed < 2**32:
        raise ArgumentError(f"seed must be a whole number from 0 to below 2 ** 32; got {seed!r}.")
    if not isinstance(frame, pd.DataFrame):
        raise TableError(f"the data must be a DataFrame; got {type(frame).__name__}.")
    names = tests if isinstance(tests, Sequence) and not isinstance(tests, str) else ()
    if not names or any(name not in TESTS for name in names):
        raise ArgumentError(f"tests must be a list of {', '.join(map(repr, TESTS))}; got {tests!r}.")
    if not isinstance(adjustment, Sequence) or isinstance(adjustment, str):
        raise ArgumentError(f"adjustment must be a list of columns; got {adjustment!r}.")


def _states(tests: Sequence[str], simulations: int, seed: int) -> Iterator[tuple[str, np.random.RandomState]]:
    """The test of each simulation, with the random state that all simulations of a test go on with."""
    for name in tests:
        random_state = np.random.RandomState([seed, TESTS.index(name)])
        for _ in range(simulations):
            yield name, random_state


def _prepared(data: pd.DataFrame) -> tuple[float | None, dict[str, Simulate]]:
    """The estimate, and for each test a function that makes one simulation.

    One simulation a call, because DoWhy hands back only their mean, and a one-sided p value.
    """
    from dowhy import causal_refuters as refuters
    from dowhy.causal_refuters.placebo_treatment_refuter import PlaceboType

    estimand, effect = _dowhys_effect(data)
    treatment = [data.columns[0]]

    def one(refuter: Callable[..., Any], *names: Any, **options: Any) -> Callable[..., float | None]:
        def simulate(random_state: np.random.RandomState) -> float | None:
            drawn = {"num_simulations": 1, "random_state": random_state}
            return refuter(data.copy(), estimand, effect, *names, **drawn, **options).new_effect

        return simulate

    made, noise = _made_outcome(data)

    def dummy(random_state: np.random.RandomState) -> float | None:
        np.random.seed(random_state.randint(2**31))  # noqa: NPY002 -- it takes no random state
        found = refuters.refute_dummy_outcome(
            data.assign(**{data.columns[1]: made}),
            estimand,
            effect,
            treatment,
            data.columns[1],
            required_variables=True,
            transformation_list=[("noise", {"std_dev": noise})],
            num_simulations=1,
        )
        return found[0].new_effect

    simulate = (
        one(refuters.refute_placebo_treatment, treatment, placebo_type=PlaceboType.PERMUTE),
        one(refuters.refute_random_common_cause),
        one(refuters.refute_data_subset, subset_fraction=0.8),
        one(refuters.refute_bootstrap, noise=0.0),
        dummy,
    )
    return effect.value, dict(zip(TESTS, simulate, strict=True))


def _dowhys_effect(data: pd.DataFrame) -> tuple[Any, Any]:
    """DoWhy's estimand, and its estimate by least squares."""
    from dowhy.causal_estimators.linear_regression_estimator import LinearRegressionEstimator
    from dowhy.causal_identifier.identified_estimand import IdentifiedEstimand

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
    return estimand, fitted.estimate_effect(data, treatment_value=1, control_value=0)


def _made_outcome(data: pd.DataFrame) -> tuple[Float[np.ndarray, " rows"], float]:
    """What the covariates make of the outcome at a treatment held fixed, and the deviation of the rest."""
    values = data.to_numpy()
    columns = np.column_stack([np.ones(len(values)), values[:, 2:], values[:, 0]])
    coefficients = np.linalg.lstsq(columns, values[:, 1], rcond=None)[0]
    noise = values[:, 1] - columns @ coefficients
    return columns[:, :-1] @ coefficients[:-1], float(noise.std())


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
    data = pd.DataFrame(columns)
    _refuse_no_effect(data, names)
    return data


def _refuse_no_effect(data: pd.DataFrame, names: Sequence[str]) -> None:
    """Refuse where least squares has no effect to give."""
    rows, columns = data.shape
    if rows <= columns:
        raise TableError(f"{rows} rows are too few for an effect with {columns - 2} covariates and an error.")
    treatment, covariates = data.to_numpy()[:, 0], data.to_numpy()[:, 2:]
    others = np.column_stack([np.ones(rows), covariates])
    left = treatment - others @ np.linalg.lstsq(others, treatment, rcond=None)[0]
    if not left @ left > 1e-16 * (treatment @ treatment):
        raise TableError(
            f"the treatment {names[0]!r} is constant, or a combination of the covariates: it has no effect to refute."
        )


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


@contextmanager
def _numpy_state() -> Iterator[None]:
    """Give numpy's global generator back as it was: two of DoWhy's refuters draw from it."""
    state = np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
