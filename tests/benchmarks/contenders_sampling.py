"""Samplers of latents given rows, one run each: run by ``bench_sampling.py``, peers under their own interpreter."""

import sys

import numpy as np

WARMUP, DRAWS, CHAINS = 300, 300, 4  # of the peers
NOISE = 0.3


def energy_of(data):
    """The energy and rows of a tanh decoder with the weights of the data, in single precision."""
    import torch

    import ebm_causal as ec

    first, bias, second, last = (
        torch.tensor(data[name], dtype=torch.float32) for name in ("a", "b", "c", "d")
    )

    def decoder(z):
        return torch.tanh(z @ first.T + bias) @ second.T + last

    outputs = len(data["d"])
    energy = ec.Mechanism("y", "z", decoder, ec.SquaredError(NOISE), dim=outputs)
    y = torch.tensor(data["y"], dtype=torch.float32)
    return energy + ec.GaussianRegularizer(data["a"].shape[1]), y


def ours(method, draws):
    def run(data):
        import ebm_causal as ec

        energy, y = energy_of(data)
        found = ec.sample(energy, given={"y": y}, draws=draws, method=method, seed=int(data["seed"]))
        numbers = found.diagnostics.numbers
        return {
            "draws": found.values["z"].numpy(),
            "ess": numbers["ess_bulk"].numpy(),
            "failed": np.array(len(found.diagnostics.failed)),
        }

    return run


def numpyro_nuts(data):
    import jax
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist
    from numpyro.infer import MCMC, NUTS

    a, b, c, d, y = (jnp.asarray(data[name], dtype=jnp.float32) for name in ("a", "b", "c", "d", "y"))

    def model():
        with numpyro.plate("rows", len(y)):
            z = numpyro.sample("z", dist.Normal(0, 1).expand([a.shape[1]]).to_event(1))
            mean = jnp.tanh(z @ a.T + b) @ c.T + d
            numpyro.sample("y", dist.Normal(mean, NOISE).to_event(1), obs=y)

    run = MCMC(
        NUTS(model), num_warmup=WARMUP, num_samples=DRAWS, num_chains=CHAINS, chain_method="sequential",
        progress_bar=False,
    )  # fmt: skip
    run.run(jax.random.PRNGKey(int(data["seed"])))
    return {"draws": np.asarray(run.get_samples(group_by_chain=True)["z"]), "failed": np.array(0)}


CONTENDERS = {
    "ec.sample by lattices": ours("lattice", 250),
    "ec.sample by HMC": ours("hmc", 200),
    "ec.sample, auto": ours("auto", 250),
    "NumPyro NUTS, rows jointly": numpyro_nuts,
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
        _ = ebm_causal.sample
    else:
        import numpyro.infer  # noqa: F401 -- imports do not count
    from peers import main_of

    main_of(CONTENDERS, versions)
