"""The note's latent generative energy."""

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from ebm_causal.energies.energies import Energy
from ebm_causal.energies.mechanisms import Mechanism
from ebm_causal.energies.regularizers import Regularizer
from ebm_causal.energies.variables import Variable
from ebm_causal.errors import EnergyError
from ebm_causal.shapes import check_callable


class PredictThenDecode(nn.Module):
    r"""The composition :math:`\mathrm{Dec}(\mathrm{Pred}(x), z)`.

    Args:
        predictor: Pred, called with x.
        decoder: Dec, called with ``h = Pred(x)`` and z.
        latent: The latent's name.
    """

    def __init__(
        self, predictor: Callable[[Tensor], Tensor], decoder: Callable[..., Tensor], latent: str
    ) -> None:
        super().__init__()
        self.predictor, self.decoder, self.latent = predictor, decoder, latent

    def forward(self, **parents: Tensor) -> Tensor:
        """The prediction of y."""
        return self.decoder(self.predictor(parents["x"]), parents[self.latent])


class LatentEnergy(Energy):
    r"""LeCun's latent generative energy, :math:`E(x,y,z) = C(\mathrm{Dec}(\mathrm{Pred}(x), z), y) + R(z)`.

    The dimensions of x and y come from the first data, ``[rows, *shape]``. Without an ``assignment`` nothing
    links z to x, and there is no confounding by construction: :math:`P(E \mid x) = P(E \mid \mathrm{do}(x))`.

    Args:
        predictor: Pred, called with x.
        decoder: Dec, called as ``decoder(h, z)`` with ``h = predictor(x)``.
        cost: C, one of the package's costs or any ``cost(prediction, y)``.
        regularizer: R, which names the latent.
        assignment: The mechanism of x given z, which makes z a confounder.
        dims: Dimensions of x and y, where they are not to be read off the first data: ``{"y": (1, 8, 8)}``.

    Raises:
        EnergyError: If the assignment is not a mechanism of x.

    Example:
        >>> import ebm_causal as ec, torch
        >>> latent = ec.LatentEnergy(
        ...     torch.nn.Identity(), lambda h, z: h + z, ec.SquaredError(), ec.GaussianRegularizer(1)
        ... )
        >>> latent(x=torch.zeros(2, 1), y=torch.ones(2, 1), z=torch.zeros(1))
        tensor([0.5000, 0.5000])

    References:
        LeCun (2022), A path towards autonomous machine intelligence, section 4.
    """

    def __init__(
        self,
        predictor: Callable[[Tensor], Tensor],
        decoder: Callable[..., Tensor],
        cost: Callable[[Tensor, Tensor], Tensor],
        regularizer: Regularizer,
        assignment: Mechanism | None = None,
        *,
        dims: Mapping[str, int | tuple[int, ...]] | None = None,
    ) -> None:
        if assignment is not None and (not isinstance(assignment, Mechanism) or assignment.child != "x"):
            raise EnergyError(
                "the assignment must be the mechanism of x given the latent, ec.Mechanism('x', 'z', ...)."
            )
        if not isinstance(regularizer, Regularizer):
            raise EnergyError(
                f"the regularizer must be one of the package's, as ec.GaussianRegularizer(1); got {regularizer!r}."
            )
        for name, part in (("predictor", predictor), ("decoder", decoder)):
            check_callable(f"the {name}", part)
        latent = regularizer.variable
        composed = PredictThenDecode(predictor, decoder, latent)
        support = getattr(cost, "support", Variable().support)
        outcome = Mechanism("y", ("x", latent), composed, cost, dim=Variable(None, support))
        super().__init__([factor for factor in (outcome, assignment, regularizer) if factor is not None])
        self.state_dims(dims)
