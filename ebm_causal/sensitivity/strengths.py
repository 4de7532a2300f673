r"""The strengths of a hidden confounder: some times as strong as a covariate, or impossible."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ebm_causal.errors import ArgumentError
from ebm_causal.sensitivity.ranges import check_numbers


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bounds:
    """The strengths of confounders some times as strong as a benchmark; NaN within, where none can be.

    Attributes:
        benchmarks: The covariate of each.
        multiples: How many times as strong.
        r2_treatment: Its partial R^2 with the treatment.
        r2_outcome: Its partial R^2 with the outcome.
        warnings: The strengths that cannot be.
    """

    benchmarks: tuple[str, ...]
    multiples: Float[np.ndarray, " bounds"]
    r2_treatment: Float[np.ndarray, " bounds"]
    r2_outcome: Float[np.ndarray, " bounds"]
    warnings: tuple[str, ...]

    def points(self) -> list[tuple[str, float, float]]:
        """The strengths that can be, each with its label."""
        rows = zip(self.benchmarks, self.multiples, self.r2_treatment, self.r2_outcome, strict=True)
        return [(f"{k:g} x {name}", float(d), float(y)) for name, k, d, y in rows if np.isfinite(d + y)]


def checked_benchmarks(benchmarks: object) -> dict[str, tuple[float, float]]:
    """The two partial R^2 of each benchmark, or a refusal of what is not in [0, 1).

    Raises:
        ArgumentError: With the benchmark and the number.
    """
    if not isinstance(benchmarks, Mapping):
        raise ArgumentError(
            "benchmarks must give two partial R^2 for each name, as {'age': (0.01, 0.1)}; got "
            f"{benchmarks!r}."
        )
    return {name: _checked_pair(name, strengths) for name, strengths in benchmarks.items()}


def _checked_pair(name: str, strengths: object) -> tuple[float, float]:
    pair = check_numbers(f"the two partial R^2 of benchmark {name!r}", strengths)
    if pair.shape != (2,):
        raise ArgumentError(
            f"Benchmark {name!r} needs two partial R^2, with the treatment and with the outcome; got {strengths!r}."
        )
    for side, strength in zip(("treatment", "outcome"), pair, strict=True):
        if not 0 <= strength < 1:
            raise ArgumentError(
                f"The partial R^2 of benchmark {name!r} with the {side} must be in [0, 1); got "
                f"{strength:g}. A covariate that explains all of it leaves nothing to compare with."
            )
    return float(pair[0]), float(pair[1])


def bound_strengths(benchmarks: Mapping[str, tuple[float, float]], multiples: Sequence[float]) -> Bounds:
    r"""The strengths of a confounder k times as strong as each benchmark, toward treatment and outcome.

    With the benchmark's own :math:`r_D, r_Y`:

    .. math::
        R_D = k \frac{r_D}{1 - r_D}, \qquad
        R_Y = \left(\frac{\sqrt k + \sqrt{\rho}}{\sqrt{1 - \rho}}\right)^2 \frac{r_Y}{1 - r_Y}, \qquad
        \rho = \frac{k r_D^2}{(1 - k r_D)(1 - r_D)}.

    References:
        C. Cinelli and C. Hazlett 2020, equations 16 to 20.
    """
    names = [name for name in benchmarks for _ in multiples]
    k = np.tile(np.asarray(multiples, dtype=np.float64), len(benchmarks))
    own = np.array([benchmarks[name] for name in names], dtype=np.float64).reshape(-1, 2)
    treatment, outcome = own.T
    r2_treatment = k * treatment / (1 - treatment)
    r2_treatment = np.where(r2_treatment < 1, r2_treatment, np.nan)
    # Below, R_D < 1 gives k r_D < 1 - r_D.
    shared = np.where(r2_treatment < 1, k * treatment**2, np.nan) / ((1 - k * treatment) * (1 - treatment))
    shared = np.where(shared < 1, shared, np.nan)
    r2_outcome = (np.sqrt(k) + np.sqrt(shared)) ** 2 / (1 - shared) * outcome / (1 - outcome)
    r2_outcome = np.where(r2_outcome < 1, r2_outcome, np.nan)
    return Bounds(
        benchmarks=tuple(names),
        multiples=k,
        r2_treatment=r2_treatment,
        r2_outcome=r2_outcome,
        warnings=_warnings(names, k, r2_treatment, r2_outcome),
    )


def _warnings(
    names: Sequence[str],
    multiples: Float[np.ndarray, " bounds"],
    r2_treatment: Float[np.ndarray, " bounds"],
    r2_outcome: Float[np.ndarray, " bounds"],
) -> tuple[str, ...]:
    warnings = []
    for name, k, treatment, outcome in zip(names, multiples, r2_treatment, r2_outcome, strict=True):
        if np.isnan(treatment) or np.isnan(outcome):
            side = "treatment" if np.isnan(treatment) else "outcome"
            warnings.append(
                f"A confounder {k:g} times as strong as {name!r} would have a partial R^2 of 1 or more with "
                f"the {side}: no confounder can be that strong, and there are no bounds."
            )
    return tuple(warnings)
