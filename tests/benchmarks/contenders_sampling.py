"""Samplers of latents given rows, one run each: run by ``bench_sampling.py``, peers under their own interpreter."""

import sys

import numpy as np

WARMUP, DRAWS, CHAINS = 300, 300, 4  # of the peers
TUNING, STEPS, THIN = 2_000, 20_000, 10  # of MCLMC
FEW = 300  # warm-up steps and draws of Pyro's NUTS, one chain
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


def blackjax_mclmc(data):
    import blackjax
    import jax
    import jax.numpy as jnp

    a, b, c, d, y = (jnp.asarray(data[name], dtype=jnp.float32) for name in ("a", "b", "c", "d", "y"))
    rows, dim = len(y), a.shape[1]

    def log_density(flat):
        z = flat.reshape(rows, dim)
        mean = jnp.tanh(z @ a.T + b) @ c.T + d
        return -0.5 * (z**2).sum() - 0.5 * (((y - mean) / NOISE) ** 2).sum()

    starts, tunes, draws = jax.random.split(jax.random.PRNGKey(int(data["seed"])), 3)
    state = blackjax.mcmc.mclmc.init(jax.random.normal(starts, (rows * dim,)), log_density, starts)
    state, tuned, _ = blackjax.mclmc_find_L_and_step_size(
        blackjax.mcmc.mclmc.build_kernel(), TUNING, state, tunes, logdensity_fn=log_density
    )
    sampler = blackjax.mclmc(
        log_density, L=tuned.L, step_size=tuned.step_size, inverse_mass_matrix=tuned.inverse_mass_matrix
    )
    _, points = blackjax.util.run_inference_algorithm(
        rng_key=draws, initial_state=state, inference_algorithm=sampler, num_steps=STEPS,
        transform=lambda state, info: state.position,
    )  # fmt: skip
    return {"draws": np.asarray(points)[::THIN].reshape(1, -1, rows, dim), "failed": np.array(0)}


def pyro_nuts(data):
    import pyro
    import pyro.distributions as dist
    import torch
    from pyro.infer import MCMC, NUTS

    a, b, c, d, y = (torch.tensor(data[name], dtype=torch.float32) for name in ("a", "b", "c", "d", "y"))
    pyro.set_rng_seed(int(data["seed"]))

    def model():
        with pyro.plate("rows", len(y)):
            z = pyro.sample("z", dist.Normal(torch.zeros(a.shape[1]), 1.0).to_event(1))
            mean = torch.tanh(z @ a.T + b) @ c.T + d
            pyro.sample("y", dist.Normal(mean, NOISE).to_event(1), obs=y)

    run = MCMC(
        NUTS(model, jit_compile=True, ignore_jit_warnings=True), num_samples=FEW, warmup_steps=FEW,
        disable_progbar=True,
    )  # fmt: skip
    run.run()
    return {"draws": run.get_samples(group_by_chain=True)["z"].numpy(), "failed": np.array(0)}


CONTENDERS = {
    "ec.sample by lattices": ours("lattice", 250),
    "ec.sample by HMC": ours("hmc", 200),
    "ec.sample, auto": ours("auto", 250),
    "NumPyro NUTS, rows jointly": numpyro_nuts,
    "BlackJAX MCLMC, rows jointly": blackjax_mclmc,
    "Pyro NUTS jit, rows jointly": pyro_nuts,
}


def versions(name):
    if name.startswith("ec."):
        from importlib.metadata import version

        return f"ebm-causal {version('ebm-causal')}, torch {version('torch')}"
    if name.startswith("Pyro"):
        from importlib.metadata import version

        return f"pyro-ppl {version('pyro-ppl')}"
    import jax

    if name.startswith("BlackJAX"):
        import blackjax

        return f"blackjax {blackjax.__version__}, jax {jax.__version__}"
    import numpyro

    return f"numpyro {numpyro.__version__}, jax {jax.__version__}"


def imported(name):
    """Import what a contender needs: imports do not count."""
    if name.startswith("ec."):
        import torch

        import ebm_causal

        torch.set_num_threads(1)
        return ebm_causal.sample
    if name.startswith("Pyro"):
        import pyro.infer
        import torch

        torch.set_num_threads(1)
        return pyro.infer.NUTS
    if name.startswith("BlackJAX"):
        import blackjax

        return blackjax.mclmc
    import numpyro.infer

    return numpyro.infer.NUTS


if __name__ == "__main__":
    from peers import main_of

    imported(sys.argv[1])
    main_of(CONTENDERS, versions)
