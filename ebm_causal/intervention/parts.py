"""Cross-fitting: models are fitted on some rows and asked about others."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ebm_causal.errors import ArgumentError
from ebm_causal.intervention.options import Options
from ebm_causal.intervention.samples import Sample

FOLDS_OF_LEARNERS = 5
"""Where a caller's estimator is fitted and no number of folds is given: without folds it would see its own errors."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """The rows to fit on, the rows to ask about, and what to call the former in an error."""

    fitted: np.ndarray | slice
    inside: np.ndarray | slice
    called: str


def parts_of(sample: Sample, options: Options) -> tuple[list[Part], str]:
    """The parts, and how to say in words that there are some.

    Raises:
        ArgumentError: If an arm has fewer rows than there are folds.
    """
    if options.folds is None and not options.learned:
        return [Part(fitted=slice(None), inside=slice(None), called="")], ""
    folds = FOLDS_OF_LEARNERS if options.folds is None else options.folds
    smallest = int(min((sample.treatment == arm).sum() for arm in (0, 1)))
    if not 2 <= folds <= smallest:
        raise ArgumentError(f"folds must be from 2 to the {smallest} rows of the smaller arm; got {folds}.")
    fold = _drawn_folds(sample.treatment, folds, options.seed)
    parts = [
        Part(
            fitted=np.flatnonzero(fold != one),
            inside=np.flatnonzero(fold == one),
            called=f" in the rows outside of fold {one + 1}",
        )
        for one in range(folds)
    ]
    return parts, f", cross-fitted in {folds} folds"


def _drawn_folds(treatment: Float[np.ndarray, " rows"], folds: int, seed: int) -> np.ndarray:
    draws = np.random.default_rng(seed)
    fold = np.empty(len(treatment), dtype=np.int64)
    for arm in (0, 1):  # each fold gets its share of both arms
        rows = draws.permutation(np.flatnonzero(treatment == arm))
        fold[rows] = np.arange(len(rows)) % folds
    return fold
