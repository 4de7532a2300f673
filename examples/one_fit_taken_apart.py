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


def world():
    """Noises of variance one and a half; the effect of x is 1, that of z is 2."""
    x = ec.Mechanism("x", "z", Treatment(), ec.SquaredError(1.0))
    y = ec.Mechanism("y", ("x", "z"), Outcome(), ec.SquaredError(0.5**0.5))
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

# %% [markdown]
# ## What was learned
# - Almost all of the variance of y is aleatoric: no number of rows takes it away; seeing z would.
# - Here the form of the energy (fixed noises, a standard normal z) identifies the effect. With the scales open as
#   well, a direction without information appears: see the page on what no number of rows will tell.
# - The curvature and the sampled posterior agree, which is what makes the shortcut a shortcut.
