# %% [markdown]
# # One latent energy: whose is its variance, and how sure are its parameters?
#
# A hidden z moves x and y. One fit, and three questions about it: whose variance is the variance of y, how much do
# the rows say about each parameter, and does a posterior by sampling say the same?

# %%
import torch
from torch import nn
from torch.distributions import Normal

import ebm_causal as ec

torch.set_default_dtype(torch.float64)


class Treatment(nn.Module):
    def __init__(self):
        super().__init__()
        self.pull = nn.Parameter(torch.tensor(1.0))

    def forward(self, z):
        return self.pull * z


class Outcome(nn.Module):
    def __init__(self):
        super().__init__()
        self.effect, self.hidden = nn.Parameter(torch.tensor(1.0)), nn.Parameter(torch.tensor(2.0))

    def forward(self, x, z):
        return self.effect * x + self.hidden * z


def world(noises=(1.0, 0.5**0.5)):
    """Noises of variance one and a half; the effect of x is 1, that of z is 2."""
    x = ec.Mechanism("x", "z", Treatment(), ec.SquaredError(noises[0]))
    y = ec.Mechanism("y", ("x", "z"), Outcome(), ec.SquaredError(noises[1]))
    return x + y + ec.GaussianRegularizer(1)


generator = torch.Generator().manual_seed(0)
z, e, u = torch.randn(3, 200, 1, generator=generator)
rows = {"x": z + e, "y": (z + e) + 2 * z + 0.5**0.5 * u}

# %% [markdown]
# ## A fit, and the variance of y taken apart
# Weak priors on all three parameters. The causes, their covariance (z is drawn given x), the noise, and what is left
# open about the parameters: that part alone is epistemic.

# %%
priors = {name: Normal(0.0, 3.0) for name in ("pull", "effect", "hidden")}
fit = ec.fit(world(), rows, method="map", priors=priors)
parts = ec.decompose_variance(fit)
print(parts.summary().round(3))
parts.plot()
assert abs(float(parts.total) / float(rows["y"].var()) - 1) < 0.15
assert float(parts.epistemic) < 0.1 * float(parts.total)
assert float(parts.parts["cov(x, z)"]) > 0  # z pushes x and y the same way

# %% [markdown]
# Where x is given, its variance is gone and that of z given x stays. More rows would shrink the parameters' part only.

# %%
given = ec.decompose_variance(fit, given={"x": [[0.0], [4.0]]})
print(given.summary().round(3))
assert "x" not in given.parts

# %% [markdown]
# ## What the rows say about each parameter
# Complete information, had z been seen, minus what is missing. The largest missing fraction belongs to the direction
# that only z could tell apart: the effect of x against that of z.

# %%
found = ec.fisher_information(fit.energy, over=("x", "y"), kind="observed", data=rows)
print(found)
print(found.summary().round(3))
print("missing, by direction:", [round(share, 3) for share in found.fraction_missing.tolist()])
assert found.rank == 3
assert found.fraction_missing[-1] > 0.5

# %% [markdown]
# ## Side by side with the posterior
# Laplace's approximation is the same curvature with the priors; the third column samples the parameters, latents
# integrated out.

# %%
laplace = ec.laplace_approximation(fit)
sampled = ec.fit(world(), rows, method="mcmc", priors=priors, chains=4, draws=250, warmup=150)
table = laplace.summary().head(3).rename(columns={"sd": "laplace sd"})
table["information alone"] = found.standard_errors.numpy()
table["sampled sd"] = sampled.summary()["sd"].to_numpy()
print(table.round(3))
assert (abs(table["laplace sd"] / table["sampled sd"] - 1) < 0.35).all()

# %%
laplace.plot()

# %% [markdown]
# ## What the data cannot tell
# So far the noises were held, a decree. Let the rows of the same energy tell them too: two noises and three slopes
# out of the three moments of (x, y). Two directions are left about which no number of rows says anything, and the
# bound of Cramer and Rao does not exist: pulls and noises can be traded, and (x, y) stay as they are.

# %%
noises = [nn.Parameter(torch.tensor(value)) for value in (1.0, 0.5**0.5)]
everything = ec.fisher_information(world(noises), over=("x", "y"))
print(everything)
for direction in everything.unidentified:
    print({name: round(weight, 2) for name, weight in direction.weights.items()})
everything.plot()
assert everything.rank == 3
assert everything.cramer_rao is None

# %% [markdown]
# ## What was learned
# - Almost all of the variance of y is aleatoric: no number of rows takes it away; seeing z would.
# - The form of the energy (fixed noises, a standard normal z) identified the effect. With the noises open as well, two
#   of five directions have no information: what an analysis then says about them, it got from its prior.
# - The curvature and the sampled posterior agree, which is what makes the shortcut a shortcut.
