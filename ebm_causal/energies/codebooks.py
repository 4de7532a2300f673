"""A discrete codebook: a latent that picks one of a few learnable code vectors, as in k-means."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ebm_causal.energies.costs import Temperature, across
from ebm_causal.energies.factors import Values
from ebm_causal.energies.laws import FiniteLaw
from ebm_causal.energies.regularizers import Regularizer
from ebm_causal.energies.variables import Variable, finite
from ebm_causal.errors import ArgumentError
from ebm_causal.shapes import as_weights


class Codebook(nn.Module):
    """The code vectors, looked up by index: a decoder of the latent, ``codebook(z=z)``.

    Args:
        codes: ``[codes, dim]``.
    """

    def __init__(self, codes: Tensor) -> None:
        super().__init__()
        self.codes = codes if isinstance(codes, nn.Parameter) else nn.Parameter(codes.detach().clone())

    def forward(self, *index: Tensor, **named: Tensor) -> Tensor:
        """The code of each index ``[..., 1]``, given alone or by any name."""
        (chosen,) = (*index, *named.values())
        return self.codes[chosen.squeeze(-1).long()]


class CodebookRegularizer(Regularizer):
    r"""The regularizer of a latent that is one of K codes: :math:`R(z) = c_z`, for z in 0, ..., K - 1.

    The latent is an index with finite support, so free energies, minima and draws are exact by enumeration. Its
    vector is ``codebook(z)``, which decoders take; used as the decoder itself it makes the energy that of
    k-means, :math:`E(y, z) = |y - w_z|^2/2s^2 + c_z`: the minimum over z is the nearest code,
    :math:`F_\beta` the log likelihood of a mixture of normals, and fitting it learns the codes. R limits what
    z can carry to log K nats. The vectors are no values of z: a decoder that is a lambda around a codebook would
    keep the codes of before when an energy is copied, so pass the module.

    Args:
        codes: The code vectors, ``[K, dim]``; learnable.
        prices: What each code costs, ``[K]``: minus their log prior odds. All the same where None; learnable
            where they are an ``nn.Parameter``.
        variable: The latent's name.

    Raises:
        ArgumentError: If there are fewer than two codes, or another number of prices.

    Example:
        >>> import ebm_causal as ec, torch
        >>> book = ec.CodebookRegularizer(torch.tensor([[0.0, 0.0], [3.0, 4.0]]))
        >>> kmeans = ec.Mechanism("y", "z", book.codebook, ec.SquaredError(), dim=2) + book
        >>> ec.minimize(kmeans, over="z", given={"y": torch.tensor([[2.0, 3.0]])}).values["z"]
        tensor([[1.]])

    References:
        MacQueen (1967), Some methods for classification and analysis of multivariate observations; van den Oord,
        Vinyals and Kavukcuoglu (2017), Neural discrete representation learning.
    """

    prices: Tensor

    def __init__(self, codes: Tensor, prices: Tensor | None = None, variable: str = "z") -> None:
        super().__init__()
        codes, prices = as_weights("codes", codes), None if prices is None else as_weights("prices", prices)
        if codes.ndim != 2 or len(codes) < 2:
            raise ArgumentError(f"codes must be [K, dim] with at least two of them; got {list(codes.shape)}.")
        for name, part in (("codes", codes), ("prices", prices)):
            if part is not None and not bool(part.isfinite().all()):
                raise ArgumentError(f"{name} must be finite numbers; got {part.tolist()}.")
        if prices is not None and prices.shape != codes.shape[:1]:
            raise ArgumentError(
                f"there must be one price for each of {len(codes)} codes; got {list(prices.shape)}."
            )
        self.codebook = Codebook(codes)
        if isinstance(prices, nn.Parameter):
            self.prices = prices
        else:
            self.register_buffer("prices", codes.new_zeros(len(codes)) if prices is None else prices)
        self.variable, self.name = variable, f"R({variable})"
        self._variable = Variable(1, finite(range(len(codes))))

    @property
    def variables(self) -> Mapping[str, Variable]:
        """The latent."""
        return {self.variable: self._variable}

    def term(self, values: Values) -> Tensor:
        """The price of the code."""
        z = values[self.variable]
        return self.prices.to(z)[z.squeeze(-1).long()]

    def log_normalizer(self, beta: Temperature, like: Tensor) -> Tensor:
        """The log of the sum over the codes; log K at equal prices."""
        return (-(across(beta, like) * self.prices.to(like))).logsumexp(-1)

    def distribution(self, beta: Temperature, like: Tensor) -> FiniteLaw:
        """The law of the index."""
        weights = -(across(beta, like) * self.prices.to(like))
        return FiniteLaw(torch.arange(weights.shape[-1]).to(like), weights[..., None, :])

    def standard_deviation(self, beta: float) -> float:
        """That of the index; a finite latent is enumerated, so no lattice asks for it."""
        law = self.distribution(beta, self.prices.detach().double())
        chances = law.logits.exp()[0]
        return float(((law.values - law.mean) ** 2 * chances).sum().sqrt())
