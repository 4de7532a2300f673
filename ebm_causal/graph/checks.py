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


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a refutation tests, what it is blind to, and what it does to the data, in words."""

    name: str
    null_hypothesis: str
    cannot_detect: str
    what: str
    expects_zero: bool


CLAIMS = (
    Claim(
        name="placebo treatment",
        null_hypothesis="a treatment that was shuffled over the rows has no effect",
        cannot_detect="hidden confounding: shuffling cuts the hidden cause from the treatment too",
        what="with the treatment shuffled {count} times",
        expects_zero=True,
    ),
    Claim(
        name="random common cause",
        null_hypothesis="one more covariate that is pure noise leaves the effect where it was",
        cannot_detect="hidden confounding: the covariate that is added is tied to nothing",
        what="with a random covariate added {count} times",
        expects_zero=False,
    ),
    Claim(
        name="data subset",
        null_hypothesis="four fifths of the rows, drawn at random, give the same effect but for chance",
        cannot_detect="hidden confounding: it is as strong in a random part of the rows as in all of them",
        what="on {count} random subsets of four fifths of the rows",
        expects_zero=False,
    ),
    Claim(
        name="bootstrap",
        null_hypothesis="rows drawn again with replacement give the same effect but for chance",
        cannot_detect="hidden confounding, and a wrong model: both are in every resample",
        what="on {count} resamples of the rows",
        expects_zero=False,
    ),
    Claim(
        name="dummy outcome",
        null_hypothesis="an outcome made from the covariates and noise alone shows no effect of the treatment",
        cannot_detect="hidden confounding: the outcome that is made has no hidden cause; and a form of the "
        "covariates' part that is not linear, for it is made linear",
        what="with an outcome made from the covariates and noise {count} times",
        expects_zero=True,
    ),
)
"""All refutations, in the order in which they are reported."""


def refutation(claim: Claim, estimate: float, draws: Float[np.ndarray, " simulations"]) -> Refutation:
    """Read the effects of the simulations: they should scatter about zero, or about the estimate."""
    expected = 0.0 if claim.expects_zero else estimate
    p_value = two_sided(expected, draws)
    return Refutation(
        name=claim.name,
        null_hypothesis=claim.null_hypothesis,
        cannot_detect=claim.cannot_detect,
        estimate=estimate,
        new_effect=float(draws.mean()),
        p_value=p_value,
        passed=p_value > 0.05,
        text=f"{claim.name}: {claim.what.format(count=len(draws))} the effect is {draws.mean():.4g} on average "
        f"(sd {draws.std(ddof=1):.4g}), and {expected:.4g} is expected (p = {p_value:.2g})",
    )


def two_sided(expected: float, draws: Float[np.ndarray, " simulations"]) -> float:
    r"""The two-sided p value of an expected value by its rank among n simulated ones.

    .. math:: p = \min\Bigl(1, 2\,\frac{1 + \min(\#\{e_i \le e\}, \#\{e_i \ge e\})}{n + 1}\Bigr)

    Valid where the expected value is exchangeable with the simulated ones; never zero.
    """
    rounding = 1e-9 * max(abs(expected), float(np.abs(draws).max()))
    below, above = (draws <= expected + rounding).sum(), (draws >= expected - rounding).sum()
    return float(min(1.0, 2 * (1 + min(below, above)) / (len(draws) + 1)))
