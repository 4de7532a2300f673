"""The memory of persistent chains."""

import torch
from torch import Tensor, nn

from ebm_causal.learning.negatives import first_noise
from ebm_causal.learning.problems import Batch, Problem


class ReplayBuffer(nn.Module):
    """Chains that go on from batch to batch, each beside the x it belongs to, with its age in batches.

    Args:
        problem: What the chains are about; their first x are rows of the data.
        size: How many chains.
        renewed: The share that begins anew whenever chains are taken.
        at_data: Whether these begin at data rather than at noise.
    """

    points: Tensor
    ages: Tensor

    def __init__(self, problem: Problem, size: int, renewed: float, *, at_data: bool) -> None:
        super().__init__()
        self.size, self.renewed, self.at_data = size, renewed, at_data
        self.given = problem.given
        generator = torch.Generator().manual_seed(problem.seed)
        known = problem.join(problem.rows)
        chosen = torch.randint(len(known), (size,), generator=generator).to(known.device)
        points = known[chosen] if at_data else first_noise(problem, known[chosen], generator)
        self.register_buffer("points", points)
        self.register_buffer("ages", torch.zeros(size, dtype=torch.int64, device=known.device))
        for place, name in enumerate(self.given):
            self.register_buffer(f"given_{place}", problem.rows[name][chosen])

    def take(
        self, problem: Problem, batch: Batch, generator: torch.Generator
    ) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """Distinct chains, as many as the batch has rows: what is given beside them, where they stand, and which.

        Some of them begin anew, beside the batch's own x.
        """
        own = problem.join(batch.rows)
        count = min(len(own), self.size)
        offset = int(torch.randint(self.size, (1,), generator=generator))
        index = ((torch.arange(count) * self.size) // count + offset) % self.size
        index = index.to(own.device)
        anew = (torch.rand(count, generator=generator) < self.renewed).to(own.device)
        begin = own[:count] if self.at_data else first_noise(problem, own[:count], generator)
        start = torch.where(anew[:, None], begin, self.points[index])
        held = {}
        for place, name in enumerate(self.given):
            kept, mine = self._given(place)[index], batch.rows[name][:count]
            held[name] = torch.where(anew.reshape(-1, *[1] * (mine.ndim - 1)), mine, kept)
        self.ages[index] = torch.where(anew, 0, self.ages[index])
        return held, start, index

    def put(self, index: Tensor, held: dict[str, Tensor], points: Tensor) -> None:
        """Write chains back where they came from, one batch older."""
        self.points[index] = points
        self.ages[index] += 1
        for place, name in enumerate(self.given):
            self._given(place)[index] = held[name]

    def _given(self, place: int) -> Tensor:
        return getattr(self, f"given_{place}")
