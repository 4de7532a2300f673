"""Stochastic variational inference by Pyro: point parameters and an amortized guide on the latents."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pyro
import torch
from pyro.infer import SVI, Trace_ELBO
from pyro.optim import ClippedAdam
from torch import Tensor, nn

from ebm_causal.energies import Energy
from ebm_causal.errors import ConvergenceError
from ebm_causal.gibbs import pyro_model
from ebm_causal.inference.marginal import refuse_undirected
from ebm_causal.shapes import as_rows

WINDOW = 0.1  # of the steps, over which convergence is judged


class AmortizedGuide(nn.Module):
    r"""A normal on the latents of each row, its mean and scale computed from the row's data by one network.

    .. math:: q(z \mid v) = N\big(\mu_\phi(v), \mathrm{diag}\,\sigma^2_\phi(v)\big)

    Args:
        latents: Name and dimension of each latent.
        data: Rows of the data, from which the network's inputs are standardized.
        hidden: The network's width.
    """

    center: Tensor
    spread: Tensor

    def __init__(self, latents: Mapping[str, int], data: Mapping[str, Tensor], hidden: int = 32) -> None:
        super().__init__()
        self.latents = dict(latents)
        inputs = self._joined(data)
        self.register_buffer("center", inputs.mean(0))
        self.register_buffer("spread", inputs.std(0, unbiased=False).clamp_min(1e-8))
        size = 2 * sum(self.latents.values())
        last = nn.Linear(hidden, size)
        nn.init.normal_(last.weight, std=0.01)
        self.network = nn.Sequential(nn.Linear(inputs.shape[-1], hidden), nn.Tanh(), last).to(inputs)

    def moments(self, data: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
        """Mean and standard deviation of each latent, per row."""
        out = self.network((self._joined(data) - self.center) / self.spread)
        means, raw = out.chunk(2, -1)
        scales = nn.functional.softplus(raw + math.log(math.e - 1)) + 1e-6
        sizes = list(self.latents.values())
        return dict(
            zip(self.latents, zip(means.split(sizes, -1), scales.split(sizes, -1), strict=True), strict=True)
        )

    def forward(self, **data: Tensor) -> None:
        """The guide as Pyro calls it."""
        pyro.module("guide", self)
        moments = self.moments(data)
        with pyro.plate("rows", self._joined(data).shape[0], dim=-1):
            for name, (mean, scale) in moments.items():
                pyro.sample(name, pyro.distributions.Normal(mean, scale).to_event(1))

    def _joined(self, data: Mapping[str, Tensor]) -> Tensor:
        return torch.cat([data[name].flatten(1) for name in sorted(data)], -1)


@dataclass(frozen=True, slots=True, kw_only=True)
class VariationalRun:
    """Where SVI ended.

    Attributes:
        guide: The fitted guide.
        elbo: The evidence lower bound after each step, in nats for all rows.
        converged: Whether the bound rose by less than its own noise over the last tenth of the steps.
    """

    guide: AmortizedGuide
    elbo: tuple[float, ...]
    converged: bool


def run_svi(
    energy: Energy,
    data: Mapping[str, Tensor],
    latents: Mapping[str, int],
    *,
    setting: tuple[int, float, float],
    seed: int,
    guide: AmortizedGuide | None = None,
    report: Callable[[int, float], None] | None = None,
) -> VariationalRun:
    """Raise the evidence lower bound of a locally normalized energy by Pyro's SVI.

    Args:
        energy: The energy; its parameters are changed in place.
        data: Rows of every variable that is not latent.
        latents: The latents and their dimensions.
        setting: Steps, learning rate, and beta.
        seed: Pyro's seed for this run.
        guide: The guide of an earlier run, to go on with; a new one where None.
        report: Told the step and the bound.

    Returns:
        The run.

    Raises:
        IdentificationError: If a factor is neither a mechanism nor a regularizer.
        ConvergenceError: If the bound stops being finite.
    """
    refuse_undirected(energy)
    steps, rate, beta = setting
    rows = {name: as_rows(name, value, energy.variables[name].shape) for name, value in data.items()}
    with pyro.get_param_store().scope(), torch.random.fork_rng(devices=[]):
        pyro.set_rng_seed(seed)
        guide = guide or AmortizedGuide(latents, rows)
        decay = 0.05 ** (1 / steps)
        engine = SVI(
            pyro_model(energy, beta=beta), guide, ClippedAdam({"lr": rate, "lrd": decay}), Trace_ELBO()
        )
        elbo: list[float] = []
        for step in range(steps):
            elbo.append(-float(engine.step(**rows)))
            if not math.isfinite(elbo[-1]):
                raise ConvergenceError(
                    f"the evidence lower bound is {elbo[-1]} at step {step}: lower the learning rate."
                )
            if report is not None:
                report(step + 1, elbo[-1])
    return VariationalRun(guide=guide, elbo=tuple(elbo), converged=_settled(elbo))


def _settled(elbo: list[float]) -> bool:
    window = max(10, int(WINDOW * len(elbo)))
    if len(elbo) < 2 * window:
        return False
    last, before = torch.tensor(elbo[-window:]), torch.tensor(elbo[-2 * window : -window])
    noise = math.sqrt(float(last.var() + before.var()) / window)
    return abs(float(last.mean() - before.mean())) < 3 * noise + 1e-3 * abs(float(last.mean()))
