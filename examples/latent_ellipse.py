# %% [markdown]
# # What does a latent variable do to an energy, and what does temperature do to it?
#
# The latent example of LeCun's lectures. The data lie near an ellipse; the latent z is an angle on it:
# $E(y, z) = (y_1 - 2\cos z)^2 + (y_2 - 1.5\sin z)^2$. Minimizing over z gives $F_\infty$, the squared
# distance to the ellipse. Averaging over z, as a Gibbs law does at inverse temperature $\beta$, gives
# $F_\beta(y) = -\frac1\beta\log\int e^{-\beta E(y, z)}\,\frac{\mathrm dz}{2\pi}$.

# %%
import math

import matplotlib.pyplot as plt
import torch
from torch.distributions import constraints

import ebm_causal as ec
from ebm_causal.figures import landscape_picture

torch.set_default_dtype(torch.float64)
AXES = torch.tensor([2.0, 1.5])


def on_ellipse(z):
    """The point of the ellipse at an angle."""
    return AXES * torch.cat([z.cos(), z.sin()], -1)


angle = ec.Variable(1, constraints.interval(-math.pi, math.pi))
energy = ec.energy(lambda y, z: ((y - on_ellipse(z)) ** 2).sum(-1), y=2, z=angle)

# %% [markdown]
# ## Two points, in numbers
# `free_energy` integrates with Lebesgue measure; the lectures divide by the length of the circle, which
# adds $\log(2\pi)/\beta$.

# %%
y = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
nearest = ec.minimize(energy, over="z", given={"y": y})
assert torch.allclose(nearest.energy, torch.tensor([2.25, 0.073313674955]), atol=1e-11)
center = ec.minimize(energy, over="z", given={"y": y[:1]}, modes=4).modes
print(center.summary()[["z[0]", "energy", "smallest_eigenvalue", "starts"]])  # two nearest points
assert torch.allclose(center.values["z"][:2, 0, 0], torch.tensor([-0.5, 0.5]) * math.pi)
assert center.count.tolist() == [2]
assert abs(nearest.values["z"][1, 0].item() - 0.974730374024) < 1e-9


def averaged(y, beta):
    """F at a temperature, with the measure of the lectures."""
    found = ec.free_energy(energy, over="z", given={"y": y}, beta=beta)
    return found.value + math.log(2 * math.pi) / beta


known = {0.1: 3.105868526, 1.0: 2.942043248, 10.0: 2.448824278, 100.0: 2.281533211}
for beta, value in known.items():
    here = averaged(y, beta)
    print(f"beta {beta:>5}: F(0, 0) = {here[0]:.9f}, F(1, 1) = {here[1]:.9f}")
    assert abs(here[0].item() - value) < 1e-8

# %% [markdown]
# The cold limit is the minimum: at $\beta = 100$ the center has 2.28, and $F_\infty$ has 2.25. One start per
# row misses the nearest point of some rows; the eight that `minimize` takes by default do not.

# %%
rows = 2 * torch.randn(2000, 2, generator=torch.Generator().manual_seed(1))
grid = torch.linspace(-math.pi, math.pi, 4001)[:, None]
lowest = torch.cat([energy(y=part[:, None], z=grid).amin(1) for part in rows.split(200)])
missed = {}
for starts in (1, 8):
    found = ec.minimize(energy, over="z", given={"y": rows}, starts=starts).energy
    missed[starts] = int((found > lowest + 1e-9).sum())
print("rows that miss their minimum, by starts:", missed)
assert missed[8] == 0

# %% [markdown]
# ## The landscapes
# Dark is low; all five share their levels, counted from each one's lowest point. Cold, the low ground is a
# thin ellipse and the inside is a hill: the model can tell what is data. Warm, the latent no longer points
# anywhere, the hill is gone, and the lowest point is where no data are.

# %%
across, up = torch.linspace(-3.2, 3.2, 51), torch.linspace(-2.7, 2.7, 43)
plane = torch.stack(torch.meshgrid(across, up, indexing="xy"), -1)
turn = on_ellipse(torch.linspace(-math.pi, math.pi, 200)[:, None])
surfaces = {"F at beta = inf": ec.minimize(energy, over="z", given={"y": plane.reshape(-1, 2)}).energy}
surfaces |= {f"F at beta = {beta:g}": averaged(plane.reshape(-1, 2), beta) for beta in reversed(known)}
levels = [0.0, 0.05, 0.2, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0]
figure, axes = plt.subplots(1, 5, figsize=(14, 2.8), layout="constrained")
for ax, (title, value) in zip(axes, surfaces.items(), strict=True):
    surface = (value - value.min()).reshape(plane.shape[:2])
    landscape_picture(
        across.numpy(), up.numpy(), surface.numpy(), levels=levels, curve=turn.numpy(), title=title, ax=ax
    )  # fmt: skip

# %%
hill = {
    title: (value.reshape(plane.shape[:2])[21, 25] - value.min()).item() for title, value in surfaces.items()
}
print({title: round(height, 3) for title, height in hill.items()})
heights = list(hill.values())
assert heights == sorted(heights, reverse=True)
assert heights[0] > 2.2
assert heights[-1] < 1e-9

# %% [markdown]
# ## What was learned
# - A latent turns a set into an energy: $F_\infty$ is the distance to the best explanation.
# - Temperature averages explanations. The cooler, the sharper; $F_\beta$ goes to $F_\infty$ as $\beta$ grows.
# - Too warm, the energy loses its shape: at $\beta = 0.1$ the center, where no data are, is lowest.
