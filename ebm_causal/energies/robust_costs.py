"""Costs that outliers do not steer, with closed-form normalizers (the Student-t is with the plain ones)."""

from torch import Tensor

from ebm_causal.energies.costs import Cost, PositiveScale, Scale, Temperature, as_temperature, summed, total
from ebm_causal.energies.laws import HuberLaw, huber, huber_masses


class HuberCost(Cost):
    r"""Huber's cost: squared within a threshold, linear beyond.

    .. math:: C(\hat y, y) = \rho_\delta\Big(\frac{y-\hat y}s\Big), \qquad
        \rho_\delta(u) = \begin{cases} u^2/2 & |u| \le \delta \\ \delta|u| - \delta^2/2 & |u| > \delta \end{cases}

    .. math:: \int e^{-\beta C}\,dy = s\Big[\sqrt{\tfrac{2\pi}\beta}\,\mathrm{erf}\big(\delta\sqrt{\beta/2}\big)
        + \frac{2}{\beta\delta}\,e^{-\beta\delta^2/2}\Big]

    per coordinate: a normal body with exponential tails. Its influence is bounded, but unlike that of
    :class:`StudentTCost` it does not return to zero for outliers far out.

    Args:
        scale: The scale s, in the outcome's units; may be an ``nn.Parameter``.
        threshold: Where the tails begin, in scales; 1.345 loses 5 % of precision where the noise is normal.

    Raises:
        ArgumentError: If either is not positive.

    Example:
        >>> import ebm_causal as ec, torch
        >>> ec.HuberCost(1.0, 2.0)(torch.zeros(2, 1), torch.tensor([[1.0], [10.0]]))
        tensor([ 0.5000, 18.0000])

    References:
        Huber (1964), Robust estimation of a location parameter.
    """

    constant_normalizer = elementwise = True

    def __init__(self, scale: Scale = 1.0, threshold: Scale = 1.345) -> None:
        super().__init__()
        self.scale, self.threshold = PositiveScale(scale), PositiveScale(threshold)

    def forward(self, prediction: Tensor, value: Tensor) -> Tensor:
        """The cost."""
        return total(huber((value - prediction) / self.scale(prediction), self.threshold(prediction)))

    def log_normalizer(self, prediction: Tensor, beta: Temperature) -> Tensor:
        """The log normalizer; it depends on the prediction's dimension alone."""
        inverse = as_temperature(beta, prediction)
        body, tails = huber_masses(self.threshold(prediction), inverse)
        return summed(self.scale(prediction).log() + (body + tails).log(), prediction)

    def distribution(self, prediction: Tensor, beta: Temperature) -> HuberLaw:
        """A normal body with exponential tails, drawn from exactly."""
        inverse = as_temperature(beta, prediction)
        return HuberLaw(prediction, self.scale(prediction), self.threshold(prediction), inverse)

    def mean(self, prediction: Tensor, beta: Temperature) -> Tensor:
        """The prediction itself."""
        return prediction
