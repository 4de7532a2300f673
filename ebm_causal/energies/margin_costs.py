"""Costs of margin and direction: the hinge, and one minus the cosine."""

from typing import NoReturn

import torch
from torch import Tensor, nn

from ebm_causal.energies.costs import Cost, PositiveScale, Scale, Temperature, across, total
from ebm_causal.energies.laws import FiniteLaw
from ebm_causal.energies.variables import finite
from ebm_causal.errors import IdentificationError


class HingeCost(Cost):
    r"""The hinge of a label -1 or +1 under a real score: zero beyond the margin, linear before it.

    .. math:: C(s, y) = \max(0,\, m - y s), \qquad
        \log\sum_{y=\pm1} e^{-\beta C} = \log\big(e^{-\beta[m-s]^+} + e^{-\beta[m+s]^+}\big)

    per coordinate (counting measure). The normalizer depends on the score, so that a mechanism with it is a
    conditional law only with the normalizer counted: minimizing the bare hinge is no maximum likelihood.

    Args:
        margin: The margin m, in units of the score.

    Raises:
        ArgumentError: If the margin is not positive.

    Example:
        >>> import ebm_causal as ec, torch
        >>> ec.HingeCost()(torch.tensor([[0.5], [0.5]]), torch.tensor([[1.0], [-1.0]]))
        tensor([0.5000, 1.5000])

    References:
        LeCun et al. (2006), A tutorial on energy-based learning, section 2.2.3.
    """

    support = finite((-1, 1))
    elementwise = True

    def __init__(self, margin: Scale = 1.0) -> None:
        super().__init__()
        self.margin = PositiveScale(margin)

    def forward(self, prediction: Tensor, value: Tensor) -> Tensor:
        """The cost."""
        return total(torch.relu(self.margin(prediction) - value * prediction))

    def log_normalizer(self, prediction: Tensor, beta: Temperature) -> Tensor:
        """The log normalizer, over both labels."""
        return total(self._log_weights(prediction, beta).logsumexp(-1))

    def distribution(self, prediction: Tensor, beta: Temperature) -> FiniteLaw:
        """The law of the two labels."""
        return FiniteLaw(prediction.new_tensor([-1.0, 1.0]), self._log_weights(prediction, beta))

    def mean(self, prediction: Tensor, beta: Temperature) -> Tensor:
        """The probability of +1 less that of -1."""
        weights = self._log_weights(prediction, beta)
        return torch.tanh(0.5 * (weights[..., 1] - weights[..., 0]))

    def _log_weights(self, prediction: Tensor, beta: Temperature) -> Tensor:
        margin = self.margin(prediction)
        costs = torch.stack([torch.relu(margin + prediction), torch.relu(margin - prediction)], -1)
        inverse = across(beta, prediction)
        return -(inverse[..., None] if isinstance(inverse, Tensor) else inverse) * costs


class CosineCost(Cost):
    r"""One minus the cosine of the angle between prediction and value, :math:`C = 1 - \cos(\hat y, y)`.

    It compares directions and ignores lengths. So :math:`e^{-\beta C}` does not fall off along a ray, its
    integral over the value is infinite in every dimension, and there is no normalizer: such a mechanism may
    be minimized over and trained by losses that need none, but ``do``, ``fit``, ``pyro_model`` and the queries
    that draw the value refuse it. The cosine with a zero vector is taken as zero.

    Example:
        >>> import ebm_causal as ec, torch
        >>> ec.CosineCost()(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 3.0]]))
        tensor([1.])
    """

    elementwise = True
    without_normalizer = (
        "a cosine cost ignores the length of the value, so that exp(-beta C) has no finite integral over it. Use "
        "SquaredError on vectors of length one, or another cost that grows with the length."
    )

    def forward(self, prediction: Tensor, value: Tensor) -> Tensor:
        """The cost."""
        return 1 - nn.functional.cosine_similarity(prediction, value, dim=-1)

    def log_normalizer(self, prediction: Tensor, beta: Temperature) -> NoReturn:
        """There is none.

        Raises:
            IdentificationError: Always, with the reason.
        """
        raise IdentificationError(f"there is no normalizer: {self.without_normalizer}")

    def distribution(self, prediction: Tensor, beta: Temperature) -> NoReturn:
        """There is none.

        Raises:
            IdentificationError: Always, with the reason.
        """
        raise IdentificationError(f"there is no law of the value: {self.without_normalizer}")

    def mean(self, prediction: Tensor, beta: Temperature) -> NoReturn:
        """There is none.

        Raises:
            IdentificationError: Always, with the reason.
        """
        raise IdentificationError(f"there is no mean of the value: {self.without_normalizer}")
