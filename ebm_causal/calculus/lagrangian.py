r"""Backpropagation as the stationarity of a Lagrangian: states forward, multipliers backward."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from ebm_causal.calculus.layers import Layer, as_layers, leaves_of, refuse_non_finite_state
from ebm_causal.errors import EnergyError
from ebm_causal.shapes import as_tensor

Layers = Iterable[Callable[..., Tensor]]
Cost = Callable[[Tensor, object], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Residuals:
    r"""The derivatives of the Lagrangian in its three kinds of arguments; each is zero where it is stationary.

    Attributes:
        states: :math:`\partial L/\partial z_k` for :math:`k = 1, \ldots, K`, in the shapes of these states.
        multipliers: :math:`\partial L/\partial\lambda_k = z_{k+1} - g_k(z_k, w_k)`, from :math:`k = 0`.
        weights: :math:`\partial L/\partial w_k` by name, ``layer.parameter``.
    """

    states: tuple[Tensor, ...]
    multipliers: tuple[Tensor, ...]
    weights: Mapping[str, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Backpropagation:
    r"""Where the Lagrangian of a sequential net is stationary in states and multipliers.

    Attributes:
        cost: :math:`C(z_K, y)`, summed over rows where the cost gives one number for each.
        names: What kind each layer is.
        states: :math:`z_0, \ldots, z_K`.
        multipliers: :math:`\lambda_0, \ldots, \lambda_{K-1}`; :math:`\lambda_k` has the shape of
            :math:`z_{k+1}` and is minus the gradient of the cost there.
        gradients: Of the cost in each weight, by name, ``layer.parameter`` (``2.bias``), as in the
            ``named_parameters`` of an ``nn.Sequential``. A parameter that several layers share has one
            entry for each; autograd's gradient is their sum.
        residuals: The three stationarity residuals. Those of states and multipliers are zero up to rounding;
            those of the weights are the gradients, zero only where the weights are trained.
    """

    cost: Tensor
    names: tuple[str, ...]
    states: tuple[Tensor, ...]
    multipliers: tuple[Tensor, ...]
    gradients: Mapping[str, Tensor]
    residuals: Residuals

    def summary(self) -> pd.DataFrame:
        """A row per layer: norms of its multiplier and gradient, and the largest entry of each residual."""
        layers = range(len(self.names))
        return pd.DataFrame(
            {
                "layer": self.names,
                "multiplier_norm": [float(value.norm()) for value in self.multipliers],
                "gradient_norm": [_norm(self.gradients, k) for k in layers],
                "residual_states": [_largest([value]) for value in self.residuals.states],
                "residual_multipliers": [_largest([value]) for value in self.residuals.multipliers],
                "residual_weights": [_largest(_of_layer(self.residuals.weights, k)) for k in layers],
            }
        )

    def __repr__(self) -> str:
        largest = [
            _largest(values)
            for values in (self.residuals.states, self.residuals.multipliers, self.residuals.weights.values())
        ]
        shown = ", ".join(f"{value:.1e}" for value in largest)
        size = f"{len(self.names)} layers, cost={float(self.cost):.6g}"
        return f"Backpropagation({size}, residuals in z, lambda, w: {shown})"


def backpropagate(
    layers: Layers, cost: Cost, x: object, y: object, *, weights: Sequence[Tensor | None] | None = None
) -> Backpropagation:
    r"""Solve the stationarity conditions of the Lagrangian of a net, which is what backpropagation does.

    .. math::
        L = C(z_K, y) + \sum_{k=0}^{K-1} \lambda_k'\,(z_{k+1} - g_k(z_k, w_k)), \qquad z_0 = x

    Stationary in :math:`\lambda`: the forward sweep, :math:`z_{k+1} = g_k(z_k, w_k)`. Stationary in
    :math:`z`: the backward sweep, :math:`\lambda_{K-1} = -\partial C/\partial z_K` and
    :math:`\lambda_{k-1} = (\partial g_k/\partial z_k)'\lambda_k`. What is left is the gradient,
    :math:`\partial L/\partial w_k = -(\partial g_k/\partial w_k)'\lambda_k = \mathrm dC/\mathrm dw_k`.
    With this sign of the constraint, :math:`\lambda_k` is *minus* the gradient of the cost in
    :math:`z_{k+1}`.

    Exact where each layer is differentiable at its state. A layer that mixes rows (batch normalization)
    cannot be detected: the gradients are still right for the summed cost, but a row of a multiplier is
    then no longer that row's own. Parameters of the cost are held fixed. Each layer is called twice
    (running statistics move twice), and one that draws at random is refused. A layer that stands in two
    places has a gradient in each; autograd's is their sum.

    Args:
        layers: The layers :math:`g_k`: modules or callables in a list, or an ``nn.Sequential``.
        cost: Maps the last state and ``y`` to one number per row, or to one number (a mean, say).
        x: The rows :math:`z_0`; it may hold integers where the first layer takes them.
        y: What the cost compares with, handed to it as it stands.
        weights: For plain callables :math:`g_k(z, w)`, their :math:`w_k`; None for those that take z alone.
            By default each layer takes z alone, and a module's weights are its own parameters.

    Returns:
        States, multipliers, gradients and residuals, all detached.

    Raises:
        EnergyError: If the layers are not a sequence of callables, one cannot take its state, changes the
            number of rows, is not differentiable, is random, or uses parameters that it does not own; if
            the cost has the wrong shape; if anything is not finite. The layer is named.

    Example:
        >>> import torch
        >>> net, w = [torch.square, lambda z, w: w * z], torch.tensor(3.0, dtype=torch.float64)
        >>> found = backpropagate(net, lambda z, y: 0.5 * (z - y) ** 2, [2.0], 10.0, weights=[None, w])
        >>> found.multipliers[1].item(), found.multipliers[0].item(), found.gradients["1.w"].item()
        (-2.0, -6.0, 8.0)

    References:
        LeCun (1988), A theoretical framework for back-propagation.
    """
    chain, target = as_layers(layers, weights), _target(y)
    states, outputs = _forward(chain, _rows(x))
    total = _total(cost, states[-1], target)
    (slope,) = torch.autograd.grad(total, states[-1])
    multipliers, gradients = _backward(chain, states, outputs, -slope)
    values = tuple(state.detach() for state in states)
    residuals = _differentiate(chain, cost, values, multipliers, target)
    _refuse_random(chain, values, residuals)
    return Backpropagation(
        cost=total.detach(),
        names=tuple(layer.name for layer in chain),
        states=values,
        multipliers=multipliers,
        gradients=gradients,
        residuals=residuals,
    )


def stationarity_residuals(
    layers: Layers,
    cost: Cost,
    states: Sequence[Tensor],
    multipliers: Sequence[Tensor],
    y: object,
    *,
    weights: Sequence[Tensor | None] | None = None,
) -> Residuals:
    r"""The derivatives of the Lagrangian of :func:`backpropagate` at any states and multipliers.

    Computed by differentiating :math:`L` itself, not by the sweeps: they are zero in :math:`z` and
    :math:`\lambda` where the sweeps put them, and nowhere else.

    Args:
        layers: The layers.
        cost: The cost.
        states: :math:`z_0, \ldots, z_K`.
        multipliers: :math:`\lambda_0, \ldots, \lambda_{K-1}`, in the shapes of :math:`z_1, \ldots, z_K`.
        y: What the cost compares with.
        weights: As for :func:`backpropagate`.

    Returns:
        The residuals.

    Raises:
        EnergyError: As :func:`backpropagate`, and if states or multipliers are too few, too many, or of
            the wrong shape.

    Example:
        >>> import torch
        >>> z = [torch.tensor([2.0]), torch.tensor([5.0])]
        >>> found = stationarity_residuals([torch.square], lambda z, y: z - y, z, [torch.tensor([-1.0])], 0.0)
        >>> found.states[0].item(), found.multipliers[0].item()
        (0.0, 1.0)
    """
    chain = as_layers(layers, weights)
    if len(states) != len(chain) + 1 or len(multipliers) != len(chain):
        raise EnergyError(
            f"{len(chain)} layers have {len(chain) + 1} states and {len(chain)} multipliers; "
            f"got {len(states)} and {len(multipliers)}."
        )
    for k, (state, multiplier) in enumerate(zip(states[1:], multipliers, strict=True)):
        refuse_non_finite_state(f"state {k + 1}", state)
        refuse_non_finite_state(f"multiplier {k}", multiplier)
        if state.shape != multiplier.shape:
            raise EnergyError(
                f"multiplier {k} must have the shape of state {k + 1}, {list(state.shape)}; "
                f"got {list(multiplier.shape)}."
            )
    return _differentiate(chain, cost, (_rows(states[0]), *states[1:]), tuple(multipliers), _target(y))


def _forward(chain: Sequence[Layer], x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """The states, each a leaf, and the outputs of the layers, each with the graph of its layer alone."""
    states, outputs = [x], []
    for layer in chain:
        output = layer(states[-1])
        outputs.append(output)
        states.append(output.detach().requires_grad_())
    return states, outputs


def _backward(
    chain: Sequence[Layer], states: Sequence[Tensor], outputs: Sequence[Tensor], last: Tensor
) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
    multipliers, gradients = [last], dict[str, Tensor]()
    for layer, state, output in reversed(list(zip(chain, states[:-1], outputs, strict=True))):
        refuse_non_finite_state(f"the multiplier of {layer}", multipliers[0])
        through, weights = layer.pull_back(state, output, multipliers[0])
        gradients = {name: -value for name, value in weights.items()} | gradients
        if through is not None:
            multipliers.insert(0, through)
    return tuple(multipliers), gradients


def _differentiate(
    chain: Sequence[Layer],
    cost: Cost,
    states: Sequence[Tensor],
    multipliers: Sequence[Tensor],
    y: object,
) -> Residuals:
    with torch.enable_grad():
        z = [states[0], *(state.detach().clone().requires_grad_() for state in states[1:])]
        weights = {name: value for layer in chain for name, value in layer.named_weights()}
        gaps = [after - layer(before) for layer, before, after in zip(chain, z[:-1], z[1:], strict=True)]
        held = [(m * gap).sum() for m, gap in zip(multipliers, gaps, strict=True)]
        lagrangian = _total(cost, z[-1], y) + torch.stack(held).sum()
    wanted = [*z[1:], *weights.values()]
    slopes = torch.autograd.grad(lagrangian, wanted, allow_unused=True, materialize_grads=True)
    return Residuals(
        states=slopes[: len(chain)],
        multipliers=tuple(gap.detach() for gap in gaps),
        weights=dict(zip(weights, slopes[len(chain) :], strict=True)),
    )


def _total(cost: Cost, end: Tensor, y: object) -> Tensor:
    rows = len(end)
    with torch.enable_grad():
        try:
            value = cost(end.clone(), y)
        except (RuntimeError, TypeError, IndexError) as error:
            raise EnergyError(
                f"the cost cannot take a last state of shape {list(end.shape)}: {error}"
            ) from error
        total = value.sum() if isinstance(value, Tensor) else None
    if total is None or tuple(value.shape) not in ((), (rows,)):
        found = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise EnergyError(
            f"the cost must give one number for each of {rows} rows, or one number; got {found}."
        )
    if all(leaf is not end for leaf in leaves_of(value)):
        raise EnergyError("the cost does not depend on the last state by differentiable steps.")
    refuse_non_finite_state("the cost", value)
    return total


def _rows(x: object) -> Tensor:
    rows = x.detach() if isinstance(x, Tensor) and not x.is_complex() else as_tensor("x", x).detach()
    if rows.ndim == 0:
        raise EnergyError("x must be rows, [rows, ...]; got a single number.")
    refuse_non_finite_state("x", rows)
    return rows


def _target(y: object) -> object:
    if isinstance(y, Tensor):
        refuse_non_finite_state("y", y)
    return y


def _refuse_random(chain: Sequence[Layer], states: Sequence[Tensor], residuals: Residuals) -> None:
    for layer, state, gap in zip(chain, states[1:], residuals.multipliers, strict=True):
        if _largest([gap]) > 1e4 * torch.finfo(state.dtype).eps * (1 + _largest([state])):
            raise EnergyError(
                f"{layer} gave another output when it was called again: it draws at random or keeps a state. "
                "Call eval() on it, or fix what it draws."
            )


def _of_layer(values: Mapping[str, Tensor], k: int) -> list[Tensor]:
    return [value for name, value in values.items() if name.startswith(f"{k}.")]


def _norm(values: Mapping[str, Tensor], k: int) -> float:
    return float(sum(float(value.square().sum()) for value in _of_layer(values, k)) ** 0.5)


def _largest(values: Iterable[Tensor]) -> float:
    return max((float(value.detach().abs().max()) for value in values if value.numel()), default=0.0)
