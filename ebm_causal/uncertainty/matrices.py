"""Information matrices and what they say of parameters, at one temperature and along a schedule."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from ebm_causal.calculus import inverse_or_none
from ebm_causal.errors import ArgumentError
from ebm_causal.shapes import as_tensor
from ebm_causal.uncertainty.settings import check_damping


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
        kind: ``expected``, ``observed``, ``opg`` or ``ggn``.
        eigenvalues: In rising order.
        rank: How many eigenvalues exceed 1e-9 of the largest; where latents were drawn, twice their standard error.
        unidentified: The directions of the others, unclipped.
        cramer_rao: The inverse, a bound on the covariance of unbiased estimators; None where singular.
        complete: The information had the latents been seen; None where not computed.
        missing: What is lost by not seeing them: complete minus the information.
        standard_error: Of the matrix's entries, where it was simulated, or where lattices of latents ever finer did not
            agree (how far the last moved it); None where exact.
        by_row: The information of each row, ``[rows, p, p]``, where it was asked for.
        scores: The score of each row at its data, ``[rows, p]``, for ``observed`` and ``opg``.
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
    by_row: Tensor | None = None
    scores: Tensor | None = None

    @property
    def standard_errors(self) -> Tensor | None:
        """The roots of the Cramer-Rao bounds, one per coordinate; None where the matrix is singular."""
        return None if self.cramer_rao is None else self.cramer_rao.diagonal().sqrt()

    @property
    def sandwich(self) -> Tensor | None:
        r"""The covariance :math:`I^{-1}(\sum_i s_i s_i')I^{-1}` that holds where the model is wrong.

        None where there are no scores at data, or the matrix is singular. At a maximum of the likelihood alone, where
        the scores sum to zero.
        """
        if self.cramer_rao is None or self.scores is None:
            return None
        return self.cramer_rao @ (self.scores.mT @ self.scores) @ self.cramer_rao

    @property
    def fraction_missing(self) -> Tensor | None:
        """The shares of the complete information that are missing, rising: eigenvalues of complete^-1 missing.

        The largest is the rate at which EM converges. None where not computed, or the complete information is singular.
        """
        if self.complete is None or self.missing is None:
            return None
        factor, failed = torch.linalg.cholesky_ex(self.complete)
        if bool(failed > 0):
            return None
        inner = torch.linalg.solve_triangular(factor, self.missing, upper=False)
        return torch.linalg.eigvalsh(torch.linalg.solve_triangular(factor, inner.mT, upper=False))

    def natural_gradient(self, gradient: object, damping: float = 0.0) -> Tensor:
        r"""The direction :math:`(I + \lambda\,1)^{-1}g`, in which a gradient is steepest per unit of information.

        Args:
            gradient: One number per coordinate, in the order of ``names``.
            damping: :math:`\lambda`; zero refuses a singular matrix.

        Raises:
            ArgumentError: If the gradient has another size, damping is negative, or the matrix is singular.
        """
        g = as_tensor("gradient", gradient, self.matrix).to(self.matrix)
        if g.shape != (len(self.names),):
            raise ArgumentError(f"the gradient must be [{len(self.names)}]; got {list(g.shape)}.")
        if not bool(g.isfinite().all()):
            raise ArgumentError("the gradient holds NaN or infinity.")
        check_damping(damping)
        inverse = inverse_or_none(self.matrix + damping * torch.eye(len(g)).to(g))
        if inverse is None:
            raise ArgumentError(
                f"the information is not positive definite (smallest eigenvalue {self.smallest_eigenvalue:.3g}), so "
                "the natural gradient is not defined: give damping, or leave out what is not identified."
            )
        return inverse @ g

    @property
    def smallest_eigenvalue(self) -> float:
        """The smallest eigenvalue; negative where an observed information is indefinite."""
        return float(self.eigenvalues[0])

    def summary(self) -> pd.DataFrame:
        """A row per parameter: its information alone; standard errors where there is a bound; what is missing."""
        frame = pd.DataFrame({"information": self.matrix.diagonal().numpy()}, index=list(self.names))
        if self.standard_errors is not None:
            frame["standard_error"] = self.standard_errors.numpy()
        if self.sandwich is not None:
            frame["sandwich_error"] = self.sandwich.diagonal().sqrt().numpy()
        if self.complete is not None and self.missing is not None:
            frame["missing"] = (self.missing.diagonal() / self.complete.diagonal()).numpy()
        return frame

    def plot(self, ax: Any = None) -> Any:
        """The eigenvalues, which say how many directions the data tell about."""
        from ebm_causal.figures import curves_picture

        places = torch.arange(1, len(self.names) + 1).numpy()
        return curves_picture(places, {"eigenvalue": self.eigenvalues.flip(0).numpy()}, "direction", ax=ax)

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
