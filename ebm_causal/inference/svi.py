"""Stochastic variational inference: point parameters and a normal guide on the latents.

The bound is traced once and climbed by one Adam on one flat vector. Pyro's SVI, its ``JitTrace_ELBO`` on the Pyro model
of the energy, is the reference: the same bound, estimated the same way, several times slower.
"""

import itertools
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ebm_causal.energies import Energy
from ebm_causal.errors import ConvergenceError
from ebm_causal.gibbs import pyro_model
from ebm_causal.inference.bounds import CompleteLikelihood
from ebm_causal.inference.guides import AmortizedGuide, FlatGuide, NormalGuide
from ebm_causal.inference.keeping import Keeper
from ebm_causal.inference.parameters import ParameterVector, Places
from ebm_causal.shapes import as_rows

Kind = Literal["amortized", "flat"]
Engine = Literal["traced", "pyro-svi"]
Loss = Callable[[Tensor, Tensor], Tensor]

STEADY = 0.6  # of the steps keep the learning rate; over the others it falls
LAST_RATE = 0.05  # of the first
WINDOW = 0.15  # of the steps, over which convergence is judged
STILL = 0.2  # nats that the bound may still rise from one window to the next
PAIRS = 32  # draws of the latents on which two averages of parameters are compared


@dataclass(frozen=True, slots=True, kw_only=True)
class VariationalRun:
    """Where SVI ended.

    Attributes:
        guide: The fitted guide.
        elbo: The evidence lower bound at each step, one draw of each row's latents, in nats for all rows.
        rise: By how much the bound still rose from the average parameters of one window of steps to those of the next,
            at a steady learning rate; both on the same draws, so that a rise far below the noise of one step is seen.
        noise: The standard error of that.
        converged: Whether it rose by less than three of these, or a fifth of a nat.
    """

    guide: NormalGuide
    elbo: tuple[float, ...]
    rise: float
    noise: float
    converged: bool


def run_svi(
    energy: Energy,
    data: Mapping[str, Tensor],
    latents: Mapping[str, int],
    *,
    setting: tuple[int, float, float],
    seed: int,
    parameters: ParameterVector | None = None,
    kind: Kind = "amortized",
    engine: Engine = "traced",
    guide: NormalGuide | None = None,
    report: Callable[[int, float], None] | None = None,
    keeper: Keeper | None = None,
) -> VariationalRun:
    """Raise the evidence lower bound of a locally normalized energy.

    The learning rate is steady for three fifths of the steps, and convergence is judged at the end of these: a rate
    that falls to nothing would make any run look settled.

    Args:
        energy: The energy; its parameters are changed in place.
        data: Rows of every variable that is not latent.
        latents: The latents and their dimensions.
        setting: Steps, learning rate, and beta.
        seed: Of this run.
        parameters: What is learned beside the guide; all of the energy's parameters where None.
        kind: ``amortized``, one network for all rows, or ``flat``, a mean and a scale for each.
        engine: ``traced``, or ``pyro-svi`` as the reference.
        guide: The guide of an earlier run, to go on with; a new one where None.
        report: Told the step and the bound.
        keeper: Keeps what was computed, for a run that is started again; not with Pyro's engine.

    Returns:
        The run.

    Raises:
        IdentificationError: If a factor is neither a mechanism nor a regularizer.
        EnergyError: If a latent takes finitely many values.
        ConvergenceError: If the bound stops being finite.

    References:
        Hoffman, Blei, Wang and Paisley (2013), Stochastic variational inference; Kingma and Welling (2014),
        Auto-encoding variational Bayes; Burda, Grosse and Salakhutdinov (2016), Importance weighted autoencoders.
    """
    complete = CompleteLikelihood(energy, data, latents, setting[2])
    rows = {name: as_rows(name, value, energy.variables[name].shape) for name, value in data.items()}
    learned = parameters or ParameterVector(energy)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        guide = guide or (AmortizedGuide if kind == "amortized" else FlatGuide)(latents, rows)
        problem = (complete, learned, guide, rows)
        if engine == "traced":
            elbo, (rise, noise) = _climb(problem, setting, seed, report, keeper)
        else:
            elbo, (rise, noise) = _climb_by_pyro(problem, setting, seed, report)
    converged = rise < max(3 * noise, STILL)
    return VariationalRun(guide=guide, elbo=tuple(elbo), rise=rise, noise=noise, converged=converged)


Problem = tuple[CompleteLikelihood, ParameterVector, NormalGuide, Mapping[str, Tensor]]


def _climb(
    problem: Problem,
    setting: tuple[int, float, float],
    seed: int,
    report: Callable[[int, float], None] | None,
    keeper: Keeper | None = None,
) -> tuple[list[float], tuple[float, float]]:
    complete, learned, guide, _ = problem
    steps, rate, _ = setting
    places = Places(guide, guide.parameters())
    like = complete.whole.like
    flat = torch.cat(
        [learned.get().to(like), *(t.detach().reshape(-1) for t in places.tensors)]
    ).requires_grad_()
    shape = (steps, complete.rows, complete.dim)
    noise = _noise(shape, torch.Generator().manual_seed(seed), like)
    constant = 0.5 * complete.rows * complete.dim * (1 + math.log(2 * math.pi))
    loss = _traced(_loss(problem, places), flat, (next(noise), next(noise)))
    optimizer = torch.optim.Adam([flat], lr=rate, fused=like.device.type == "cpu")
    elbo: list[float] = []
    windows = _Windows(steps, flat)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * _share_of_rate(step, steps)
        value, flat.grad = _value_and_slope(loss, flat, next(noise), keeper)
        optimizer.step()
        windows.see(step, flat)
        elbo.append(constant - float(value))
        _refuse_runaway(elbo)
        if report is not None:
            report(step + 1, elbo[-1])
    learned.set(flat.detach()[: len(learned)].to(torch.float64))
    with torch.no_grad(), places.holding(flat.detach()[len(learned) :]) as values:
        found = [value.clone() for value in values]
    for tensor, value in zip(places.tensors, found, strict=True):
        tensor.data.copy_(value)
    return elbo, windows.rise(loss, noise)


class _Windows:
    """The average parameters of the last two windows of the steady steps."""

    def __init__(self, steps: int, flat: Tensor) -> None:
        end, self.size = round(STEADY * steps), int(WINDOW * steps)
        self.starts = (end - 2 * self.size, end - self.size)
        self.means = [torch.zeros_like(flat, requires_grad=False) for _ in self.starts]

    def see(self, step: int, flat: Tensor) -> None:
        for start, mean in zip(self.starts, self.means, strict=True):
            if start <= step < start + self.size:
                mean.add_(flat.detach(), alpha=1 / self.size)

    def rise(self, loss: Loss, noise: Iterator[Tensor]) -> tuple[float, float]:
        """By how much the bound is higher at the later one, on the same draws, and the standard error of that."""
        if self.size < 5:
            return math.inf, math.inf
        first, last = self.means
        with torch.no_grad():
            pairs = [float(loss(first, some) - loss(last, some)) for some in itertools.islice(noise, PAIRS)]
        found = torch.tensor(pairs, dtype=torch.float64)
        return float(found.mean()), float(found.std()) / math.sqrt(PAIRS)


def _value_and_slope(loss: Loss, flat: Tensor, noise: Tensor, keeper: Keeper | None) -> tuple[Tensor, Tensor]:
    def compute() -> tuple[Tensor, Tensor]:
        value = loss(flat, noise)
        (slope,) = torch.autograd.grad(value, flat)
        return value.detach(), slope

    if keeper is None:
        return compute()
    value, slope = keeper.record(compute)
    return value.to(flat), slope.to(flat)


def _loss(problem: Problem, places: Places) -> Loss:
    """Minus the bound but for a constant: the entropy of a normal is known, its energy is drawn."""
    complete, learned, guide, rows = problem

    def loss(flat: Tensor, noise: Tensor) -> Tensor:
        with learned.standing_at(flat[: len(learned)]), places.holding(flat[len(learned) :]):
            mean, scale = guide.flat(rows)
            return -complete((mean + scale * noise)[None]).sum() - scale.log().sum()

    return loss


def _noise(shape: tuple[int, int, int], generator: torch.Generator, like: Tensor) -> Iterator[Tensor]:
    """Standard normal numbers for step after step, two for a start; drawn many at a time, at a tenth of the cost."""
    steps, rows, dim = shape
    many = max(1, min(steps + 2, 200_000 // max(rows * dim, 1)))
    while True:
        yield from torch.randn((many, rows, dim), generator=generator, dtype=like.dtype).to(like.device)


def _traced(loss: Loss, flat: Tensor, noises: tuple[Tensor, Tensor]) -> Loss:
    """The loss as a graph, where the graph says the same at another point; else as it is."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # of values that a trace takes for constants: the comparison below judges
        try:
            traced = torch.jit.trace(loss, (flat, noises[0]), check_trace=False)
            moved = flat.detach() + 0.1
            known, found = loss(moved, noises[1]), traced(moved, noises[1])
        except RuntimeError:
            return loss
    return traced if torch.allclose(known, found, rtol=1e-4, equal_nan=True) else loss


def _climb_by_pyro(
    problem: Problem,
    setting: tuple[int, float, float],
    seed: int,
    report: Callable[[int, float], None] | None,
) -> tuple[list[float], tuple[float, float]]:
    """Pyro's own SVI."""
    import pyro
    from pyro.infer import SVI, JitTrace_ELBO
    from pyro.optim import PyroOptim

    (complete, learned, guide, rows), (steps, rate, beta) = problem, setting
    kept = {id(tensor) for tensor in learned.tensors}
    held = [t for t in complete.energy.parameters() if id(t) not in kept and t.requires_grad]
    elbo: list[float] = []
    with pyro.get_param_store().scope(), warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)  # that Pyro calls
        pyro.set_rng_seed(seed)
        for tensor in held:
            tensor.requires_grad_(False)
        optimizer = PyroOptim(torch.optim.Adam, {"lr": rate})
        engine = SVI(pyro_model(complete.energy, beta=beta), guide, optimizer, JitTrace_ELBO())
        for step in range(steps):
            for each in optimizer.optim_objs.values():
                each.param_groups[0]["lr"] = rate * _share_of_rate(step, steps)
            elbo.append(-float(engine.step(**rows)))
            _refuse_runaway(elbo)
            if report is not None:
                report(step + 1, elbo[-1])
        for tensor in held:
            tensor.requires_grad_(True)
    return elbo, _rise(elbo)


def _share_of_rate(step: int, steps: int) -> float:
    late = (step / steps - STEADY) / (1 - STEADY)
    return LAST_RATE**late if late > 0 else 1.0


def _refuse_runaway(elbo: list[float]) -> None:
    if not math.isfinite(elbo[-1]):
        raise ConvergenceError(
            f"the evidence lower bound is {elbo[-1]} at step {len(elbo) - 1}: lower the learning rate."
        )


def _rise(elbo: list[float]) -> tuple[float, float]:
    """How much the drawn bound rose between the last two windows of the steady part, and the standard error of that."""
    steady = torch.tensor(elbo[: round(STEADY * len(elbo))], dtype=torch.float64)
    window = int(WINDOW * len(elbo))
    if window < 5:
        return math.inf, math.inf
    before, last = steady[-2 * window : -window], steady[-window:]
    noise = math.sqrt(float(before.var() + last.var()) / window)
    return float(last.mean() - before.mean()), noise
