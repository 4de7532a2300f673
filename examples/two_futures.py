# %% [markdown]
# # What does an energy see where a regression sees the mean of two futures?
#
# A car at a fork may go left or right. A regression that must name one future names their mean: straight into the
# wall. A divergence between densities does not help by itself, where a network with one output stands for the
# prediction. A latent energy has a z that says which future, and finds both.

# %%
import torch
from torch import nn

import ebm_causal as ec
from ebm_causal.learning import CollapsedLikelihood, Loop, RegularizedLatent

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)


def future(x):
    """How far the road turns."""
    return 1 + 0.5 * torch.sin(2 * x)


x = 2 * torch.rand(300, 1) - 1
side = torch.where(torch.rand(300, 1) < 0.5, 1.0, -1.0)
y = side * future(x) + 0.05 * torch.randn(300, 1)

# %% [markdown]
# ## The regression
# A mechanism of y given x alone, fitted by maximum likelihood: its prediction is the mean of what happened.


# %%
class Turn(nn.Module):
    """A smooth function of x, and with a latent its side."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(1, 12), nn.Tanh(), nn.Linear(12, 1))

    def forward(self, x, z=None):
        turn = self.layers(x)
        return turn if z is None else z * turn


regression = ec.Energy([ec.Mechanism("y", "x", Turn(), ec.SquaredError(0.3))])
straight = ec.fit(regression, {"x": x, "y": y}, loss=CollapsedLikelihood(), steps=150, learning_rate=0.03)
places = torch.linspace(-0.8, 0.8, 7)[:, None]
(mechanism,) = straight.energy.factors.values()
mean = mechanism.decoder(x=places).detach()
print("the regression's future:", mean.flatten().round(decimals=2).tolist())
assert mean.abs().max() < 0.5
assert future(places).min() > 0.5

# %% [markdown]
# ## The energy
# The same network, times a latent with two values. Training takes the least energy over both: each row explains
# itself by the side that it took, and nobody said which.

# %%
which = ec.energy(lambda z: 0 * z.sum(-1), z=ec.Variable(1, ec.finite([-1, 1])))
forked = ec.Mechanism("y", ("x", "z"), Turn(), ec.SquaredError(0.3)) + which
fit = ec.fit(
    forked,
    {"x": x, "y": y},
    loss=RegularizedLatent(),
    steps=300,
    learning_rate=0.08,
    loop=Loop(batch=300, held_out=0),
)
print(fit)

# %% [markdown]
# ## Both futures
# The minima of F(x, y) over y, one for each value of the latent.

# %%
found = ec.minimize(fit.energy, over=("y", "z"), given={"x": places}, modes=2)
futures = found.modes.values["y"].squeeze(-1).sort(0).values
print("the energy's futures:", futures.round(decimals=2).tolist())
assert (futures[1] - future(places).flatten()).abs().max() < 0.15
assert (futures[0] + future(places).flatten()).abs().max() < 0.15

# %% [markdown]
# ## What was learned
# - A prediction that is one value has to be the mean, wherever the loss is squared: no future that ever happened.
# - F(x, y) answers another question, which y go with x, and may have as many minima as there are futures.
# - A latent with two values carries one bit. Health and capacity say whether that is too much or too little.
