"""Errors by resampling: of any method, with rows or whole clusters drawn again, on any back end."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float

from ebm_causal.errors import ConvergenceError, EbmCausalError
from ebm_causal.intervention.answers import contrasted
from ebm_causal.intervention.estimators import Method
from ebm_causal.intervention.options import Bootstrap, Options
from ebm_causal.intervention.samples import Sample
from ebm_causal.parallel import run_tasks

AT_A_TIME = 25  # resamples of one task: few enough for progress, many enough to pay for handing over the rows
MOST_LOST = 0.2  # of the resamples; beyond it what is left is a selection

Point = Callable[[np.ndarray], float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ResampledContrast:
    """The contrast of a method on a resample."""

    sample: Sample
    options: Options
    method: Method

    def __call__(self, counts: Float[np.ndarray, " rows"]) -> float:
        """The difference, or the logarithm of the ratio, with each row there so many times."""
        answer = self.method(self.sample.drawn(counts), self.options, False)
        return contrasted(answer, self.options.contrast)


def replicates(
    point: Point, rows: int, bootstrap: Bootstrap, clusters: np.ndarray | None
) -> tuple[Float[np.ndarray, " kept"], tuple[str, ...]]:
    """The estimates of all resamples that have one, and a warning where some have none.

    Resample i draws from a generator seeded with the pair (seed, i), wherever it is computed.

    Raises:
        ConvergenceError: If more than a fifth of the resamples have no estimate.
    """
    starts = range(0, bootstrap.draws, AT_A_TIME)
    tasks = [range(start, min(start + AT_A_TIME, bootstrap.draws)) for start in starts]
    found = run_tasks(
        partial(_some, point, rows, bootstrap.seed, clusters),
        tasks,
        backend=bootstrap.backend,
        workers=bootstrap.workers,
        progress=_by_draws(bootstrap),
    )
    values = np.concatenate(found)
    kept = values[np.isfinite(values)]
    lost = len(values) - len(kept)
    if lost > MOST_LOST * len(values):
        raise ConvergenceError(
            f"{lost} of {len(values)} resamples have no estimate: the arms hardly overlap, or levels have few rows. "
            "Merge levels, or use the analytic error."
        )
    warning = f"{lost} of {len(values)} resamples had no estimate (an arm lacked rows) and are left out."
    return kept, (warning,) if lost else ()


def _some(point: Point, rows: int, seed: int, clusters: np.ndarray | None, draws: range) -> np.ndarray:
    values = np.full(len(draws), np.nan)
    for place, draw in enumerate(draws):
        counts = _counts(np.random.default_rng([seed, draw]), rows, clusters)
        try:
            with np.errstate(all="ignore"):
                values[place] = point(counts)
        except (EbmCausalError, np.linalg.LinAlgError):
            continue
    return values


def _counts(generator: np.random.Generator, rows: int, clusters: np.ndarray | None) -> np.ndarray:
    drawn = rows if clusters is None else int(clusters.max()) + 1
    counts = np.bincount(generator.integers(drawn, size=drawn), minlength=drawn).astype(np.float64)
    return counts if clusters is None else counts[clusters]


def _by_draws(bootstrap: Bootstrap) -> Callable[[int, int], None] | None:
    progress = bootstrap.progress
    if progress is None:
        return None
    return lambda done, _: progress(min(done * AT_A_TIME, bootstrap.draws), bootstrap.draws)
