"""The invariant subspace of an encoder: directions in which what it encodes may move unseen."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
import torch
from torch import Tensor

from ebm_causal.calculus import batched_jacobian
from ebm_causal.errors import ArgumentError
from ebm_causal.shapes import as_number, as_weights

LARGEST = 2**27  # numbers in the bases of all rows
NEAR = 30.0  # a singular value within this factor of the tolerance is warned about

Part = Literal["invariant", "sensitive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InvariantSubspace:
    """Orthonormal bases of the directions that an encoder does not see, and of those it does, at each row.

    Rows may have different ranks: a basis has as many columns as the row that needs most, and columns of zeros
    where a row needs fewer. So ``basis @ basis.mT`` is each row's projector, always.

    Attributes:
        invariant: ``[rows, size, columns]``: the null space of the encoder's Jacobian at y.
        sensitive: The same of its complement.
        rank: The dimension of the sensitive subspace, per row.
        singular_values: Of the Jacobian, largest first, ``[rows, ...]``.
        tolerance: A singular value counts as zero up to this times the largest of its row.
        share: The share of Var(y) in the invariant subspace, per row; None where no variance is known.
        shape: The shape of y, whose entries in order are the coordinates of the bases.
        warnings: What cannot be trusted, in words.
    """

    invariant: Tensor
    sensitive: Tensor
    rank: Tensor
    singular_values: Tensor
    tolerance: float
    share: Tensor | None
    shape: tuple[int, ...]
    warnings: tuple[str, ...] = ()

    def project(self, y: Tensor, onto: Part = "invariant") -> Tensor:
        """The part of a y, or of a difference of two, in one of the subspaces; both parts sum to it.

        Args:
            y: ``[..., rows, *shape]``, or ``[*shape]`` for the same vector at each row.
            onto: Which subspace.

        Returns:
            In the shape of y, at least one per row.

        Raises:
            ArgumentError: If the shape does not fit, or there is no such subspace.
        """
        if onto not in ("invariant", "sensitive"):
            raise ArgumentError(f"onto must be 'invariant' or 'sensitive'; got {onto!r}.")
        rows, size = len(self.rank), math.prod(self.shape)
        own = y.shape[max(y.ndim - len(self.shape), 0) :]
        lead = y.shape[: y.ndim - len(own)]
        if tuple(own) != self.shape or (lead and lead[-1] not in (1, rows)):
            raise ArgumentError(
                f"y must be [..., {rows}, {', '.join(map(str, self.shape))}]; got {list(y.shape)}."
            )
        basis = self.invariant if onto == "invariant" else self.sensitive
        flat = y.reshape(*lead, size)
        part = torch.einsum(
            "rnk,...rk->...rn",
            basis,
            torch.einsum("rnk,...rn->...rk", basis, flat.expand(*lead[:-1], rows, size)),
        )
        return part.reshape(*part.shape[:-1], *self.shape)

    def summary(self) -> pd.DataFrame:
        """A row per row: the dimensions of both subspaces, the singular values about the cut, the share of variance."""
        values, rank = self.singular_values, self.rank
        padded = torch.nn.functional.pad(values, (1, 1))
        kept = padded.gather(1, rank[:, None])[:, 0]
        cut = padded.gather(1, rank[:, None] + 1)[:, 0]
        frame = pd.DataFrame(
            {
                "sensitive": rank.tolist(),
                "invariant": (math.prod(self.shape) - rank).tolist(),
                "least_kept": kept.tolist(),
                "largest_cut": cut.tolist(),
            }
        )
        if self.share is not None:
            frame["share"] = self.share.tolist()
        return frame

    def plot(self, ax: Any = None) -> Any:
        """The shares of Var(y) in both subspaces, averaged over rows, as bars.

        Raises:
            ArgumentError: If no variance of y is known.
        """
        from ebm_causal.figures import shares_picture

        if self.share is None:
            raise ArgumentError("there is no share to draw: give several rows of y, or its covariance.")
        share = float(self.share.mean())
        return shares_picture(["invariant", "sensitive"], [share, 1 - share], ax=ax)

    def __repr__(self) -> str:
        ranks = sorted({int(rank) for rank in self.rank})
        size = math.prod(self.shape)
        dims = ", ".join(str(size - rank) for rank in reversed(ranks))
        share = "" if self.share is None else f", {float(self.share.mean()):.1%} of Var(y)"
        return f"InvariantSubspace({len(self.rank)} rows, dimension {dims} of {size}{share})"


def invariant_subspace(
    encoder: Callable[[Tensor], Tensor],
    y: Tensor,
    *,
    covariance: Tensor | None = None,
    tolerance: float | None = None,
) -> InvariantSubspace:
    """The null space of an encoder's Jacobian at each row, by singular values.

    Args:
        encoder: Maps ``[rows, *shape]`` to ``[rows, ...]``, row by row.
        y: ``[rows, *shape]``.
        covariance: Of y, its entries in order; that of the rows where None and there are two or more.
        tolerance: Relative to each row's largest singular value.

    Returns:
        Bases, ranks and shares.

    Raises:
        ArgumentError: If the tolerance is not in (0, 1), the covariance has the wrong size, or bases would not
            fit in memory.
    """
    shape, rows = tuple(y.shape[1:]), len(y)
    size = math.prod(shape)
    if rows == 0:
        raise ArgumentError("y has no rows: give at least one.")
    if rows * size * size > LARGEST:
        raise ArgumentError(
            f"bases of {rows} rows of {size} entries do not fit in memory: give fewer rows at once."
        )
    jacobian = batched_jacobian(
        lambda flat: encoder(flat.reshape(-1, *shape)).flatten(1), y.reshape(rows, size)
    )[1]
    bad = (~jacobian.isfinite().flatten(1).all(-1)).nonzero().flatten().tolist()
    if bad:
        raise ArgumentError(
            f"the encoder's Jacobian is not finite in {len(bad)} rows, the first of them {bad[:5]}: its derivative is "
            "undefined there (a root or a norm at zero); move these rows, or smooth the encoder."
        )
    cut = _tolerance(tolerance, jacobian)
    _, values, directions = torch.linalg.svd(jacobian, full_matrices=True)
    rank = (values > cut * values[:, :1]).sum(-1)
    place = torch.arange(size, device=y.device)
    seen = (place < rank[:, None])[:, None]
    columns = directions.mT
    sensitive = torch.where(seen, columns, 0.0)[..., : int(rank.max())]
    invariant = torch.where(seen, 0.0, columns)[..., int(rank.min()) :]
    return InvariantSubspace(
        invariant=invariant, sensitive=sensitive, rank=rank, singular_values=values, tolerance=cut,
        share=_share(sensitive, _covariance_of(y, covariance)), shape=shape, warnings=_doubts(values, cut),
    )  # fmt: skip


def _tolerance(tolerance: float | None, jacobian: Tensor) -> float:
    if tolerance is None:
        return max(1e-6, 10 * max(jacobian.shape[1:]) * torch.finfo(jacobian.dtype).eps)
    number = as_number(tolerance)
    if number is None or not 0 < number < 1:
        raise ArgumentError(
            f"tolerance is relative to the largest singular value, in (0, 1); got {tolerance!r}."
        )
    return number


def _covariance_of(y: Tensor, covariance: Tensor | None) -> Tensor | None:
    flat = y.detach().flatten(1)
    size = flat.shape[1]
    if covariance is None:
        return flat.T.cov().reshape(size, size) if len(y) > 1 else None
    given = as_weights("covariance", covariance)
    if tuple(given.shape) != (size, size):
        raise ArgumentError(f"the covariance of y must be [{size}, {size}]; got {list(given.shape)}.")
    if not bool(given.isfinite().all()):
        raise ArgumentError("the covariance of y is not finite: leave it out, or mend it.")
    return given.to(flat)


def _share(sensitive: Tensor, covariance: Tensor | None) -> Tensor | None:
    if covariance is None or not bool(covariance.trace() > 0):
        return None
    seen = torch.einsum("rnk,nm,rmk->r", sensitive, covariance, sensitive)
    return (1 - seen / covariance.trace()).clamp(0.0, 1.0)


def _doubts(values: Tensor, cut: float) -> tuple[str, ...]:
    level = cut * values[:, :1]
    near = ((values > level / NEAR) & (values < NEAR * level)).any(-1).nonzero().flatten().tolist()
    if not near:
        return ()
    note = (
        f"singular values in {len(near)} rows, the first {near[:5]}, are within a factor of {NEAR:g} of the tolerance: "
        "the dimension there hangs on it."
    )
    return (note,)
