"""What a method of adjustment finds: means or a slope, and what each row does to them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from ebm_causal.errors import TableError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answer:
    r"""Estimates with their influence functions: an estimate's variance is :math:`\sum_i \phi_i^2 / n^2`.

    Attributes:
        estimates: The means without and with treatment, or one slope alone.
        influence: What each row does to each of them, or None where nobody asked.
        kind: The standard error that the influence gives, in words.
        warnings: What to know before the number is used.
        diagnostics: Numbers that say how far to trust it.
    """

    estimates: Float[np.ndarray, " estimates"]
    influence: Float[np.ndarray, "rows estimates"] | None = None
    kind: str = ""
    warnings: tuple[str, ...] = ()
    diagnostics: Mapping[str, float] = field(default_factory=dict)


def contrasted(answer: Answer, contrast: str) -> float:
    """The slope; the difference of the two means; or the logarithm of their ratio.

    Raises:
        TableError: If a ratio is asked for of means that are not both positive.
    """
    means = answer.estimates
    if len(means) == 1:
        return float(means[0])
    if contrast == "difference":
        return float(means[1] - means[0])
    if not (means > 0).all():
        raise TableError(
            f"a ratio needs two positive means; they are {means[0]:.6g} untreated and {means[1]:.6g} treated: "
            "ask for contrast='difference'."
        )
    return float(np.log(means[1] / means[0]))


def spread(answer: Answer, contrast: str, clusters: np.ndarray | None) -> float:
    r"""The standard error of a contrast, with rows independent, or clusters of them.

    .. math:: \mathrm{se}^2 = \frac{G}{G-1}\,\frac{1}{n^2} \sum_g \Bigl(\sum_{i \in g} \phi_i\Bigr)^2

    without the factor in front where each row stands alone.
    """
    influence = _influence(answer, contrast)
    rows = len(influence)
    if clusters is None:
        return float(np.sqrt(influence @ influence) / rows)
    sums = np.bincount(clusters, weights=influence)
    return float(np.sqrt(len(sums) / (len(sums) - 1) * (sums @ sums)) / rows)


def _influence(answer: Answer, contrast: str) -> Float[np.ndarray, " rows"]:
    by_row, means = np.asarray(answer.influence), answer.estimates
    if len(means) == 1:
        return by_row[:, 0]
    scale = means if contrast == "ratio" else np.ones(2)
    return by_row[:, 1] / scale[1] - by_row[:, 0] / scale[0]
