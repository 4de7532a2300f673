# %% [markdown]
# # What does a report say, and would it have been right?
#
# A report cannot see what is hidden. To learn how far it can be trusted, simulate a world, hide its
# confounder, let the report say what it can say, and then look.

# %%
import math
import tempfile
import textwrap
from pathlib import Path

import matplotlib.pyplot as plt

import ebm_causal as ec
from ebm_causal.data import linear_world

world = linear_world(
    500,
    treatment_on_latent=0.7,
    outcome_on_latent=0.7,
    effect=1.0,
    covariates=2,
    binary_treatment=True,
    seed=3,
)
table = world.table()
print(table.covariates, "effect:", world.effect)

# %% [markdown]
# ## One call
# The whole walk: adjustment, a latent energy fitted at many strengths of the hidden confounder, sensitivity,
# refutations, uncertainty, a verdict. `to_html` writes one page with nothing from outside.

# %%
findings = ec.analyze(table, strengths=4, seed=0)
with tempfile.TemporaryDirectory() as folder:
    findings.to_html(Path(folder) / "report.html")
    findings.to_json(Path(folder) / "report.json")
    again = ec.Findings.from_json(Path(folder) / "report.json")
    assert again.to_json() == findings.to_json()
print(findings.summary())

# %% [markdown]
# ## What it leads with
# Before any number: the effect is not identified if something is hidden. Then the answer, and the threshold
# that it used.

# %%
for name in ("lead", "answer", "text", "threshold"):
    print(textwrap.fill(findings.verdict[name], 90))
assert findings.diagnostics["ok"]
assert "do not identify" in findings.verdict["lead"]

# %%
findings.plot()
plt.show()

# %% [markdown]
# ## How strong would the hidden cause have to be?
# The robustness value: the share of what is left of treatment and outcome that it would have to explain, in
# both, to bring the regression to zero. The contour shows every other combination.

# %%
omitted = ec.omitted_variable_bias(table, benchmarks=table.covariates)
print(omitted)
print(omitted.bounds.round(3))
omitted.plot()
plt.show()
assert math.isclose(findings.sensitivity["robustness_value"], omitted.robustness_value, rel_tol=1e-9)

# %% [markdown]
# ## Now look
# Only the simulation knows z. Put it into the regression, and measure how strong it really was.

# %%
seen_all = ec.CausalTable(
    world.frame.assign(z=world.latent), "treatment", "outcome", [*world.covariates, "z"]
)
truth = ec.adjust(seen_all, "regression")
r2_treatment, r2_outcome = ec.omitted_variable_bias(seen_all, benchmarks=("z",)).benchmarks["z"]
print(f"z explains {r2_treatment:.1%} of what is left of the treatment, {r2_outcome:.1%} of the outcome")
hidden, shown = omitted.estimate, truth.estimate
print(f"without z {hidden:.3f}, with z {shown:.3f}, the effect {world.effect}")
assert truth.interval[0] < world.effect < truth.interval[1]

# %% [markdown]
# The contour at these two strengths is the regression with z, exactly: estimate and standard error. The
# theory is algebra, not an approximation. What it does not give is the two strengths.

# %%
assert abs(omitted.adjusted_estimate(r2_treatment, r2_outcome) - truth.estimate) < 1e-9
assert abs(omitted.adjusted_standard_error(r2_treatment, r2_outcome) - truth.standard_error) < 1e-9

# %%
rows = {effect["method"]: effect for effect in findings.effects}
for method in ("regression", "latent_do"):
    lower, upper = rows[method]["lower"], rows[method]["upper"]
    inside = lower <= world.effect <= upper
    print(f"{method}: [{lower:.2f}, {upper:.2f}] {'holds' if inside else 'misses'} the effect")
    print(f"   {rows[method]['note']}")
wider = rows["latent_do"]["upper"] - rows["latent_do"]["lower"]
assert wider > rows["regression"]["upper"] - rows["regression"]["lower"]
assert rows["regression"]["lower"] > world.effect

# %% [markdown]
# ## What was learned
# - The regression's interval misses the effect: it knows of chance, not of z. No number of rows helps.
# - The interval of `do()` is wider, by as much as the prior of z's strength makes it. It is as good as that
#   prior, which is a statement about the world that no table makes. Here z is stronger toward the outcome
#   than any covariate, more than the prior expects.
# - The verdict says whether the effect could be zero, and rightly so here. It does not say that the estimate
#   is right, nor whether there is a z.
