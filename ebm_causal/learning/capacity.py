"""How much a latent carries, and how heavy its regularizer should be: a curve over the weight of R."""

import copy
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ebm_causal.energies import Energy, Regularizer, normalized, regularizers_of
from ebm_causal.errors import ArgumentError
from ebm_causal.figures import curves_picture
from ebm_causal.gibbs import restrict
from ebm_causal.learning.health import rank
from ebm_causal.learning.loops import Loop
from ebm_causal.learning.losses import Loss
from ebm_causal.learning.problems import problem_of
from ebm_causal.learning.regularized_latent import RegularizedLatent
from ebm_causal.learning.rows import rows_of
from ebm_causal.learning.training import train

RATED = 300  # rows of which the rate is taken


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityCurve:
    """What a latent carries against the weight of its regularizer.

    Attributes:
        weights: The weights, rising.
        rate: The information that the latent carries about a row, in nats: the mean Kullback-Leibler divergence of
            its posterior from its prior.
        on_data: The mean energy of rows held out, the latent minimized over.
        off_data: That of permuted pairs.
        ranking: The share of pairs for which the data are lower.
        ranking_error: Its standard error.
        recommended: The largest weight whose ranking is within one standard error of the best.
    """

    weights: tuple[float, ...]
    rate: tuple[float, ...]
    on_data: tuple[float, ...]
    off_data: tuple[float, ...]
    ranking: tuple[float, ...]
    ranking_error: tuple[float, ...]

    @property
    def recommended(self) -> float:
        """The largest weight whose ranking is within one standard error of the best."""
        best = int(np.argmax(self.ranking))
        floor = self.ranking[best] - self.ranking_error[best]
        return max(w for w, share in zip(self.weights, self.ranking, strict=True) if share >= floor)

    def summary(self) -> pd.DataFrame:
        """A row for each weight."""
        names = ("rate", "on_data", "off_data", "ranking", "ranking_error")
        frame = pd.DataFrame({name: getattr(self, name) for name in names}, index=list(self.weights))
        frame["recommended"] = frame.index == self.recommended
        return frame.rename_axis("weight")

    def plot(self, ax: Any = None) -> Any:
        """Rate and energies over the logarithm of the weight."""
        curves = {"rate, nats": self.rate, "F on data": self.on_data, "F off data": self.off_data}
        places = np.log10(np.array(self.weights))
        return curves_picture(
            places, {k: np.array(v) for k, v in curves.items()}, "log10 of the weight of R", ax
        )

    def __repr__(self) -> str:
        low, high = self.weights[0], self.weights[-1]
        return f"CapacityCurve({len(self.weights)} weights from {low:g} to {high:g}, recommended {self.recommended:g})"


def latent_capacity(
    energy: Energy,
    data: Mapping[str, object] | pd.DataFrame,
    weights: Iterable[float],
    *,
    latents: tuple[str, ...] = ("z",),
    fixed: Iterable[str] = (),
    loss: Loss | None = None,
    loop: Loop | None = None,
    steps: int = 300,
    learning_rate: float = 0.03,
    seed: int = 0,
) -> CapacityCurve:
    r"""Train an energy at several weights of its regularizers, and say what the latent carries at each.

    .. math:: \text{rate} = \big\langle \mathrm{KL}\big(p(z \mid x, y) \,\|\, p(z)\big)\big\rangle

    At a small weight the latent explains noise: F is low on data and off data alike, and tells nothing apart. At a
    large one it carries nothing. The recommendation is by the ranking condition on rows held out, and among weights
    that do as well the largest. Every weight is a training of its own, from the same start.

    Args:
        energy: The energy; every regularizer in it is multiplied by the weight.
        data: As for ``fit``.
        weights: Positive factors of R.
        latents: Its latents, of up to three real dimensions together or finite.
        fixed: Names of parameters that stay as they are.
        loss: The principle; the regularized latent by default.
        loop: Batches and so on.
        steps: Of each training.
        learning_rate: Of each training.
        seed: Of each training.

    Returns:
        The curve.

    Raises:
        ArgumentError: If there are fewer than two weights, one is not positive, or the energy has no regularizer.

    References:
        LeCun (2022), A path towards autonomous machine intelligence, section 4.3 (the capacity of the latent);
        Alemi et al. (2018), Fixing a broken ELBO, section 2 (rate).
    """
    several = sorted({float(weight) for weight in weights})
    if len(several) < 2 or not 0 < several[0] <= several[-1] < math.inf:
        raise ArgumentError(f"give at least two positive, finite weights; got {several}.")
    if not regularizers_of(energy):
        raise ArgumentError("the energy has no regularizer whose weight could be changed.")
    held, found = tuple(fixed), []
    for weight in several:
        fit = train(
            weighed(energy, weight), data, loss or RegularizedLatent(), latents=latents, fixed=held, loop=loop,
            steps=steps, learning_rate=learning_rate, seed=seed,
        )  # fmt: skip
        rows = {name: value[:RATED] for name, value in rows_of(fit.energy, data, latents).items()}
        found.append(_told(fit.energy, rows, latents))
    rate, low, high, share, error = (tuple(each) for each in zip(*found, strict=True))
    return CapacityCurve(
        weights=tuple(several), rate=rate, on_data=low, off_data=high, ranking=share, ranking_error=error
    )


def weighed(energy: Energy, weight: float) -> Energy:
    """A copy of the energy with every regularizer times a weight."""
    own = copy.deepcopy(energy)
    parts = [f.scaled(weight) if isinstance(f, Regularizer) else f for f in own.factors.values()]
    total = Energy(parts, clamped=own.clamped)
    total.learn_dims_of(own)
    return total


def latent_rate(
    energy: Energy, rows: Mapping[str, Tensor], latents: tuple[str, ...], beta: float = 1.0
) -> Tensor:
    """The divergence of each row's posterior of the latents from their prior, in nats, by quadrature.

    Args:
        energy: A sum of mechanisms and regularizers.
        rows: The data.
        latents: Of up to three real dimensions together, or finite.
        beta: The inverse temperature.
    """
    with torch.no_grad():
        posterior = restrict(normalized(energy), latents, rows, beta)
        lattice = posterior.quadrature()
        values = posterior.split(lattice.points)
        prior = torch.zeros(lattice.points.shape[:-1]).to(lattice.points)
        for name, regularizer in regularizers_of(energy).items():
            if name in latents:
                weighed_by = regularizer.reduced({name: values[name]}, beta)
                prior = prior - weighed_by - regularizer.log_normalizer(beta, lattice.points)
        log_weight = -posterior(lattice.points)
        total = lattice.log_partition(-log_weight)
        return lattice.expectation(log_weight - total - prior)


def _told(energy: Energy, rows: Mapping[str, Tensor], latents: tuple[str, ...]) -> tuple[float, ...]:
    problem = problem_of(energy, rows, latents, None, beta=1.0, count=len(next(iter(rows.values()))))
    ranking = rank(problem, rows, "rows", torch.Generator().manual_seed(0))
    with torch.no_grad():
        few = {name: value[:100] for name, value in rows.items()}
        low = float(problem.raw(few).mean())
    if ranking is None:
        raise ArgumentError("one row cannot be contrasted with others: give more.")
    rate = float(latent_rate(energy, rows, latents).mean())
    return rate, low, low + ranking.gap, ranking.share, ranking.standard_error
