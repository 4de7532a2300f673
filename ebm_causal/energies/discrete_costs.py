"""Costs of classes and of counts: cross-entropy and Poisson."""

import pyro.distributions as dist
import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor
from torch.distributions import constraints

from ebm_causal.energies.costs import Cost, Temperature, across, as_temperature, is_one, total
from ebm_causal.energies.counts import TemperedPoisson, count_series
from ebm_causal.energies.laws import FiniteLaw
from ebm_causal.energies.variables import finite, is_true_somewhere
from ebm_causal.errors import ArgumentError, EnergyError
from ebm_causal.shapes import broadcast_shapes


class CategoricalCost(Cost):
    r"""Cross-entropy of a class under logits.

    .. math:: C(\eta, y) = \log\sum_k e^{\eta_k} - \eta_y, \qquad
        \log\sum_y e^{-\beta C} = \log\sum_k e^{\beta\eta_k} - \beta\log\sum_k e^{\eta_k}.

    The value is a class index, 0 to K - 1, in each coordinate (counting measure), as in
    ``pyro.distributions.Categorical`` and ``torch.nn.functional.cross_entropy``. The decoder gives K logits for
    each: ``[*batch, K]`` for a child of dimension one, ``[*batch, *shape, K]`` for any other.

    Args:
        classes: K. Where None, as many as the decoder gives logits to a child of dimension one; such a child
            has no finite support, so that it can be given, drawn and fitted, but not enumerated.

    Raises:
        ArgumentError: If there are fewer than two classes.
        EnergyError: When called with values that are one-hot, or logits of another number.

    Example:
        >>> import ebm_causal as ec, torch
        >>> ec.CategoricalCost(3)(torch.zeros(2, 3), torch.tensor([[0.0], [2.0]]))
        tensor([1.0986, 1.0986])
    """

    def __init__(self, classes: int | None = None) -> None:
        super().__init__()
        if classes is not None and (not isinstance(classes, int) or classes < 2):
            raise ArgumentError(f"a categorical cost needs at least two classes; got {classes!r}.")
        self.classes = classes
        self.support = constraints.nonnegative_integer if classes is None else finite(range(classes))

    def forward(self, prediction: Tensor, value: Tensor) -> Tensor:
        """The cost."""
        logits = self._logits(prediction)
        if value.shape[-1] != logits.shape[-2]:
            raise EnergyError(
                f"a categorical cost takes {logits.shape[-2]} class indices per row and {logits.shape[-1]} logits for "
                f"each; got values {list(value.shape)}. Give indices (argmax of one-hot values), and state classes= "
                "where there is more than one coordinate."
            )
        wrong = (value < 0) | (value >= logits.shape[-1]) | (value != value.floor())
        if is_true_somewhere(wrong):
            raise EnergyError(
                f"a categorical cost of {logits.shape[-1]} classes takes indices 0 to {logits.shape[-1] - 1}; got "
                f"{float(value[wrong][0]):g}."
            )
        batch = broadcast_shapes(logits.shape[:-1], value.shape)
        index = value.long().expand(batch)[..., None]
        return total(-logits.log_softmax(-1).expand(*batch, -1).gather(-1, index)[..., 0])

    def log_normalizer(self, prediction: Tensor, beta: Temperature) -> Tensor:
        """The log normalizer; zero at beta = 1."""
        if is_one(beta):
            return prediction.new_zeros(())
        return total(self._weights(prediction, beta).logsumexp(-1))

    def distribution(self, prediction: Tensor, beta: Temperature) -> FiniteLaw:
        """A law on the class indices, as floats, with logits times beta."""
        weights = self._weights(prediction, beta)
        return FiniteLaw(torch.arange(weights.shape[-1]).to(prediction), weights)

    def mean(self, prediction: Tensor, beta: Temperature) -> Tensor:
        """The mean class index, which says something only where classes are ordered."""
        return self.distribution(prediction, beta).mean

    def prediction_shape(self, shape: tuple[int, ...]) -> tuple[int | None, ...]:
        """The value's shape and one dimension of logits; only the latter for a value of dimension one."""
        return (self.classes,) if shape == (1,) else (*shape, self.classes)

    def _logits(self, prediction: Tensor) -> Tensor:
        width = prediction.shape[-1]
        if self.classes is not None and width % self.classes:
            raise EnergyError(f"a cost of {self.classes} classes takes as many logits; got {width}.")
        return prediction.unflatten(-1, (-1, self.classes or width))

    def _weights(self, prediction: Tensor, beta: Temperature) -> Tensor:
        inverse = across(beta, prediction)
        return (inverse[..., None] if isinstance(inverse, Tensor) else inverse) * self._logits(
            prediction
        ).log_softmax(-1)


class PoissonCost(Cost):
    r"""The cost of a count under a log-rate prediction.

    .. math:: C(\eta, y) = e^\eta - \eta y + \log y!, \qquad
        \sum_y e^{-\beta C} = e^{-\beta e^\eta} \sum_{k \ge 0} \Big(\frac{e^{\eta k}}{k!}\Big)^{\beta}

    per coordinate (counting measure): one at beta = 1, else a series that is summed until what is left out is
    certainly below 1e-15 of it. Rates far above 10^8 do not fit in memory then, and are refused.

    Example:
        >>> import ebm_causal as ec, torch
        >>> ec.PoissonCost()(torch.zeros(1, 1), torch.tensor([[2.0]]))
        tensor([1.6931])

    References:
        Shmueli et al. (2005), A useful distribution for fitting discrete data, equation 1.
    """

    support = constraints.nonnegative_integer
    elementwise = True

    def forward(self, prediction: Tensor, value: Tensor) -> Tensor:
        """The cost."""
        return total(prediction.exp() - prediction * value + torch.lgamma(value + 1))

    def log_normalizer(self, prediction: Tensor, beta: Temperature) -> Tensor:
        """The log normalizer; zero at beta = 1."""
        if is_one(beta):
            return prediction.new_zeros(())
        inverse = as_temperature(beta, prediction)
        series = count_series(prediction, inverse)[1].logsumexp(-1)
        return total((series - inverse * prediction.double().exp()).to(prediction))

    def distribution(self, prediction: Tensor, beta: Temperature) -> TorchDistributionMixin:
        """A Poisson law at beta = 1, a Conway-Maxwell-Poisson law at others."""
        if is_one(beta):
            return dist.Poisson(prediction.exp()).to_event(1)
        return TemperedPoisson(prediction, as_temperature(beta, prediction))

    def mean(self, prediction: Tensor, beta: Temperature) -> Tensor:
        """The mean count: the rate at beta = 1."""
        law = self.distribution(prediction, beta)
        return law.mean
