r"""The posterior of an effect when the strength of what is hidden has a prior."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Float

from ebm_causal.data import CausalTable
from ebm_causal.errors import ArgumentError
from ebm_causal.inference import inference_data
from ebm_causal.learning import StrengthPrior
from ebm_causal.sensitivity.arguments import as_two_means, check_natural_seed, check_table
from ebm_causal.sensitivity.benchmarks import omitted_variable_bias
from ebm_causal.sensitivity.calibration import calibrated_prior
from ebm_causal.sensitivity.hidden_confounder import Hidden, fit_hidden
from ebm_causal.sensitivity.omitted_variable import OmittedVariableBias
from ebm_causal.sensitivity.ranges import check_count, check_fraction, check_positive
from ebm_causal.sensitivity.strength_draws import (
    StrengthDraws,
    central,
    fitted_draws,
    in_chains,
    linear_draws,
    sampled_draws,
    spread,
)
from ebm_causal.sensitivity.tipping import tipping_bias
from ebm_causal.shapes import check_callable, is_whole
from ebm_causal.threads import one_thread

DRAWS, CHAIN_DRAWS = 10_000, 1_000
STRENGTHS = ("r2_treatment", "r2_outcome")
Method = Literal["auto", "linear", "energy", "mcmc"]
Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BayesianSensitivity:
    r"""What an effect may be, given data and a prior of how strong a hidden confounder is.

    The data cannot tell the strengths: with linear mechanisms and normal noise their posterior is their prior
    at any number of rows. So the width of the posterior that comes from them does not shrink, and both are
    shown side by side.

    Attributes:
        effect: Draws of the effect, in the outcome's units.
        bias: Draws of what the confounder adds to the slope that is seen, with its sign; of a binary outcome, to the
            difference of chances that is seen, the covariates standardized.
        r2_treatment: Draws of its partial :math:`R^2` with the treatment (with the log-odds index of a binary
            one, unless ``method`` is ``linear``).
        r2_outcome: Draws of its partial :math:`R^2` with the outcome, given treatment and covariates.
        prior_draws: Draws of the two from the prior, by the same names.
        prior: The prior, with where its means come from.
        estimate: The regression's estimate, as if nothing were hidden.
        standard_error: Its standard error.
        method: ``linear``, ``energy`` or ``mcmc``.
        level: Of the interval.
        warnings: What cannot be trusted.
    """

    effect: Float[np.ndarray, " draws"]
    bias: Float[np.ndarray, " draws"]
    r2_treatment: Float[np.ndarray, " draws"]
    r2_outcome: Float[np.ndarray, " draws"]
    prior_draws: dict[str, Float[np.ndarray, " draws"]]
    prior: StrengthPrior
    estimate: float
    standard_error: float
    method: str
    level: float
    warnings: tuple[str, ...]

    @property
    def draws(self) -> dict[str, Float[np.ndarray, " draws"]]:
        """The posterior's draws by name."""
        return {name: getattr(self, name) for name in ("effect", "bias", *STRENGTHS)}

    @property
    def mean(self) -> float:
        """The posterior mean of the effect."""
        return float(self.effect.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """The central interval of the effect, of the given level."""
        return central(self.effect, self.level)

    @property
    def probability_of_sign_change(self) -> float:
        """The posterior chance that the effect has not the estimate's sign."""
        return float((self.effect * np.sign(self.estimate) <= 0).mean())

    @property
    def tipping_point_of_interval(self) -> float | None:
        """How many times as large all biases would have to be for the interval to hold zero.

        0 if it does without any, None if no factor does it. The mean hardly moves: either sign is as likely.
        """
        turn = math.copysign(1.0, self.estimate)
        return tipping_bias(turn * (self.effect + self.bias), turn * self.bias, (1 - self.level) / 2)

    @property
    def text(self) -> str:
        """What it says, in one sentence."""
        lower, upper = self.interval
        return (
            f"With a hidden confounder of partial R\N{SUPERSCRIPT TWO} {self.prior.treatment:.2%} toward the treatment "
            f"and {self.prior.outcome:.2%} toward the outcome on average ({self.prior.source}), and as likely to "
            f"raise as to lower the estimate {self.estimate:.4g}, the effect has the other sign with probability "
            f"{self.probability_of_sign_change:.2g} and lies between {lower:.4g} and {upper:.4g} with probability "
            f"{self.level:g}{_beside(self.tipping_point_of_interval)}; the data do not say how strong the confounder "
            "is, the prior does."
        )

    def summary(self) -> pd.DataFrame:
        """Mean and interval of each quantity, under the posterior and under the prior where it has one."""
        rows = {}
        for name, draws in self.draws.items():
            rows[name] = spread("posterior", draws, self.level)
            if name in self.prior_draws:
                rows[name] |= spread("prior", self.prior_draws[name], self.level)
        return pd.DataFrame(rows).T.rename_axis("quantity")

    def to_arviz(self) -> Any:
        """The draws as ArviZ's data, groups ``posterior`` and ``prior``.

        Draws are shuffled over four chains; ``mcmc`` has passed its own checks on chains before.
        """
        posterior = {name: in_chains(draws) for name, draws in self.draws.items()}
        prior = {name: in_chains(draws) for name, draws in self.prior_draws.items()}
        return inference_data({"posterior": posterior, "prior": prior})

    def plot(
        self, ax: Any = None, of: Literal["effect", "bias", "r2_treatment", "r2_outcome"] = "effect"
    ) -> Any:
        """Draw the posterior: of the effect beside the estimate's own law, of a strength beside its prior."""
        from ebm_causal.figures import densities_picture  # drawing loads matplotlib

        if not isinstance(of, str) or of not in self.draws:
            raise ArgumentError(f"there are draws of {', '.join(self.draws)}; got {of!r}.")
        draws = {"posterior": self.draws[of]}
        if of == "effect":
            seen = np.random.default_rng(0).normal(self.estimate, self.standard_error, len(self.effect))
            draws = {"as if nothing were hidden": seen, **draws}
        elif of in self.prior_draws:
            draws = {"prior": self.prior_draws[of], **draws}
        return densities_picture(draws, of.replace("_", " ").replace("r2", "partial R² with"), ax=ax)

    def __repr__(self) -> str:
        lower, upper = self.interval
        return (
            f"BayesianSensitivity({self.method}, {len(self.effect)} draws: effect {self.mean:.6g}, "
            f"{self.level:.0%} interval [{lower:.6g}, {upper:.6g}], chance of another sign "
            f"{self.probability_of_sign_change:.3g})"
        ).replace("%", " %")


@one_thread()
def bayesian_sensitivity(
    table: CausalTable,
    *,
    multiple: float = 1.0,
    strength: tuple[float, float] | None = None,
    method: Method = "auto",
    draws: int | None = None,
    strengths: int = 32,
    latent_dim: int = 1,
    level: float = 0.95,
    seed: int = 0,
    progress: Progress | None = None,
) -> BayesianSensitivity:
    r"""The posterior of an effect under a hidden confounder whose strength has a prior.

    Each partial :math:`R^2` of the confounder is Beta(1, (1 - m)/m), of mean m; by default m is that of a
    confounder ``multiple`` times as strong as the strongest observed covariate on that side. Its sign is either with
    probability a half.

    - ``linear``: treatment and outcome linear and normal; the posterior has a closed form and is drawn from.
    - ``energy``: the latent energy of the table (a binary variable has a logit), fitted at strengths from their prior
      with the confounder integrated out; the effect is then a mixture of one normal law per strength. The
      strengths keep their prior.
    - ``mcmc``: that energy sampled, strengths and all, by Hamiltonian Monte Carlo. The form of the mechanisms may
      then move the strengths from their prior: an assumption that speaks, not the data alone.
    - ``auto``: ``linear`` for a continuous treatment and outcome, else ``energy``.

    Args:
        table: Treatment, outcome and covariates.
        multiple: How many times as strong as the strongest observed covariate.
        strength: The prior means toward treatment and outcome, if not by the covariates.
        method: As above.
        draws: How many; by default 10,000, for ``mcmc`` 1,000.
        strengths: For ``energy``: how many strengths, a power of two.
        latent_dim: The dimension of the confounder; above one its two sides need not line up.
        level: Of the interval.
        seed: The same seed gives the same draws.
        progress: Told the share done and what is being done.

    Returns:
        The posterior.

    Raises:
        ArgumentError: If a number is out of range.
        TableError: If the regression is saturated, or treatment or outcome have no variance left.

    Examples:
        >>> import ebm_causal as ec
        >>> found = ec.bayesian_sensitivity(ec.load_dataset("nhefs"), method="linear", multiple=3)
        >>> round(found.mean, 1), round(found.probability_of_sign_change, 2)
        (3.5, 0.03)

    References:
        P. Gustafson 2015, Bayesian inference for partially identified models; S. Greenland 2005, "Multiple-bias
        modelling for analysis of observational data", Journal of the Royal Statistical Society A 168.
    """
    check_table(table)
    check_fraction("level", level)
    check_natural_seed(seed)
    check_count("latent_dim", latent_dim, 1)
    check_positive("multiple", multiple)
    if progress is not None:
        check_callable("progress", progress)
    told = progress or (lambda share, what: None)
    served = _chosen(table, method, latent_dim)
    count = draws if draws is not None else (CHAIN_DRAWS if served == "mcmc" else DRAWS)
    check_count("draws", count)
    if not is_whole(strengths) or strengths < 2 or strengths & (strengths - 1):
        raise ArgumentError(f"strengths must be a power of two, 2 or more; got {strengths!r}.")
    strength = None if strength is None else as_two_means(strength)
    omitted = omitted_variable_bias(table, benchmarks="all")
    if served == "linear":
        prior = calibrated_prior(
            table, omitted, latent_dim=latent_dim, strength=strength, multiple=multiple, index=False
        )
        found = linear_draws(omitted, prior, count, np.random.default_rng(seed))
        return _result(omitted, prior, found, served, level)
    hidden = fit_hidden(
        table, omitted, latent_dim=latent_dim, method="svi", seed=seed, strength=strength,
        strengths=strengths if served == "energy" else 1, multiple=multiple,
        progress=lambda share, what: told(share if served == "energy" else 0.1 * share, what),
    )  # fmt: skip
    if served == "energy":
        return bayesian_of_fits(omitted, hidden, draws=count, level=level, seed=seed)
    prior = hidden.fits.prior
    found = sampled_draws(hidden, prior, count, seed, lambda share, what: told(0.1 + 0.9 * share, what))
    return _result(omitted, prior, found, served, level)


def bayesian_of_fits(
    omitted: OmittedVariableBias, hidden: Hidden, *, draws: int = DRAWS, level: float = 0.95, seed: int = 0
) -> BayesianSensitivity:
    """The posterior from fits of a table's latent energy that are there already."""
    unit, generator = hidden.standardized.effect_in_units(1.0), np.random.default_rng(seed)
    found = fitted_draws(hidden.fits, unit, draws, generator)
    return _result(omitted, hidden.fits.prior, found, "energy", level)


def _chosen(table: CausalTable, method: str, latent_dim: int) -> str:
    if not isinstance(method, str) or method not in ("auto", "linear", "energy", "mcmc"):
        raise ArgumentError(f"method must be 'auto', 'linear', 'energy' or 'mcmc'; got {method!r}.")
    if method == "linear" and table.outcome_kind == "binary":
        raise ArgumentError(
            f"{table.outcome!r} is binary, and the linear formula takes it for normal; use method='energy'."
        )
    if method == "mcmc" and latent_dim != 1:
        raise ArgumentError(f"method='mcmc' serves a latent of dimension 1; got {latent_dim}.")
    if method != "auto":
        return method
    both = {table.treatment_kind, table.outcome_kind}
    return "linear" if both == {"continuous"} else "energy"


def _result(
    omitted: OmittedVariableBias, prior: StrengthPrior, found: StrengthDraws, method: str, level: float
) -> BayesianSensitivity:
    return BayesianSensitivity(
        effect=found.effect,
        bias=found.bias,
        r2_treatment=found.r2_treatment,
        r2_outcome=found.r2_outcome,
        prior_draws=dict(zip(STRENGTHS, found.prior, strict=True)),
        prior=prior,
        estimate=omitted.estimate,
        standard_error=omitted.standard_error,
        method=method,
        level=float(level),
        warnings=found.warnings,
    )


def _beside(tipping: float | None) -> str:
    if tipping is None:
        return ""
    if tipping == 0:
        return ", an interval that holds zero without any confounder"
    return f", an interval that would hold zero if all biases were {tipping:.3g} times as large"
