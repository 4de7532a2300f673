# %% [markdown]
# # Why does maximum likelihood dig a canyon, and what does a margin do instead?
#
# Data on a thin manifold have a density that is enormous on it and nothing beside it. An energy trained by maximum
# likelihood has to follow: the better it fits, the steeper the walls. A hinge stops to pull once a contrast is a
# margin above the data; a regularized latent never pulls anything up, its decoder cannot reach what is far away.
# Here is one spiral, three principles, and the curvature of the energy across the spiral as a number.

# %%
import math

import numpy as np
import torch
from torch import nn

import ebm_causal as ec
from ebm_causal import learning
from ebm_causal.figures import curves_picture, landscape_picture
from ebm_causal.learning.problems import problem_of
from ebm_causal.learning.smoothness import curvature_along

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
NOISE = 0.03


def spiral(t):
    """A point of the spiral, and the direction across it, for t from 0 to 1."""
    angle = 1.5 * math.pi * t + 0.5
    point = torch.stack([angle.cos(), angle.sin()], -1) * (0.4 + 0.6 * t)[..., None]
    along = torch.stack([-angle.sin(), angle.cos()], -1) * (0.4 + 0.6 * t)[..., None] * 1.5 * math.pi
    along = along + 0.6 * torch.stack([angle.cos(), angle.sin()], -1)
    across = torch.stack([-along[..., 1], along[..., 0]], -1)
    return point, across / across.norm(dim=-1, keepdim=True)


places = torch.rand(400)
y = spiral(places)[0] + NOISE * torch.randn(400, 2)
middle, across = spiral(torch.linspace(0.1, 0.9, 40))


# %% [markdown]
# ## Two energies of y alone, and one whose latent draws a curve


# %%
class Landscape(nn.Module):
    """A smooth network over the plane, in a bowl that keeps the density normalizable."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1)
        )

    def forward(self, y):
        return self.layers(3 * y).squeeze(-1) + (y**2).sum(-1)


class Decoder(nn.Sequential):
    """A network that is called with its parent by keyword."""

    def forward(self, z):
        return super().forward(z)


landscape = ec.energy(Landscape(), y=2)
decoder = Decoder(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 2))
curve = ec.Mechanism("y", "z", decoder, ec.SquaredError(0.3), dim=2) + ec.GaussianRegularizer(1, weight=0.1)


def walls(energy, latents):
    """The mean curvature of F across the spiral."""
    problem = problem_of(energy, {"y": middle}, latents, "y", beta=1.0, count=len(middle))
    return curvature_along(problem, {"y": middle}, across).mean().item()


def train(energy, loss, steps, rate, latents=()):
    """The energy, and how curved it was after each of three trainings in a row."""
    curvatures, loop = [], learning.Loop(decay=1.0, batch=200)
    for _ in range(3):
        energy = ec.fit(
            energy, {"y": y}, latents, loss=loss, steps=steps, learning_rate=rate, loop=loop
        ).energy
        curvatures.append(walls(energy, latents))
    return energy, curvatures


def margin(y, contrast):
    """Contrasts should cost more by twice their squared distance."""
    return 2 * learning.squared_distance(y, contrast)


likely, canyon = train(landscape, learning.CollapsedLikelihood(), 8, 0.05)
hinged, bounded = train(landscape, learning.ContrastiveHinge(margin, learning.NoiseNegatives(0.5)), 60, 0.01)
drawn, reach = train(curve, learning.RegularizedLatent(), 3, 0.03, ("z",))
for name, found in (("likelihood", canyon), ("hinge", bounded), ("latent", reach)):
    print(f"{name:>10}: curvature across the spiral {[round(value, 1) for value in found]}")

# %% [markdown]
# ## What the numbers say
# The true log density has curvature $1/\sigma^2$ across the spiral, more than a thousand here. The likelihood is on
# its way there. The hinge is where its margin put it; the latent has the curvature of its cost, $1/0.3^2$, throughout.

# %%
assert canyon[-1] > 2 * canyon[0]
assert max(bounded) < 3 * bounded[1]
assert max(abs(value - 1 / 0.3**2) for value in reach) < 1e-6
found = {"likelihood": np.array(canyon), "hinge": np.array(bounded), "latent": np.array(reach)}
curves_picture(np.arange(1, 4), found, "training")
side = torch.linspace(-1.3, 1.3, 50)
grid = torch.cartesian_prod(side, side)
for title, energy in (("maximum likelihood", likely), ("hinge", hinged)):
    heights = energy(y=grid).detach().reshape(50, 50).T
    landscape_picture(side.numpy(), side.numpy(), heights.numpy(), curve=middle.numpy(), title=title)

# %% [markdown]
# ## What was learned
# - The better an energy fits a thin manifold by likelihood, the steeper its walls: a fit that is never done.
# - A margin that grows with the distance says how steep is steep enough; a regularized latent needs no contrast.
