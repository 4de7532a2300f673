# %% [markdown]
# # Is seeing x the same as setting it?
#
# Something hidden, $z$, moves both $x$ and $y$. Whoever *sees* a large $x$ also learns that $z$ is large;
# whoever *sets* $x$ learns nothing about $z$. The note writes it as
# $P(E \mid \mathrm{do}(x)) \neq P(E \mid x)$. Here is a world small enough to know both sides on paper:
#
# $$z \sim N(0, 1), \qquad x = z + \epsilon_x, \qquad y = x + 2 z + \epsilon_y.$$

# %%
import matplotlib.pyplot as plt
import torch

import ebm_causal as ec
from ebm_causal.figures import seen_and_done_picture

levels = [-2.0, -1.0, 0.0, 1.0, 2.0]
x = torch.tensor(levels, dtype=torch.float64)


def world(weight=1.0):
    """The energy of the world; a larger weight of R leaves z less room, Var z = 1/weight."""
    assignment = ec.Mechanism("x", "z", lambda z: z, ec.SquaredError(1.0))
    outcome = ec.Mechanism("y", ("x", "z"), lambda x, z: x + 2 * z, ec.SquaredError(1.0))
    return assignment + outcome + ec.GaussianRegularizer(1, weight=weight)


energy = world()
sorted(energy.graph.edges), {name: node["latent"] for name, node in energy.graph.nodes.items()}

# %% [markdown]
# Each mechanism drew its arrows, and the variable that has a regularizer and no mechanism is latent.
#
# ## The mean of y
# `do` deletes the mechanism of x and holds x; the energy that is left no longer ties z to x. On paper the
# slope of $E[y \mid x]$ is $1 + 2 \cdot \tfrac12 = 2$, and that of $E[y \mid \mathrm{do}(x)]$ is 1.

# %%
print(ec.do(energy, x=1.0).graph.edges)
seen = ec.observational(energy, given={"x": x}, query="y")
done = ec.interventional(energy, do={"x": x}, query="y")
gap = ec.confounding_gap(energy, x=levels, query="y")
print(gap.summary())


def agree(draws, truth):
    """Whether draws agree with the truth within four Monte Carlo errors."""
    return bool(((draws.mean[:, 0] - truth).abs() <= 4 * draws.standard_error[:, 0] + 1e-9).all())


assert agree(seen, 2 * x)
assert agree(done, x)
assert agree(gap, x)

# %%
curves = [(d.mean[:, 0].numpy(), d.standard_error[:, 0].numpy()) for d in (seen, done)]
ax = seen_and_done_picture(levels, *curves, labels=("x", "mean of y"))
plt.show()

# %% [markdown]
# ## The energy itself
# The note states the inequality for $E$. The energy of a query leaves out the mechanism of x, so that it is
# the same function on both sides: $C_y + R(z)$. The cost of y has mean $\tfrac12$ wherever x came from. The
# regularizer has mean $\tfrac12$ where x was set; where it was seen, $z \mid x \sim N(x/2, 1/2)$ and the
# mean is $\tfrac12 (x^2/4 + \tfrac12)$. So the gap is $x^2/8 - 1/4$: a typical x makes the seen world look
# better than it is, an extreme one worse.

# %%
gap_of_energy = ec.confounding_gap(energy, x=levels, query="energy")
print(gap_of_energy.summary())
assert agree(gap_of_energy, x**2 / 8 - 0.25)

# %% [markdown]
# ## Regularize z until it can be neglected
# The note's advice. A weight $\lambda$ on $R$ leaves $\mathrm{Var}(z) = 1/\lambda$, and the gap per unit of
# x is $2/(1 + \lambda)$. It does go to zero; but this changes the *model*. If the world's own z has variance
# 1, a model with $\lambda = 100$ does not remove the confounding, it denies it.

# %%
for weight in (1.0, 4.0, 25.0, 100.0):
    gap = ec.confounding_gap(world(weight), x=[1.0], query="y")
    print(f"weight {weight:5g}: gap {gap.mean.item():.4f}, on paper {2 / (1 + weight):.4f}")
    assert agree(gap, 2 / (1 + weight))

# %% [markdown]
# ## Without an arrow from z to x there is nothing to confound
# The note's own energy has no mechanism for x. Then both sides are the same, and the package says so rather
# than showing Monte Carlo noise as a gap.

# %%
latent = ec.LatentEnergy(lambda x: x, lambda h, z: h + 2 * z, ec.SquaredError(1.0), ec.GaussianRegularizer(1))
without = ec.confounding_gap(latent, x=[1.0], query="y")
print(without.warnings[0])
assert without.mean.item() == 0.0
assert "no confounding by construction" in without.warnings[0]

# %% [markdown]
# ## What was learned
# - Seeing and setting differ by one factor, the mechanism of x. In this world that doubles the slope.
# - The gap is zero without an arrow from z to x, and shrinks with the weight of R, because the model then
#   holds less of z; neither says that the world is unconfounded.
