"""Pyro's NUTS on a potential that brings its own gradient: the reference for the package's chains."""

from collections.abc import Callable

import torch
from torch import Tensor

from ebm_causal.sampling import Frame, PooledChains

Potential = Callable[[Tensor], tuple[Tensor, Tensor]]


def run_nuts(
    potential: Potential,
    start: Tensor,
    counts: tuple[int, int],
    generator: torch.Generator,
    *,
    frame: Frame,
    report: Callable[[int, int], None] | None = None,
) -> PooledChains:
    """Chain after chain of Pyro's NUTS, in the coordinates of a frame; it learns a diagonal metric of its own.

    Args:
        potential: Minus the log density and its gradient, of positions ``[chains, dim]``.
        start: Where the chains begin.
        counts: How many iterations of warm-up, and how many draws.
        generator: Seeds Pyro's randomness.
        frame: Affine coordinates to run in.
        report: Told the iterations done and their number.

    Returns:
        The chains; the acceptance of a draw is the mean over its chain, which is what Pyro tells.

    References:
        Hoffman and Gelman (2014), The No-U-Turn sampler.
    """

    def whitened(position: Tensor) -> tuple[Tensor, Tensor]:
        value, gradient = potential(frame.out(position))
        return value, frame.pull(gradient)

    warmup, draws = counts
    found = []
    for chain, first in enumerate(frame.back(start)):
        seed = int(torch.randint(2**31, (1,), generator=generator))
        found.append(_chain(whitened, first, counts, seed))
        if report is not None:
            report((chain + 1) * (warmup + draws), len(start) * (warmup + draws))
    positions, acceptance, diverged, sizes = zip(*found, strict=True)
    stacked = torch.stack(positions)
    moved = torch.ones(stacked.shape[:2], dtype=torch.bool)
    moved[:, 1:] = (stacked.diff(dim=1) != 0).any(-1)
    densities = -torch.cat([potential(row)[0] for row in frame.out(stacked)]).reshape(stacked.shape[:2])
    rates = torch.tensor(acceptance, dtype=stacked.dtype)[:, None].expand(stacked.shape[:2])
    return PooledChains(
        frame.out(stacked), densities, rates, moved, torch.stack(diverged), torch.zeros_like(moved),
        sum(sizes) / len(sizes), frame,
    )  # fmt: skip


def _chain(
    potential: Potential, start: Tensor, counts: tuple[int, int], seed: int
) -> tuple[Tensor, float, Tensor, float]:
    """Draws, mean acceptance, divergences and step size of one chain."""
    from pyro.infer import MCMC, NUTS
    from pyro.util import set_rng_seed

    with torch.random.fork_rng(devices=[]):
        set_rng_seed(seed)
        kernel = NUTS(potential_fn=lambda values: _Bridge.apply(values["theta"], potential))
        run = MCMC(
            kernel,
            num_samples=counts[1],
            warmup_steps=counts[0],
            initial_params={"theta": start},
            disable_progbar=True,
        )
        run.run()
    diverged = torch.zeros(counts[1], dtype=torch.bool)
    diverged[run.diagnostics()["divergences"]["chain 0"]] = True
    acceptance = float(run.diagnostics()["acceptance rate"]["chain 0"])
    return run.get_samples()["theta"], acceptance, diverged, float(kernel.step_size)


class _Bridge(torch.autograd.Function):
    """A potential that brings its own gradient, for Pyro's autograd."""

    @staticmethod
    def forward(ctx, theta: Tensor, potential: Potential) -> Tensor:
        with torch.enable_grad():
            value, gradient = potential(theta.detach()[None])
        ctx.save_for_backward(gradient[0])
        return value[0]

    @staticmethod
    def backward(ctx, upstream: Tensor) -> tuple[Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return upstream * gradient, None
