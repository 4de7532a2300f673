# %% [markdown]
# # How do I fit a latent energy, and do SVI and MCMC agree?
#
# The note's energy, $E(x,y,z) = C(\mathrm{Dec}(\mathrm{Pred}(x), z), y) + R(z)$, has a latent that no data
# hold. For each x many y are right, and z says which. Here z moves along a bent line: a linear decoder can
# only stretch it straight, a small module can bend it. The linear one goes to MCMC over all of its
# parameters, the module to SVI.

# %%
import math

import matplotlib.pyplot as plt
import torch

import ebm_causal as ec

torch.set_default_dtype(torch.float64)
NOISE = 0.4


def simulate(rows, seed):
    """The world: y = (x + z, z + z^2 - 1) and noise of standard deviation 0.4."""
    draws = torch.Generator().manual_seed(seed)
    x, z = torch.randn(rows, 1, generator=draws), torch.randn(rows, 1, generator=draws)
    return {"x": x, "y": torch.cat([x + z, z + z**2 - 1], -1) + NOISE * torch.randn(rows, 2, generator=draws)}


data, fresh = simulate(120, seed=0), simulate(80, seed=1)

# %% [markdown]
# ## A linear decoder by MCMC
# z is integrated out on a lattice for each row (the fit is *collapsed*), so the chains only walk over the
# five parameters. Each has the prior Normal(0, 10) unless told otherwise.

# %%
linear = ec.LinearGaussianEnergy(torch.ones(2, 1), torch.zeros(2, 1), scale=1.0)
sampled = ec.fit(linear, data, method="mcmc", draws=50, warmup=60, seed=0)
print(sampled.summary().round(3))
assert sampled.diagnostics.ok, sampled.diagnostics.warnings

# %% [markdown]
# R-hat near 1 and hundreds of effective draws: these chains agree *with each other*. They all start near one
# optimum, and z with its loading has a mirror image of the same energy, $(-z, -W)$. So the sign of a
# loading means nothing here; $WW^\top$ does. The draws, and those of z, go to ArviZ.

# %%
inference = sampled.to_arviz()
print(sorted(inference.posterior.data_vars), dict(inference.posterior.sizes))
most_likely = ec.fit(linear, data, method="map")
distance = (most_likely.mean - sampled.mean).abs() / torch.tensor(sampled.summary()["sd"].to_numpy())
print(f"posterior mean and maximum of the marginal likelihood are up to {distance.max():.2f} sd apart")
assert distance.max() < 0.5

# %% [markdown]
# ## A bent decoder by SVI
# Any module is a decoder; it is called with $h = \mathrm{Pred}(x)$ and z. For a latent of one or two
# dimensions SVI is collapsed too: its bound on the evidence is then tight. A larger latent gets Pyro's SVI
# with an amortized normal guide.


# %%
class Bend(torch.nn.Module):
    """Linear in h, z and the square of z."""

    def __init__(self):
        super().__init__()
        self.mix = torch.nn.Linear(3, 2)

    def forward(self, h, z):
        """The prediction of y."""
        h, z = torch.broadcast_tensors(h, z)
        return self.mix(torch.cat([h, z, z**2], -1))


torch.manual_seed(0)
cost = ec.SquaredError(torch.nn.Parameter(torch.tensor(1.0)))
module = ec.LatentEnergy(torch.nn.Identity(), Bend(), cost, ec.GaussianRegularizer(1))
bent = ec.fit(module, data, method="svi", seed=0)
print(bent.summary().round(3))
assert bent.diagnostics.ok, bent.diagnostics.warnings

# %% [markdown]
# ## Which is better, on rows that neither has seen?
# $\log p(y \mid x) = -F_1(x, y) - \log Z$, with z integrated out. Two energies may not be compared without
# their $\log Z$: here it is $\log 2\pi s^2$ of the cost and $\tfrac12 \log 2\pi$ of the regularizer.


# %%
def held_out(fit):
    """The mean log density of fresh rows."""
    scale = fit.energy.factors["y"].cost.scale(torch.ones(())).item()
    log_partition = math.log(2 * math.pi * scale**2) + 0.5 * math.log(2 * math.pi)
    return -ec.free_energy(fit.energy, over="z", given=fresh).value.mean().item() - log_partition


straight_score, bent_score = held_out(most_likely), held_out(bent)
print(f"log density per row: straight {straight_score:.2f}, bent {bent_score:.2f}")
assert bent_score > straight_score + 0.5

# %%
z = torch.linspace(-2.5, 2.5, 101)[:, None]
with torch.no_grad():
    curve = bent.energy.factors["y"].predict({"x": torch.zeros(1, 1), "z": z})
    line = most_likely.energy.factors["y"].predict({"x": torch.zeros(1, 1), "z": z})
at_zero = data["y"] - torch.cat([data["x"], torch.zeros_like(data["x"])], -1)
plt.plot(*at_zero.T, ".", color="0.7", label="rows, moved to x = 0")
plt.plot(*curve.T, label="bent")
plt.plot(*line.T, label="straight")

# %% [markdown]
# ## What was learned
# - `map`, `svi` and `mcmc` take the same energy and data; all integrate z out, none maximizes over it.
# - The module finds the bend and the coefficients of the world within their errors; it is worth a nat on
#   every row. Any other module serves as well; one with many weights has flat directions, so give these
#   priors and look at `diagnostics`.
# - No fit says how z is *scaled* or which end is up: R fixes the first by decree, the second is arbitrary.
