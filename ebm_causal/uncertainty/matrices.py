"""Information matrices and what they say of parameters, at one temperature and along a schedule."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Direction:
    """A direction of the parameters about which the data say nothing.

    Attributes:
        eigenvalue: Of the information, in this direction.
        weights: The direction's coordinates by parameter, of unit length.
    """

    eigenvalue: float
    weights: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class FisherInformation:
    """An information matrix and what it says.

    Attributes:
        matrix: The information, summed over rows.
        names: One per coordinate.
        kind: ``expected`` or ``observed``.
        eigenvalues: In rising order.
        rank: How many eigenvalues exceed 1e-9 of the largest.
        unidentified: The directions of the others, unclipped.
        cramer_rao: The inverse, a bound on the covariance of unbiased estimators; None where singular.
        complete: The information had the latents been seen; None where not computed.
        missing: What is lost by not seeing them: complete minus the information.
        standard_error: Of the matrix's entries, where it was simulated; None where exact.
    """

    matrix: Tensor
    names: tuple[str, ...]
    kind: str
    eigenvalues: Tensor
    rank: int
    unidentified: tuple[Direction, ...]
    cramer_rao: Tensor | None
    complete: Tensor | None
    missing: Tensor | None
    standard_error: Tensor | None = None

    @property
    def smallest_eigenvalue(self) -> float:
        """The smallest eigenvalue; negative where an observed information is indefinite."""
        return float(self.eigenvalues[0])

    def summary(self) -> pd.DataFrame:
        """A row per parameter: its information alone, and its standard error where there is a bound."""
        frame = pd.DataFrame({"information": self.matrix.diagonal().numpy()}, index=list(self.names))
        if self.cramer_rao is not None:
            frame["standard_error"] = self.cramer_rao.diagonal().sqrt().numpy()
        return frame

    def __repr__(self) -> str:
        size = len(self.names)
        least = f"smallest eigenvalue {self.smallest_eigenvalue:.3g}"
        return f"FisherInformation({self.kind}, rank {self.rank} of {size}, {least})"


@dataclass(frozen=True, slots=True, kw_only=True)
class FisherInformations:
    """The information at each inverse temperature of a schedule: ``found[k]`` is that at the k-th.

    Attributes:
        beta: The schedule, ``[betas]``.
        each: One information for each.
    """

    beta: Tensor
    each: tuple[FisherInformation, ...]

    def __len__(self) -> int:
        return len(self.each)

    def __getitem__(self, place: int) -> FisherInformation:
        return self.each[place]

    @property
    def names(self) -> tuple[str, ...]:
        """One per coordinate."""
        return self.each[0].names

    @property
    def matrix(self) -> Tensor:
        """The matrices, ``[betas, parameters, parameters]``."""
        return torch.stack([one.matrix for one in self.each])

    @property
    def eigenvalues(self) -> Tensor:
        """The eigenvalues, ``[betas, parameters]``, in rising order at each."""
        return torch.stack([one.eigenvalues for one in self.each])

    @property
    def rank(self) -> tuple[int, ...]:
        """The rank at each."""
        return tuple(one.rank for one in self.each)

    def summary(self) -> pd.DataFrame:
        """The summary at each, one under the other; the first column tells beta."""
        frames = [one.summary() for one in self.each]
        for beta, frame in zip(self.beta.tolist(), frames, strict=True):
            frame.insert(0, "beta", beta)
        return pd.concat(frames)

    def plot(self, ax: Any = None) -> Any:
        """The information of up to four parameters alone against beta."""
        from ebm_causal.figures import curves_picture

        alone = self.matrix.diagonal(dim1=-2, dim2=-1)
        curves = {name: alone[:, i].numpy() for i, name in enumerate(self.names[:4])}
        return curves_picture(self.beta.numpy(), curves, "beta", ax=ax)

    def __repr__(self) -> str:
        return f"FisherInformations({len(self)} betas, {self.each[0].kind}, rank {self.rank} of {len(self.names)})"
