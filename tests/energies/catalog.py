"""Every kind of cost, regularizer and energy, which the laws run over."""

import itertools
import math

import torch
from scipy.integrate import quad
from torch import nn
from torch.distributions import constraints

import ebm_causal as ec
from ebm_causal.energies import FiniteSupport, Strength, confounded_energy
from ebm_causal.errors import IdentificationError

F64 = torch.float64


def number(value):
    return torch.tensor(value, dtype=F64)


COSTS = {
    "squared": lambda: ec.SquaredError(0.7),
    "squared, parameter": lambda: ec.SquaredError(nn.Parameter(number(1.3))),
    "squared, negative parameter": lambda: ec.SquaredError(nn.Parameter(number(-1.3))),
    "squared, computed": lambda: ec.SquaredError(lambda: number(0.4)),
    "student": lambda: ec.StudentTCost(0.8, 5.0),
    "student, Cauchy": lambda: ec.StudentTCost(2.0, 1.0),
    "huber": lambda: ec.HuberCost(0.7, 1.345),
    "huber, almost absolute": lambda: ec.HuberCost(2.0, 0.05),
    "huber, almost squared": lambda: ec.HuberCost(1.0, nn.Parameter(number(6.0))),
    "bernoulli": lambda: ec.BernoulliCost(),
    "categorical": lambda: ec.CategoricalCost(3),
    "categorical, classes left open": lambda: ec.CategoricalCost(),
    "poisson": lambda: ec.PoissonCost(),
    "hinge": lambda: ec.HingeCost(),
    "hinge, wide": lambda: ec.HingeCost(2.5),
}
PREDICTIONS = torch.tensor([[-2.0], [0.0], [0.4], [3.0]], dtype=F64)
LOGITS = torch.tensor([[0.0, 0.0, 0.0], [-2.0, 1.0, 0.5], [3.0, -1.0, 0.0], [0.2, 0.1, -4.0]], dtype=F64)


def predictions_of(cost):
    return LOGITS if isinstance(cost, ec.CategoricalCost) else PREDICTIONS


def values_of(cost):
    """What a value may be, or None for any real number; enough of the counts for rates up to 20."""
    if isinstance(cost, ec.CategoricalCost):
        return range(3)
    if isinstance(cost.support, FiniteSupport):
        return cost.support.values
    if isinstance(cost.support, type(constraints.boolean)):
        return (0, 1)
    return range(600) if isinstance(cost, ec.PoissonCost) else None


def integral(cost, prediction, beta, weight=lambda value: 1.0):
    """The integral, or sum, of exp(-beta C) times a weight over one value, plainly."""

    def term(value):
        return weight(value) * math.exp(-beta * cost(prediction, torch.tensor([value], dtype=F64)).item())

    if values_of(cost) is not None:
        return math.fsum(term(float(value)) for value in values_of(cost))
    center, s = prediction.item(), 2.0
    pieces = [-math.inf, center - s, center, center + s, math.inf]
    return math.fsum(quad(term, a, b, epsabs=1e-13)[0] for a, b in itertools.pairwise(pieces))


def mean_exists(cost, beta, moments=1):
    """Whether a Student-t's law at this beta has so many moments."""
    if not isinstance(cost, ec.StudentTCost):
        return True
    return cost.tail_at(cost.degrees_of_freedom(PREDICTIONS), beta) > moments + 0.2


REGULARIZERS = {
    "gaussian": lambda: ec.GaussianRegularizer(2, 0.8),
    "gaussian, parameter": lambda: ec.GaussianRegularizer(1, nn.Parameter(number(2.0))),
    "gaussian, an image": lambda: ec.GaussianRegularizer((1, 2, 2), 0.8),
    "laplace": lambda: ec.LaplaceRegularizer(2, 0.8),
    "laplace, a sequence": lambda: ec.LaplaceRegularizer((2, 2)),
    "codebook": lambda: ec.CodebookRegularizer(torch.randn(3, 2, dtype=F64)),
    "codebook, prices": lambda: ec.CodebookRegularizer(torch.zeros(3, 2, dtype=F64), number([0.0, 1.0, 3.0])),
    "scaled": lambda: 0.6 * ec.GaussianRegularizer(2, 0.8),
    "scaled by a parameter": lambda: ec.LaplaceRegularizer(1) * nn.Parameter(number(1.7)),
}


class Network(nn.Module):
    """A small decoder of x and z."""

    def __init__(self, outputs=1):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, outputs))

    def forward(self, x, z):
        return self.body(torch.cat([x, z], -1))


class Draw(nn.Module):
    """A decoder of images, that takes rows only."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.spread = nn.Linear(2, 32)
        self.stretch = nn.ConvTranspose2d(2, 1, 2, stride=2)

    def forward(self, h, z):
        return self.stretch(torch.tanh(self.spread(z)).view(-1, 2, 4, 4)) + h


def well():
    return ec.energy(lambda a, b: ((a * b).sum(-1) - 1) ** 2 + (a**4).sum(-1), a=2, b=2)


def structural():
    x = ec.Mechanism("x", "z", lambda z: z.repeat_interleave(2, -1), ec.StudentTCost(1.0, 3.0), dim=2)
    return x + ec.Mechanism("y", ("x", "z"), Network(), ec.SquaredError(0.5)) + ec.GaussianRegularizer(1)


def positive():
    support = ec.Variable(2, constraints.positive)
    return ec.energy(lambda a, s: (a - a.log()).sum(-1) + s.squeeze(-1) * a.sum(-1), a=support,
                     s=ec.Variable(1, ec.finite((-0.5, 0.5))))  # fmt: skip


def latent():
    torch.manual_seed(1)
    return ec.LatentEnergy(
        nn.Linear(2, 3), lambda h, z: torch.tanh(h + z), ec.SquaredError(), ec.GaussianRegularizer(3, 2.0)
    )


def images():
    torch.manual_seed(2)
    predictor = nn.Conv2d(1, 1, 3, padding=1)
    return ec.LatentEnergy(
        predictor, Draw(), ec.HuberCost(), ec.GaussianRegularizer(2), dims={"x": (1, 8, 8), "y": (1, 8, 8)}
    )


def embedding(distance="squared"):
    torch.manual_seed(4)
    encoders = nn.Linear(2, 3), nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
    return ec.JointEmbeddingEnergy(*encoders, distance, dims={"x": 2, "y": 4})


def linear():
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(3, k, generator=generator, dtype=F64) for k in (2, 4)]
    return ec.LinearGaussianEnergy(*weights, offset=torch.ones(3, dtype=F64), scale=0.7)


def table():
    return confounded_energy(
        2, binary_treatment=False, tail="heavy", strength=Strength(treatment=0.2, outcome=0.1)
    )


def with_cost(make):
    """A mechanism with a cost, whose decoder gives as many numbers as that takes."""
    dim = 2 if make is ec.CosineCost else 1
    outputs = 3 if isinstance(make(), ec.CategoricalCost) else dim
    return lambda: (
        ec.Mechanism("y", ("x", "z"), Network(outputs), make(), dim=dim) + ec.GaussianRegularizer(1)
    )


def with_regularizer(make):
    return lambda: ec.energy(lambda u: (u**2).sum(-1), u=1) + make()


ENERGIES = {
    **{f.__name__: f for f in (well, structural, positive, latent, images, embedding, linear, table)},
    **{f"cost: {name}": with_cost(make) for name, make in COSTS.items()},
    "cost: cosine": with_cost(ec.CosineCost),
    **{f"regularizer: {name}": with_regularizer(make) for name, make in REGULARIZERS.items()},
    "embedding, cosine": lambda: embedding("cosine"),
    "embedding, own distance": lambda: embedding(lambda a, b: (a - b).abs().sum(-1)),
    "scaled": lambda: 2.5 * structural(),
    "scaled by a parameter": lambda: latent() * nn.Parameter(number(0.3)),
    "minus": lambda: well() * -1.0,
    "summed": lambda: structural() + well() + linear_prior("b"),
    "intervened": lambda: ec.do(structural(), x=number([0.3, -0.2])),
    "intervened, normalizers kept": lambda: ec.do(
        ec.Mechanism("x", "z", lambda z: z, ec.SquaredError())
        + ec.Mechanism("y", ("x", "z"), lambda x, z: x + z, ec.HingeCost())
        + ec.GaussianRegularizer(1),
        x=0.5,
    ),
}  # fmt: skip


def linear_prior(name):
    return ec.LaplaceRegularizer(2, variable=name)


def make(name, dtype=F64):
    return ENERGIES[name]().to(dtype)


DIMS = {"x": 2, "y": 1, "z": 1, "u": 1, "w": 2, "t": 1}
OWN = {"latent": {"y": 3}, "scaled by a parameter": {"y": 3}, "linear": {"x": 4}}


def rows_of(name, energy, rows=5, dtype=F64, seed=2):
    """Rows within the supports; dimensions that the energy leaves to the data as in ``DIMS``."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for variable, known in energy.variables.items():
        shape = known.shape or (OWN.get(name, {}).get(variable, DIMS[variable]),)
        normal = torch.randn(rows, *shape, generator=generator, dtype=F64)
        found[variable] = within(known.support, normal).to(dtype)
    return found


def within(support, normal):
    if isinstance(support, FiniteSupport):
        values = torch.tensor(support.values, dtype=F64)
        return values[(normal.abs() * 10).long() % len(values)]
    if isinstance(support, type(constraints.boolean)):
        return (normal > 0).to(normal)
    if isinstance(support, type(constraints.nonnegative_integer)):
        return (normal.abs() * 2).floor().clamp_max(2)
    return normal.exp() if support is constraints.positive else normal


def has_normalizer(energy):
    for factor in energy.factors.values():
        if hasattr(factor, "refuse_unknown_normalizer"):
            try:
                factor.refuse_unknown_normalizer()
            except IdentificationError:
                return False
    return True
