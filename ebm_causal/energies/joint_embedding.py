"""The note's joint embedding: two encoders and a distance between what they say."""

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from ebm_causal.energies.energies import Energy
from ebm_causal.energies.factors import FunctionFactor
from ebm_causal.energies.invariance import InvariantSubspace, invariant_subspace
from ebm_causal.energies.variables import Variable
from ebm_causal.errors import ArgumentError, EnergyError
from ebm_causal.shapes import as_rows, check_callable

Distance = Callable[[Tensor, Tensor], Tensor]


class EmbeddingDistance(nn.Module):
    r"""The distance of two embeddings, :math:`D(\mathrm{Enc}_x(x), \mathrm{Enc}_y(y))`.

    Args:
        encoder_x: Called with x.
        encoder_y: Called with y.
        distance: Takes two embeddings ``[*batch, dim]`` and gives ``[*batch]``.
    """

    def __init__(
        self, encoder_x: Callable[[Tensor], Tensor], encoder_y: Callable[[Tensor], Tensor], distance: Distance
    ) -> None:
        super().__init__()
        self.encoder_x, self.encoder_y, self.distance = encoder_x, encoder_y, distance

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """The distance of each row.

        Raises:
            EnergyError: If the embeddings do not have the same dimension.
        """
        first = embedded("encoder_x", self.encoder_x, x)
        second = embedded("encoder_y", self.encoder_y, y)
        if first.shape[-1] != second.shape[-1]:
            raise EnergyError(
                f"both encoders must give embeddings of one dimension; encoder_x gives {list(first.shape)}, encoder_y "
                f"{list(second.shape)}."
            )
        return self.distance(first, second)


class JointEmbeddingEnergy(Energy):
    r"""The joint-embedding energy, :math:`F(x, y) = D(\mathrm{Enc}_x(x), \mathrm{Enc}_y(y))`.

    Low where two encoders agree. Directions of y in which :math:`\mathrm{Enc}_y` does not change cost nothing,
    so along them :math:`e^{-\beta F}` does not fall off: as a density of y it can be normalized only on a
    bounded or finite support. Trained on agreement alone the encoders collapse to constants (see
    :class:`VICRegRegularizer`). The dimensions of x and y come from the first data, ``[rows, *shape]``.

    Args:
        encoder_x: Called with x, gives ``[*batch, embedding]``; called with rows where x is an image.
        encoder_y: The same of y.
        distance: ``squared``, :math:`|a - b|^2`; ``cosine``, :math:`1 - \cos(a, b)`; or any callable of two
            embeddings that gives one number per row.
        dims: Dimensions of x and y, where they are not to be read off the first data: ``{"y": (1, 8, 8)}``.

    Raises:
        ArgumentError: If the distance is neither known nor callable.

    Example:
        >>> import ebm_causal as ec, torch
        >>> energy = ec.JointEmbeddingEnergy(torch.nn.Identity(), lambda y: y[..., :1] + y[..., 1:])
        >>> energy(x=torch.tensor([[3.0]]), y=torch.tensor([[1.0, 1.0]]))
        tensor([1.])
        >>> energy.invariant_subspace(torch.tensor([[1.0, 1.0]]))
        InvariantSubspace(1 rows, dimension 1 of 2)

    References:
        LeCun (2022), A path towards autonomous machine intelligence, section 4.4; Bromley et al. (1993), Signature
        verification using a siamese time delay neural network.
    """

    def __init__(
        self,
        encoder_x: Callable[[Tensor], Tensor],
        encoder_y: Callable[[Tensor], Tensor],
        distance: Literal["squared", "cosine"] | Distance = "squared",
        *,
        dims: Mapping[str, int | tuple[int, ...]] | None = None,
    ) -> None:
        check_callable("encoder_x", encoder_x)
        check_callable("encoder_y", encoder_y)
        module = EmbeddingDistance(encoder_x, encoder_y, _distance(distance))
        factor = FunctionFactor(module, {"x": Variable(None), "y": Variable(None)})
        factor.name = "distance"
        super().__init__([factor])
        self._embedding = module
        self.state_dims(dims)

    @property
    def encoder_x(self) -> Callable[[Tensor], Tensor]:
        """The encoder of x."""
        return self._embedding.encoder_x

    @property
    def encoder_y(self) -> Callable[[Tensor], Tensor]:
        """The encoder of y."""
        return self._embedding.encoder_y

    def invariant_subspace(
        self, y: object, *, covariance: Tensor | None = None, tolerance: float | None = None
    ) -> InvariantSubspace:
        r"""The directions in which y may move without being seen, at each row.

        They are the null space of the Jacobian of :math:`\mathrm{Enc}_y`: moved along them, y has the same energy
        to first order, for every x; exactly where the encoder is linear. At a kink of the encoder (a ReLU's, the
        norm's at zero) the Jacobian is one of several, and so are the subspaces.

        Args:
            y: Rows, ``[rows, *shape]``.
            covariance: Of y, of which the share in the invariant subspace is reported; that of the rows where
                None and there are two or more.
            tolerance: A singular value counts as zero up to this times the largest of its row; by default 1e-6,
                or ten times the rounding error of the row's size, if that is more.

        Returns:
            Bases of both subspaces, projections, and the share of Var(y) in the invariant one.

        Raises:
            EnergyError: If y has the wrong shape or is not finite.
            ArgumentError: If the tolerance or the covariance does not fit, or the encoder does not depend on y by
                differentiable steps.
        """
        rows = as_rows("y", y, self.variables["y"].shape)
        self.learn_dim("y", tuple(rows.shape[1:]))
        with torch.no_grad():
            embedded("encoder_y", self.encoder_y, rows[:1])
        return invariant_subspace(self.encoder_y, rows, covariance=covariance, tolerance=tolerance)


def embedded(name: str, encoder: Callable[[Tensor], Tensor], values: Tensor) -> Tensor:
    """What an encoder makes of values.

    Raises:
        EnergyError: If it does not take them, or gives no embeddings.
    """
    try:
        found = encoder(values)
    except RuntimeError as error:
        raise EnergyError(
            f"{name} does not take values {list(values.shape)} of {values.dtype}: {error}"
        ) from error
    if not isinstance(found, Tensor) or found.ndim == 0:
        shown = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise EnergyError(f"{name} must give embeddings [..., dim]; got {shown}.")
    return found


def _squared(first: Tensor, second: Tensor) -> Tensor:
    return ((first - second) ** 2).sum(-1)


def _cosine(first: Tensor, second: Tensor) -> Tensor:
    return 1 - nn.functional.cosine_similarity(first, second, dim=-1)


def _distance(distance: str | Distance) -> Distance:
    known: dict[str, Distance] = {"squared": _squared, "cosine": _cosine}
    if isinstance(distance, str) and distance in known:
        return known[distance]
    if isinstance(distance, str) or not callable(distance):
        raise ArgumentError(f"distance must be 'squared', 'cosine' or a callable; got {distance!r}.")
    return distance
