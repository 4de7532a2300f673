"""Guides: normal laws of each row's latents, with parameters of their own or computed from the row's data."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import pyro
import torch
from torch import Tensor, nn

NARROWEST = 1e-6


class NormalGuide(nn.Module, ABC):
    r"""A normal on the latents of each row, in unconstrained coordinates, each coordinate on its own.

    .. math:: q(z \mid v_i) = N\big(\mu_i, \mathrm{diag}\,\sigma^2_i\big)

    Args:
        latents: Name and dimension of each latent.
    """

    def __init__(self, latents: Mapping[str, int]) -> None:
        super().__init__()
        self.latents = dict(latents)

    @property
    def width(self) -> int:
        """How many coordinates all latents have together."""
        return sum(self.latents.values())

    @abstractmethod
    def raw(self, data: Mapping[str, Tensor]) -> Tensor:
        """Means and unconstrained scales of all latents beside each other, ``[rows, 2 * width]``."""

    def flat(self, data: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Means and standard deviations of all latents beside each other, ``[rows, width]`` each."""
        means, raw = self.raw(data).chunk(2, -1)
        return means, nn.functional.softplus(raw + math.log(math.e - 1)) + NARROWEST

    def moments(self, data: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
        """Mean and standard deviation of each latent, per row."""
        sizes = list(self.latents.values())
        pairs = zip(*(part.split(sizes, -1) for part in self.flat(data)), strict=True)
        return dict(zip(self.latents, pairs, strict=True))

    def forward(self, **data: Tensor) -> None:
        """The guide as Pyro calls it."""
        pyro.module("guide", self)
        with pyro.plate("rows", len(next(iter(data.values()))), dim=-1):
            for name, (mean, scale) in self.moments(data).items():
                pyro.sample(name, pyro.distributions.Normal(mean, scale).to_event(1))


class AmortizedGuide(NormalGuide):
    """Mean and scale computed from the row's data by one network: any number of rows, and new ones.

    Args:
        latents: Name and dimension of each latent.
        data: Rows of the data, from which the network's inputs are standardized.
        hidden: The network's width.
    """

    center: Tensor
    spread: Tensor

    def __init__(self, latents: Mapping[str, int], data: Mapping[str, Tensor], hidden: int = 32) -> None:
        super().__init__(latents)
        inputs = _joined(data)
        self.register_buffer("center", inputs.mean(0))
        self.register_buffer("spread", inputs.std(0, unbiased=False).clamp_min(1e-8))
        last = nn.Linear(hidden, 2 * self.width)
        nn.init.normal_(last.weight, std=0.01)
        nn.init.zeros_(last.bias)
        self.network = nn.Sequential(nn.Linear(inputs.shape[-1], hidden), nn.Tanh(), last).to(inputs)

    def raw(self, data: Mapping[str, Tensor]) -> Tensor:
        """By the network."""
        return self.network((_joined(data) - self.center) / self.spread)


class FlatGuide(NormalGuide):
    """Mean and scale of each row as one flat parameter: as tight as normals get, for the rows that it was fitted to.

    Args:
        latents: Name and dimension of each latent.
        data: Rows of the data.
    """

    def __init__(self, latents: Mapping[str, int], data: Mapping[str, Tensor]) -> None:
        super().__init__(latents)
        like = next(iter(data.values()))
        self.table = nn.Parameter(torch.zeros(len(like), 2 * self.width, dtype=like.dtype))

    def raw(self, data: Mapping[str, Tensor]) -> Tensor:
        """The table itself."""
        return self.table


def _joined(data: Mapping[str, Any]) -> Tensor:
    return torch.cat([data[name].flatten(1) for name in sorted(data)], -1)
