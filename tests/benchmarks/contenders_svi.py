"""Variational fits, one run each: run by ``bench_svi.py``, peers under their own interpreter."""

import sys
import time

import numpy as np

STEPS, TIMED, NOISE, RATE = 2000, 300, 0.3, 0.01


def torch_net():
    import torch

    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(2, 16), torch.nn.Tanh(), torch.nn.Linear(16, 3)).double()


def our_energy():
    import torch

    import ebm_causal as ec

    class Decoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = torch_net()

        def forward(self, z):
            return self.net(z)

    return ec.Mechanism("y", "z", Decoder(), ec.SquaredError(NOISE), dim=3) + ec.GaussianRegularizer(2)


def ours(kernel, kind="flat", steps=STEPS):
    def run(data):
        import torch

        from ebm_causal.inference import run_svi

        y = {"y": torch.tensor(data["y"])}
        engine = "traced" if kernel == "auto" else kernel
        run = run_svi(our_energy(), y, {"z": 2}, setting=(steps, RATE, 1.0), seed=0, kind=kind, engine=engine)
        return {"elbo": np.array(run.elbo)}

    return run


def pyro_default(steps):
    """AutoNormal, Trace_ELBO and Adam, as the tutorials have it."""

    def run(data):
        import pyro
        import torch
        from pyro import distributions as dist
        from pyro.infer import SVI, Trace_ELBO
        from pyro.infer.autoguide import AutoNormal

        net, y = torch_net(), torch.tensor(data["y"])
        zero = torch.zeros(len(y), 2, dtype=y.dtype)

        def model(y):
            pyro.module("net", net)
            with pyro.plate("rows", len(y)):
                z = pyro.sample("z", dist.Normal(zero, 1.0).to_event(1))
                pyro.sample("y", dist.Normal(net(z), NOISE).to_event(1), obs=y)

        engine = SVI(model, AutoNormal(model), pyro.optim.Adam({"lr": RATE}), Trace_ELBO())
        return {"elbo": np.array([-engine.step(y) for _ in range(steps)])}

    return run


def numpyro_svi(data):
    import jax
    import jax.numpy as jnp
    import numpyro
    from numpyro import distributions as dist
    from numpyro.infer import SVI, Trace_ELBO
    from numpyro.infer.autoguide import AutoNormal

    y = jnp.asarray(data["y"], dtype=jnp.float32)

    def model():
        first, a = (
            numpyro.param("w1", data["w1"].astype(np.float32)),
            numpyro.param("b1", data["b1"].astype(np.float32)),
        )
        last, b = (
            numpyro.param("w2", data["w2"].astype(np.float32)),
            numpyro.param("b2", data["b2"].astype(np.float32)),
        )
        with numpyro.plate("rows", len(y)):
            z = numpyro.sample("z", dist.Normal(jnp.zeros((len(y), 2)), 1.0).to_event(1))
            numpyro.sample("y", dist.Normal(jnp.tanh(z @ first.T + a) @ last.T + b, NOISE).to_event(1), obs=y)

    engine = SVI(model, AutoNormal(model), numpyro.optim.Adam(RATE), Trace_ELBO())
    result = engine.run(jax.random.PRNGKey(0), STEPS, progress_bar=False)
    return {"elbo": -np.asarray(result.losses)}


def per_step(make):
    """The time of a step alone: that of a long run less that of a short one."""

    def run(data):
        make(20)(data)
        start = time.process_time()
        make(TIMED)(data)
        middle = time.process_time()
        make(3 * TIMED)(data)
        return {"step": np.array((time.process_time() - middle - (middle - start)) / (2 * TIMED))}

    return run


CONTENDERS = {
    "ec, 2000 cold steps": ours("auto"),
    "NumPyro SVI, 2000 cold steps": numpyro_svi,
    "ec, one step": per_step(lambda steps: ours("auto", steps=steps)),
    "ec by pyro-svi, one step": per_step(lambda steps: ours("pyro-svi", steps=steps)),
    "Pyro's default, one step": per_step(pyro_default),
    "Pyro's default, 2000 cold steps": pyro_default(STEPS),
}


def versions(name):
    from importlib.metadata import version

    packages = ("numpyro", "jax") if name.startswith("NumPyro") else ("ebm-causal", "pyro-ppl", "torch")
    return ", ".join(f"{package} {version(package)}" for package in packages)


if __name__ == "__main__":
    if sys.argv[1].startswith("NumPyro"):
        import numpyro.infer.autoguide  # noqa: F401 -- imports do not count
    else:
        import pyro.infer.autoguide  # noqa: F401
        import torch

        import ebm_causal

        torch.set_num_threads(1)
        _ = ebm_causal.fit
    from peers import main_of

    main_of(CONTENDERS, versions)
