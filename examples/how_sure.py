# %% [markdown]
# # How sure is a prediction, and what can the data not say at all?
#
# Two questions that are easily mixed up. *Propagation* carries the uncertainty of the inputs to a result:
# $\mathrm{Var}(\hat y) = J \Sigma J^\top$. *Fisher information* counts what data say about parameters, and
# shows the directions about which they say nothing, however many rows there are.

# %%
import torch

import ebm_causal as ec

torch.set_default_dtype(torch.float64)

# %% [markdown]
# ## Propagation, cross terms included
# Example H.2 of the metrologists' guide (GUM): resistance and reactance from voltage V, current I and phase.
# The three were measured together five times, so their errors are correlated.

# %%
voltage = torch.tensor([5.007, 4.994, 5.005, 4.990, 4.999])
current = torch.tensor([19.663, 19.639, 19.640, 19.685, 19.678]) / 1000
phase = torch.tensor([1.0456, 1.0438, 1.0468, 1.0428, 1.0433])
rows = torch.stack([voltage, current, phase])
mean, covariance = rows.mean(1), torch.cov(rows) / rows.shape[1]


def impedance(u):
    """Resistance, reactance and the modulus of both, in ohm."""
    V, I, phi = u.unbind(-1)
    return torch.stack([V / I * phi.cos(), V / I * phi.sin(), V / I], -1)


together = ec.propagate_variance(impedance, mean, covariance)
print(together.summary().round(4))
published = torch.tensor([0.0710714, 0.2955817, 0.2363361])
assert torch.allclose(together.standard_deviation, published, atol=1e-7)

# %% [markdown]
# Dropping the covariances, as is often done, makes the resistance look 2.7 times less certain than it is.
# A share may be negative then: an error in V goes along with one in the phase,
# and takes some of it back.
# Shapley shares divide the same variance without negative parts.

# %%
apart = ec.propagate_variance(impedance, mean, covariance.diagonal().diag())
print(f"resistance: {apart.standard_deviation[0] / together.standard_deviation[0]:.2f} times as uncertain")
assert 2.6 < apart.standard_deviation[0] / together.standard_deviation[0] < 2.8
fair = ec.propagate_variance(impedance, mean, covariance, shares="shapley")
print(fair.shares[0])
assert (together.shares[0] < 0).any()
assert (fair.shares >= 0).all()

# %% [markdown]
# ## Information about a latent energy
# $y = w x + v z + \epsilon$ with z hidden. What y tells about $w$ is less than if z had been seen: complete
# information minus the missing part.


# %%
def one_latent(loading, weight):
    """The energy of y = 2 x + loading z + noise of variance 1/2, with a weight for R."""
    return ec.LinearGaussianEnergy(
        torch.tensor([[loading]]), torch.tensor([[2.0]]), scale=0.5**0.5, regularizer_weight=weight
    )


energy = one_latent(0.5, 1.0)
setting = {"given": {"x": [[3.0]]}, "beta": 1.5}
about_w = ec.fisher_information(energy, wrt="input_weight", **setting)
print(f"{about_w.matrix.item():.6f} = {about_w.complete.item():.6f} - {about_w.missing.item():.6f}")
assert abs(about_w.matrix.item() - 18) < 1e-6
assert abs(about_w.missing.item() - 9) < 1e-6

# %% [markdown]
# ## What no number of rows will tell
# Given x, y is normal with mean $wx$ and variance $s^2 + v^2/\tau$ (over $\beta$). So y tells w and *one*
# number besides, while the energy has two more parameters: the loading v and the scale s. (The weight $\tau$
# of R would be a third, but it is held: a decree.) One direction is left over. Along it the energy changes
# and the data do not.

# %%
several = {"given": {"x": [[3.0], [-1.0], [0.5]]}, "beta": 1.5}
everything = ec.fisher_information(energy, **several)
print(everything)
for direction in everything.unidentified:
    named = {name: round(weight, 3) for name, weight in direction.weights.items() if abs(weight) > 1e-6}
    print(f"eigenvalue {direction.eigenvalue:.1e}: {named}")
assert everything.rank == 2
assert len(everything.unidentified) == 1
assert everything.cramer_rao is None

# %% [markdown]
# The bound of Cramer and Rao does not exist there, and the package gives None rather than the inverse of a
# matrix with its zero lifted a little. What the decree is about can be seen with bare hands: double the
# loading and halve z, by a fourfold weight of R, and nothing that is observed changes.

# %%
other = one_latent(1.0, 4.0)
y, x = torch.tensor([[5.0]]), torch.tensor([[3.0]])
print(energy.log_likelihood(y, x).item(), other.log_likelihood(y, x).item())
assert torch.allclose(energy.log_likelihood(y, x), other.log_likelihood(y, x))

# %% [markdown]
# ## What was learned
# - Propagate the whole covariance: leaving out its cross terms can err in either direction.
# - Not seeing z cost a third of the information about w here. More rows make up for that.
# - The strength of z is another matter: rank 2 of 3. More rows make the known directions sharper and leave
#   that one where it was. What an analysis says about it, it got from its prior.
