"""A log density of many flat vectors at once, with its gradient: in one pass where ``vmap`` can, else one by one."""

import warnings
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from ebm_causal.errors import ConvergenceError
from ebm_causal.inference.keeping import Keeper
from ebm_causal.inference.products import SharedProducts

LogDensity = Callable[[Tensor], Tensor]
Both = Callable[[Tensor], tuple[Tensor, Tensor]]  # values and gradients

EAGER = 100  # calls of one shape after which the graph of it is recorded
BLOCK = 200_000  # numbers of one intermediate that are held at once, so that they stay in cache
AGREE = {torch.float64: 1e-8, torch.float32: 1e-4}


class BatchedPotential:
    """Minus a log density and its gradient, of ``[chains, size]`` flat vectors.

    ``vmap`` runs an energy once for many parameter vectors. It cannot run one that branches on values (a normalizer
    by quadrature does) and would be wrong for one that holds a parameter outside its module; the first call
    therefore compares it with the plain way, and stays with the plain way where the two disagree.

    Args:
        log_density: Of one flat vector, differentiable in it.
        plain: The value and the gradient of one flat vector, the slow and obviously right way.
        cost: How many numbers one evaluation holds at once; few vectors go together where it is large.
        dtype: In which the energy computes; it says how closely the two ways can agree.
        keeper: Keeps what was computed, for a run that is started again.
    """

    def __init__(
        self,
        log_density: LogDensity,
        plain: Callable[[Tensor], tuple[float, Tensor]],
        *,
        cost: int,
        dtype: torch.dtype = torch.float64,
        keeper: Keeper | None = None,
    ) -> None:
        self.log_density, self.plain, self.keeper = log_density, plain, keeper
        self.together = max(1, BLOCK // max(cost, 1))
        self.tolerance = AGREE.get(dtype, AGREE[torch.float32])
        self.batched: bool | None = None if self.together > 1 else False
        self.evaluations = 0
        self._calls: dict[torch.Size, int] = {}
        self._graphs: dict[torch.Size, Both] = {}

    def __call__(self, flats: Tensor) -> tuple[Tensor, Tensor]:
        """Minus the log density ``[chains]``, infinite where it is not finite, and its gradient."""
        if self.batched is None:
            self.batched = self._agrees(flats[:2])
        self.evaluations += len(flats)
        if self.keeper is None:
            return self._computed(flats)
        value, gradient = self.keeper.record(lambda: self._computed(flats))
        return value.to(flats), gradient.to(flats)

    def _computed(self, flats: Tensor) -> tuple[Tensor, Tensor]:
        if not self.batched:
            return self._one_by_one(flats)
        parts = [self._evaluate(some) for some in flats.split(self.together)]
        values, gradients = (torch.cat(each) for each in zip(*parts, strict=True))
        return torch.where(values.isfinite(), -values, torch.inf), -gradients.contiguous()

    def _evaluate(self, flats: Tensor) -> tuple[Tensor, Tensor]:
        shape = flats.shape
        if shape in self._graphs:
            with torch.no_grad():
                return self._graphs[shape](flats)
        self._calls[shape] = self._calls.get(shape, 0) + 1
        if self._calls[shape] == EAGER:
            self._record(flats)
        return _batched(self.log_density, flats)

    def _record(self, flats: Tensor) -> None:
        """Keep the operations of an evaluation as a graph, if it says the same elsewhere: a fifth of the time.

        Recording takes a second, most of it once in a process, so that only what is called often is recorded.
        """
        elsewhere = flats.flip(0).roll(1, -1) * 1e-3 + flats
        try:
            graph = recorded(partial(_batched, self.log_density), flats)
            with torch.no_grad():
                found = graph(elsewhere)
        except (RuntimeError, NotImplementedError, ValueError, TypeError):
            return
        known = _batched(self.log_density, elsewhere)
        if all(torch.allclose(a, b, rtol=1e-6, equal_nan=True) for a, b in zip(found, known, strict=True)):
            self._graphs[flats.shape] = graph

    def _agrees(self, flats: Tensor) -> bool:
        try:
            values, gradients = _batched(self.log_density, flats)
        except (RuntimeError, ConvergenceError):
            return False
        known, slopes = self._one_by_one(flats)
        if not bool(known.isfinite().all() & values.isfinite().all()):
            return bool((known.isfinite() == values.isfinite()).all())
        scale = known.abs().max() + slopes.abs().max() + 1
        error = (values + known).abs().max() + (gradients + slopes).abs().max()
        return bool(error <= self.tolerance * scale)

    def _one_by_one(self, flats: Tensor) -> tuple[Tensor, Tensor]:
        found = [self.plain(flat) for flat in flats]
        values = torch.tensor([-value for value, _ in found], dtype=flats.dtype)
        return values, torch.stack([-gradient for _, gradient in found]).to(flats.dtype)


def recorded(function: Both, flats: Tensor) -> Both:
    """The operations that a function of such a batch runs, gradient included, as a graph without Python."""
    from torch.fx.experimental.proxy_tensor import make_fx

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of values that a trace takes for constants: the caller compares
        graph = make_fx(function)(flats)
        graph.graph.eliminate_dead_code()
        graph.recompile()
        with torch.no_grad():
            return torch.jit.freeze(torch.jit.trace(graph.eval(), (flats,), check_trace=False))


def _batched(log_density: LogDensity, flats: Tensor) -> tuple[Tensor, Tensor]:
    """Values and gradients of independent vectors: the gradient of the sum is that of each."""
    flats = flats.detach().requires_grad_()
    with SharedProducts():
        values = torch.func.vmap(log_density)(flats)
    (gradients,) = torch.autograd.grad(values.sum(), flats)
    return values.detach().to(flats.dtype), gradients
