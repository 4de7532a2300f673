"""What a second opinion says: checks of identification, and refutations with what they are blind to."""

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A second opinion on identification.

    Attributes:
        by: Who was asked, with the version.
        agrees: Whether the answers are the same.
        text: What the other says.
    """

    by: str
    agrees: bool
    text: str

    def summary(self) -> pd.DataFrame:
        """The check as one row."""
        return pd.DataFrame([asdict(self)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Refutation:
    """One attempt to refute an estimate, with what it tests and what it is blind to.

    Attributes:
        name: The test.
        null_hypothesis: What the p value speaks of.
        cannot_detect: What passes the test though it is wrong.
        estimate: The effect as estimated.
        new_effect: The mean effect over the simulations.
        p_value: Two-sided, from the rank of the expected value among the simulations.
        passed: Whether the p value is above .05.
        text: The result in words.
    """

    name: str
    null_hypothesis: str
    cannot_detect: str
    estimate: float
    new_effect: float
    p_value: float
    passed: bool
    text: str

    def summary(self) -> pd.DataFrame:
        """The refutation as one row."""
        return pd.DataFrame([asdict(self)])

    def __repr__(self) -> str:
        return f"Refutation({self.text})"


def placebo_treatment(estimate: float, draws: Float[np.ndarray, " simulations"]) -> Refutation:
    """Read the effects of shuffled treatments: they should scatter about zero."""
    p_value = two_sided(0.0, draws)
    return Refutation(
        name="placebo treatment",
        null_hypothesis="a treatment that was shuffled over the rows has no effect",
        cannot_detect="hidden confounding: shuffling cuts the hidden cause from the treatment too",
        estimate=estimate,
        new_effect=float(draws.mean()),
        p_value=p_value,
        passed=p_value > 0.05,
        text=f"placebo treatment: with the treatment shuffled {len(draws)} times the effect is "
        f"{draws.mean():.4g} on average (sd {draws.std(ddof=1):.2g}), and 0 is expected (p = {p_value:.2g})",
    )


def random_common_cause(estimate: float, draws: Float[np.ndarray, " simulations"]) -> Refutation:
    """Read the effects with a random covariate added: they should scatter about the estimate."""
    p_value = two_sided(estimate, draws)
    return Refutation(
        name="random common cause",
        null_hypothesis="one more covariate that is pure noise leaves the effect where it was",
        cannot_detect="hidden confounding: the covariate that is added is tied to nothing",
        estimate=estimate,
        new_effect=float(draws.mean()),
        p_value=p_value,
        passed=p_value > 0.05,
        text=f"random common cause: with a random covariate added {len(draws)} times the effect is "
        f"{draws.mean():.4g} on average (sd {draws.std(ddof=1):.2g}), and {estimate:.4g} is expected "
        f"(p = {p_value:.2g})",
    )


def two_sided(expected: float, draws: Float[np.ndarray, " simulations"]) -> float:
    r"""The two-sided p value of an expected value by its rank among n simulated ones.

    .. math:: p = \min\Bigl(1, 2\,\frac{1 + \min(\#\{e_i \le e\}, \#\{e_i \ge e\})}{n + 1}\Bigr)

    Valid where the expected value is exchangeable with the simulated ones; never zero.
    """
    rounding = 1e-9 * max(abs(expected), float(np.abs(draws).max()))
    below, above = (draws <= expected + rounding).sum(), (draws >= expected - rounding).sum()
    return float(min(1.0, 2 * (1 + min(below, above)) / (len(draws) + 1)))
