"""What keeps an energy smooth, a penalty on slopes and a bound on layers; and how curved it is."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ebm_causal.errors import ArgumentError
from ebm_causal.learning.losses import Criterion, Loss, Terms
from ebm_causal.learning.problems import Batch, Problem

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class SlopePenalty(Criterion):
    """The mean squared slope of the energy in what is contrasted.

    Args:
        problem: What it is about.
        weight: Its weight.
    """

    def __init__(self, problem: Problem, weight: float) -> None:
        super().__init__(problem)
        self.weight = weight

    def forward(self, batch: Batch, generator: torch.Generator) -> Terms:
        """At points between rows and others, where nothing else holds the energy down."""
        problem = self.problem
        points = problem.join(batch.rows).detach()
        order = torch.randperm(len(points), generator=generator).to(points.device)
        share = torch.rand((len(points), 1), generator=generator, dtype=points.dtype).to(points.device)
        between = (share * points + (1 - share) * points[order]).requires_grad_()
        with torch.enable_grad():
            value = problem.raw({**problem.held(batch.rows), **problem.split(between)})
            (slope,) = torch.autograd.grad(value.sum(), between, create_graph=True)
        return Terms(self.weight * (slope**2).sum(-1).mean(), value.detach().mean(), None)


@dataclass(frozen=True)
class GradientPenalty(Loss):
    r"""A penalty on slopes, :math:`w\,\langle|\nabla_y F(x, y)|^2\rangle`, to be added to a loss.

    It is taken at random points between pairs of rows.

    Attributes:
        weight: Its weight w.

    References:
        Gulrajani, Ahmed, Arjovsky, Dumoulin and Courville (2017), Improved training of Wasserstein GANs, section 4
        (points between pairs; here the slope is drawn to zero, not to one).
    """

    weight: float = 0.1

    def __post_init__(self) -> None:
        if not self.weight > 0:
            raise ArgumentError(f"weight must be positive; got {self.weight}.")

    def bind(self, problem: Problem) -> Criterion:
        """The penalty of a problem."""
        problem.refuse_what_is_not_real("a gradient penalty", "Leave it out.")
        return SlopePenalty(problem, self.weight)


def bound_layers(module: nn.Module, bound: float) -> None:
    """Shrink the weights of linear and convolutional layers whose largest singular value exceeds a bound, in place.

    Of a convolution, the weight as a matrix from all its inputs to its outputs.
    """
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, LAYERS):
                norm = largest_singular_value(layer.weight)
                layer.weight.mul_((bound / norm).clamp_max(1.0))


def largest_singular_value(weight: Tensor) -> Tensor:
    """Of a layer's weight, outputs against all else."""
    return torch.linalg.matrix_norm(weight.detach().flatten(1), 2)


def curvature_along(problem: Problem, rows: dict[str, Tensor], directions: Tensor) -> Tensor:
    r"""The second derivative of the energy along directions, :math:`v^\top \nabla_y^2 F\, v`, one for each row.

    Across a manifold of data it says how deep a canyon is dug there.

    Args:
        problem: What it is about.
        rows: Where.
        directions: ``[rows, dim]``, of any length.
    """
    with torch.enable_grad():
        points = problem.join(rows).detach().requires_grad_()
        value = problem.raw({**problem.held(rows), **problem.split(points)})
        (slope,) = torch.autograd.grad(value.sum(), points, create_graph=True)
        (turn,) = torch.autograd.grad((slope * directions).sum(), points)
    return (turn * directions).sum(-1)
