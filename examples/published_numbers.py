# %% [markdown]
# # Do the estimates agree with what was published?
#
# Three studies with numbers in print. They also show three situations: an experiment that says what is true,
# a textbook analysis done several ways, and a sensitivity analysis from summary statistics alone.

# %%
import matplotlib.pyplot as plt

import ebm_causal as ec
from ebm_causal.figures import forest_picture


def check(found, expected, digits):
    """Print a number beside the published one, and insist."""
    print(f"{found:12.4f}   published {expected}")
    assert abs(found - expected) <= 0.5 * 10**-digits + 1e-12


# %% [markdown]
# ## Job training, where an experiment is known
# LaLonde (1986), Dehejia and Wahba (1999): 185 trained workers and their randomized controls, then the same
# 185 beside 15,992 people of a survey. Earnings in US dollars.

# %%
randomized, survey = ec.load_dataset("lalonde-nsw"), ec.load_dataset("lalonde-cps")
experiment = ec.adjust(randomized, "naive")
check(experiment.estimate, 1794, 0)
check(experiment.standard_error, 633, 0)
check(ec.adjust(randomized, "regression").estimate, 1676, 0)
naive = ec.adjust(survey, "naive")
check(naive.estimate, -8498, 0)
check(naive.standard_error, 712, 0)

# %%
adjusted = ec.adjust(survey, "regression")
rows = [
    (label, effect.estimate, *effect.interval, kind)
    for label, effect, kind in (
        ("survey, difference of means", naive, "unadjusted"),
        ("survey, regression", adjusted, "adjusted"),
    )
]
forest_picture(rows, reference=(experiment.estimate, *experiment.interval), unit="US dollars")
plt.show()
robustness = ec.omitted_variable_bias(survey).robustness_value
print(f"regression {adjusted.estimate:.1f}, robustness value {robustness:.4f}")
assert round(robustness, 4) == 0.01

# %% [markdown]
# Eight covariates close most of a gap of ten thousand dollars, not all. A hidden cause that explains 1 % of
# what is left of training and of earnings would undo the rest. This report would call it fragile, and the
# experiment agrees.
#
# ## Smoking and weight, four ways
# Hernan and Robins, *What If*: what does quitting do to weight over eleven years, in kg?

# %%
nhefs = ec.load_dataset("nhefs")
check(ec.adjust(nhefs, "naive").estimate, 2.5, 1)
weighting = ec.adjust(nhefs, "weighting")
check(weighting.estimate, 3.4, 1)
check(weighting.interval[0], 2.4, 1)
check(weighting.interval[1], 4.5, 1)
check(ec.adjust(nhefs, "standardization", interactions=("smokeintensity",)).estimate, 3.5, 1)
regression = ec.adjust(nhefs, "regression")
check(regression.estimate, 3.5, 1)
check(regression.interval[0], 2.6, 1)
check(regression.interval[1], 4.3, 1)

# %% [markdown]
# Methods that agree do not vouch for each other: they all adjust for the same covariates. How far would a
# hidden cause have to shift the odds of quitting to explain the weight away?

# %%
marginal = ec.marginal_sensitivity(nhefs, [1.25, 1.5, 2.0])
print(marginal.summary().round(3))
assert abs(marginal.tipping_point - 1.77838440) < 1e-6
assert marginal.lower[1] > 0 > marginal.lower[2]

# %% [markdown]
# ## Darfur, from five numbers
# Cinelli and Hazlett (2020): the effect of direct harm on attitudes to peace. A printed regression table and
# one benchmark are enough.

# %%
darfur = ec.OmittedVariableBias.from_statistics(
    0.0973158193,
    0.0232565378,
    783,
    benchmarks={"female": (0.0090810652, 0.1090339154)},
)
check(100 * darfur.robustness_value, 13.9, 1)
check(100 * darfur.robustness_value_alpha, 7.6, 1)
check(100 * darfur.partial_r2, 2.2, 1)
print(darfur.bounds[["benchmark", "multiple", "adjusted_estimate", "lower", "upper"]].round(3))
darfur.plot()
plt.show()
assert darfur.bounds["lower"].iloc[1] > 0 > darfur.bounds["lower"].iloc[2]

# %% [markdown]
# ## What was learned
# - Every estimate rounds to the one in print, with its standard error or interval.
# - Agreement between methods says that the covariates were used well, not that they suffice: on the survey
#   they do not, and there only an experiment could say so.
# - A confounder twice as strong as being female leaves the Darfur estimate significant, one three times as
#   strong does not. Whether there is one, no number here says.
