"""What a posterior of parameters says of the rows: their latents, replicas of them, and their log likelihood."""

import copy
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ebm_causal.energies import Energy, mechanisms_of, named_parameters
from ebm_causal.inference import CompleteLikelihood, MarginalLikelihood, ParameterVector
from ebm_causal.sampling import Lattice, RowEnergy

STEP, DROP = 0.6, 28.0  # of the lattices: wide and fine enough for parameters away from their mean
PROPOSALS = 128  # draws of a row's latents that estimate its likelihood, where these were drawn along
WIDER = 1.3  # than the latents' posterior are these


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicas:
    """One for each draw of the parameters.

    Attributes:
        latents: ``[chains, draws, rows, *shape]`` by name, given the row and the draw's parameters.
        predicted: The same of variables with a mechanism, drawn anew from it given the row's causes.
        log_likelihood: ``[chains, draws, rows]``, latents integrated out.
    """

    latents: Mapping[str, Tensor]
    predicted: Mapping[str, Tensor]
    log_likelihood: Tensor


def replicate(
    energy: Energy,
    labels: tuple[str, ...],
    data: Mapping[str, Tensor],
    setting: tuple[tuple[str, ...], float, int],
    draws: Tensor,
    *,
    drawn_along: Tensor | None = None,
) -> Replicas:
    """Draw latents and rows anew at each draw of the parameters, and weigh the rows there.

    Args:
        energy: The energy at the draws' mean; it is not changed.
        labels: The draws' coordinates.
        data: The rows.
        setting: The latents, beta, and a seed.
        draws: ``[chains, draws, parameters]``.
        drawn_along: ``[chains, draws, rows, dim]`` of the latents in unconstrained coordinates, where they were drawn
            with the parameters.
    """
    own, (latents, beta, seed) = copy.deepcopy(energy), setting
    vector, generator = _vector(own, labels), torch.Generator().manual_seed(seed)
    at: _Collapsed | _Joint
    if drawn_along is None:
        at = _Collapsed(MarginalLikelihood(own, data, latents, beta), generator)
    else:
        at = _Joint(CompleteLikelihood(own, data, latents, beta), drawn_along.flatten(0, 1), generator)
    found: list[tuple[dict[str, Tensor], dict[str, Tensor], Tensor]] = []
    with torch.no_grad(), _seeded(generator):
        for place, flat in enumerate(draws.flatten(0, 1)):
            vector.set(flat)
            values, rows = at(place)
            found.append((values, _predicted(own, {**data, **values}, beta, generator), rows))
    latent, predicted, likelihoods = zip(*found, strict=True)

    def shaped(parts: tuple[Tensor, ...]) -> Tensor:
        return torch.stack(parts).unflatten(0, draws.shape[:2])

    return Replicas(
        latents={name: shaped(tuple(each[name] for each in latent)) for name in latent[0]},
        predicted={name: shaped(tuple(each[name] for each in predicted)) for name in predicted[0]},
        log_likelihood=shaped(likelihoods),
    )


def predict_rows(
    energy: Energy, values: Mapping[str, Tensor], beta: float, generator: torch.Generator
) -> dict[str, Tensor]:
    """Every observed variable that has a mechanism, drawn anew given the row's own causes."""
    with _seeded(generator):
        return _predicted(energy, values, beta, generator)


@contextmanager
def _seeded(generator: torch.Generator) -> Iterator[None]:
    """Pyro's laws draw from torch's own generator, seeded within: once for many laws, since seeding is slower."""
    seed = int(torch.randint(2**62, (1,), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def _predicted(
    energy: Energy, values: Mapping[str, Tensor], beta: float, generator: torch.Generator
) -> dict[str, Tensor]:
    drawn = {}
    for child, mechanism in mechanisms_of(energy).items():
        if child in values:
            parents = {parent: values[parent] for parent in mechanism.parents}
            law = mechanism.distribution(parents, beta)
            drawn[child] = mechanism.sample(parents, beta, generator) if law is None else law.sample()
    return drawn


def _vector(energy: Energy, labels: tuple[str, ...]) -> ParameterVector:
    drawn = {label.split("[")[0] for label in labels} | set(labels)
    return ParameterVector(energy, [name for name in named_parameters(energy) if name not in drawn])


class _Collapsed:
    """Latents from lattices that all draws share, weighed at the parameters of the moment."""

    def __init__(self, likelihood: MarginalLikelihood, generator: torch.Generator) -> None:
        self.likelihood, self.generator = likelihood, generator
        likelihood.adapt(step=STEP, drop=DROP)

    def __call__(self, place: int) -> tuple[dict[str, Tensor], Tensor]:
        if not self.likelihood.latents:
            return {}, self.likelihood.log_likelihood()
        whole = self.likelihood.whole
        points: list[Tensor] = []
        rows: list[Tensor] = []
        for block, lattice in self.likelihood.lattices():
            now = _weighed_anew(lattice, block(lattice.points))
            rows.append(now.log_partition())
            drawn = now.choose(1, self.generator) if whole.finite else self._within(now, block)
            points.append(drawn[0])
        values = whole.split(torch.cat(points)[None])
        total = torch.cat(rows) - self.likelihood.log_prior_normalizer()
        return {name: value[0] for name, value in values.items()}, total

    def _within(self, lattice: Lattice, energy: RowEnergy) -> Tensor:
        return self.likelihood.whole.to_support(lattice.draw(energy, 1, self.generator))[0]


class _Joint:
    """Latents that were drawn with the parameters; likelihoods by importance sampling around them."""

    def __init__(self, complete: CompleteLikelihood, points: Tensor, generator: torch.Generator) -> None:
        self.complete, self.points = complete, points.to(complete.whole.like)
        mean, scale = self.points.mean(0), WIDER * self.points.std(0)
        shape = (PROPOSALS, *mean.shape)
        noise = torch.randn(shape, generator=generator, dtype=mean.dtype)
        self.proposals = mean + scale * noise
        constant = scale.log().sum(-1) + 0.5 * mean.shape[-1] * math.log(2 * math.pi)
        self.log_proposed = -0.5 * (noise * noise).sum(-1) - constant

    def __call__(self, place: int) -> tuple[dict[str, Tensor], Tensor]:
        weights = self.complete(self.proposals) - self.log_proposed
        inside, _ = self.complete.whole.to_support(self.points[place][None])
        values = self.complete.whole.split(inside)
        rows = weights.logsumexp(0) - math.log(PROPOSALS)
        return {name: value[0] for name, value in values.items()}, rows


def _weighed_anew(lattice: Lattice, energies: Tensor) -> Lattice:
    """The same points, weighed by other energies."""
    energies = torch.where(lattice.energies.isfinite(), energies, math.inf)
    masses = torch.softmax(-energies, 0)
    return replace(lattice, energies=energies, masses=masses, log_integral=lattice.log_partition(energies))
