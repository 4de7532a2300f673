"""Samplers of parameters, one run each: run by ``bench_parameters.py``, peers under their own interpreter."""

import sys

import numpy as np

WARMUP, DRAWS = 500, 500  # of the peers
OWN = {64: (60, 120), 4: (100, 500), 16: (150, 250)}  # chains: warm-up, draws


def logistic_energy(data):
    import torch

    import ebm_causal as ec

    decoder = torch.nn.Linear(data["x"].shape[1], 1).double()
    torch.nn.init.zeros_(decoder.weight)
    torch.nn.init.zeros_(decoder.bias)

    class Decoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = decoder

        def forward(self, x):
            return self.layer(x)

    return ec.Energy([ec.Mechanism("y", "x", Decoder(), ec.BernoulliCost())])


def ours(chains):
    def run(data):
        import ebm_causal as ec

        warmup, draws = OWN[chains]
        fit = ec.fit(
            logistic_energy(data), {"x": data["x"], "y": data["y"]}, latents=(), method="mcmc", chains=chains,
            warmup=warmup, draws=draws, seed=int(data["seed"]),
        )  # fmt: skip
        return {"draws": fit.draws.numpy()}

    return run


def factor_energy():
    import torch

    import ebm_causal as ec

    weight, offset = torch.ones(10, 1, dtype=torch.float64), torch.zeros(10, dtype=torch.float64)
    return ec.LinearGaussianEnergy(weight, offset=offset, scale=0.5)


def our_factors(together):
    def run(data):
        import torch
        from torch.distributions import Normal

        import ebm_causal as ec
        from ebm_causal.learning.tasks import Task

        if together:
            Task.small = property(lambda self: False)  # draw the latents along, though a lattice would serve
        priors = {"latent_weight": Normal(1.0, 0.5), "offset": Normal(0.0, 3.0)}
        fit = ec.fit(
            factor_energy(), {"y": torch.tensor(data["y"])}, method="mcmc", priors=priors, fixed=("y.cost.scale",),
            chains=16, warmup=150, draws=250, seed=int(data["seed"]),
        )  # fmt: skip
        return {"draws": fit.draws.numpy()}

    return run


def numpyro_nuts(model_of, chains, dense):
    def run(data):
        import jax
        import numpyro
        from numpyro.infer import MCMC, NUTS

        model, names = model_of(data, numpyro.distributions)
        run = MCMC(
            NUTS(model, dense_mass=dense), num_warmup=WARMUP, num_samples=DRAWS, num_chains=chains,
            chain_method="sequential" if chains == 4 else "vectorized", progress_bar=False,
        )  # fmt: skip
        run.run(jax.random.PRNGKey(int(data["seed"])))
        found = run.get_samples(group_by_chain=True)
        return {"draws": np.concatenate([np.asarray(found[n]).reshape(chains, DRAWS, -1) for n in names], -1)}

    return run


def numpyro_logistic(data, dist):
    import jax.numpy as jnp
    import numpyro

    x, y = jnp.asarray(data["x"], dtype=jnp.float32), jnp.asarray(data["y"][:, 0], dtype=jnp.float32)

    def model():
        w = numpyro.sample("w", dist.Normal(0, 10).expand([x.shape[1]]))
        b = numpyro.sample("b", dist.Normal(0, 10))
        numpyro.sample("y", dist.Bernoulli(logits=x @ w + b), obs=y)

    return model, ("w", "b")


def numpyro_factors(data, dist):
    import jax.numpy as jnp
    import numpyro

    y = jnp.asarray(data["y"], dtype=jnp.float32)

    def model():
        w = numpyro.sample("w", dist.Normal(1, 0.5).expand([10]))
        c = numpyro.sample("c", dist.Normal(0, 3).expand([10]))
        z = numpyro.sample("z", dist.Normal(0, 1).expand([len(y), 1]))
        numpyro.sample("y", dist.Normal(z * w + c, 0.5), obs=y)

    return model, ("w", "c")


CONTENDERS = {
    "ec.fit, 64 chains": ours(64),
    "ec.fit, 4 chains": ours(4),
    "NumPyro NUTS dense, 4 chains": numpyro_nuts(numpyro_logistic, 4, True),
    "NumPyro NUTS dense, 64 chains at once": numpyro_nuts(numpyro_logistic, 64, True),
    "ec.fit, latents integrated out": our_factors(False),
    "ec.fit, latents drawn along": our_factors(True),
    "NumPyro NUTS, 4 chains": numpyro_nuts(numpyro_factors, 4, False),
}


def versions(name):
    if name.startswith("ec."):
        from importlib.metadata import version

        return f"ebm-causal {version('ebm-causal')}, torch {version('torch')}"
    import jax
    import numpyro

    return f"numpyro {numpyro.__version__}, jax {jax.__version__}"


if __name__ == "__main__":
    if sys.argv[1].startswith("ec."):
        import torch

        import ebm_causal

        torch.set_num_threads(1)
        _ = ebm_causal.fit
    else:
        import numpyro.infer  # noqa: F401 -- imports do not count
    from peers import main_of

    main_of(CONTENDERS, versions)
