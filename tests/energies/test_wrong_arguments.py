"""Arguments of a wrong type or out of range, for every public maker of energies: refused by name, never by torch."""

import math

import pytest
import torch
from torch.distributions import constraints

import ebm_causal as ec
from ebm_causal.errors import ArgumentError, EbmCausalError, EnergyError
from ebm_causal.sampling import (
    check_schedule,
    constant_schedule,
    cosine_schedule,
    diffusion_schedule,
    geometric_schedule,
    linear_schedule,
    next_beta,
)

pytestmark = pytest.mark.usefixtures("unchecked")
NO_SCALE, NO_WEIGHT = [math.nan, -1, "a", None, 0, 1j, math.inf, [1, "a"]], [math.nan, "a", -1, None]
NAN, ONE = torch.full((3, 2), math.nan), torch.ones(1, 1)
KEEP, SQUARED, NORMAL = torch.nn.Identity(), ec.SquaredError(), ec.GaussianRegularizer(1)


def latent(predictor=KEEP, regularizer=NORMAL, dims=None):
    return ec.LatentEnergy(predictor, lambda h, z: h, SQUARED, regularizer, dims=dims)


def mechanism(child="y", parents="z", decoder=KEEP, cost=SQUARED, dim=1):
    return ec.Mechanism(child, parents, decoder, cost, dim)


def embedding(first=KEEP, distance="squared", dims=None):
    return ec.JointEmbeddingEnergy(first, KEEP, distance, dims=dims)


def linear(weight=ONE, **options):
    return ec.LinearGaussianEnergy(weight, **options)


REFUSED = {
    "Variable's dim": (ec.Variable, [2.5, "a", (2, 0.5), True, 0, -1], "a variable's dimension must be"),
    "support": (lambda v: ec.Variable(1, v), [3, "positive", None], "a support must be a torch constraint"),
    "finite": (ec.finite, [[1, math.nan], 3, ["a"], None, [1], [1, 1], [1, math.inf]], r"finite\(\) takes"),
    "squared": (ec.SquaredError, NO_SCALE, "a scale must be"),
    "student": (lambda v: ec.StudentTCost(1.0, v), NO_SCALE, "a scale must be"),
    "huber": (ec.HuberCost, NO_SCALE, "a scale must be"),
    "threshold": (lambda v: ec.HuberCost(1.0, v), NO_SCALE, "a scale must be"),
    "hinge": (ec.HingeCost, NO_SCALE, "a scale must be"),
    "classes": (ec.CategoricalCost, [2.5, "a", 1], "at least two classes"),
    "regularizer's dim": (ec.GaussianRegularizer, [2.5, "a", 0], "a variable's dimension must be"),
    "weight": (lambda v: ec.GaussianRegularizer(1, v), NO_WEIGHT, "weight|scale"),
    "sparse weight": (lambda v: ec.LaplaceRegularizer(1, v), NO_WEIGHT, "weight|scale"),
    "latent's name": (lambda v: ec.GaussianRegularizer(1, 1.0, v), [3, None], "given by name"),
    "codes": (ec.CodebookRegularizer, [3, "a", [[1.0]], torch.ones(3), None, NAN], "codes"),
    "VICReg": (ec.VICRegRegularizer, NO_WEIGHT, "the weight of the invariance must not be negative"),
    "VICReg's target": (lambda v: ec.VICRegRegularizer(target=v), [math.nan, "a", 0], "must be positive"),
    "embeddings": (ec.VICRegRegularizer(), [3, "a", torch.ones(1, 2), NAN], "embeddings must be"),
    "function": (lambda v: ec.energy(v, x=1), [3, None], "an energy wraps a callable"),
    "energy's dim": (lambda v: ec.energy(KEEP, x=v), [2.5, "a"], "a variable's dimension must be"),
    "child": (lambda v: mechanism(child=v), [3, None], "given by name"),
    "parents": (lambda v: mechanism(parents=v), [3, None, (3,)], "given by name"),
    "decoder": (lambda v: mechanism(decoder=v), [3, None], "the decoder of 'y' must be callable"),
    "cost": (lambda v: mechanism(cost=v), [3, None, ec.SquaredError], "the cost of 'y' must be callable"),
    "latent weight": (linear, [3, "a", None, torch.ones(2)], "latent_weight"),
    "scale": (lambda v: linear(scale=v), [-1, 0, math.nan, "a", None, torch.ones(2)], "scale must be one"),
    "offset": (lambda v: linear(offset=v), ["a", torch.ones(2), 3], "offset"),
    "predictor": (lambda v: latent(predictor=v), [3], "the predictor must be callable"),
    "regularizer": (lambda v: latent(regularizer=v), [3, None], "the regularizer must be one of"),
    "dims": (lambda v: latent(dims=v), [3, {"q": 1}, {"y": 2.5}], "by name|unknown variable 'q'|dimension"),
    "encoder": (embedding, [3, None], "encoder_x must be callable"),
    "distance": (lambda v: embedding(distance=v), [3, None, "l1"], "distance must be"),
    "embedding's dims": (lambda v: embedding(dims=v), [3, {"q": 1}], "by name|unknown variable 'q'"),
    "constant": (lambda v: constant_schedule(v, 3), [None, "a", 0, math.nan], "must be positive and finite"),
    "count": (lambda v: constant_schedule(1.0, v), [None, "a", 1, 2.5], "count, the number of inverse"),
    "linear": (lambda v: linear_schedule(v, 1.0, 3), [None, "a", -1], "must be positive and finite"),
    "geometric": (lambda v: geometric_schedule(1.0, v, 3), [None, "a", math.inf], "positive and finite"),
    "cosine": (lambda v: cosine_schedule(1.0, 2.0, v), [None, "a", 1, 2.5], "count"),
    "variances": (diffusion_schedule, [None, "a", [0.1], [0.1, 2]], "varianc|numeric"),
    "diffusion's end": (lambda v: diffusion_schedule([0.1, 0.2], v), ["a", -1], "positive and finite"),
    "a schedule": (check_schedule, [None, "a", 3], "schedule|numeric"),
    "a ladder's beta": (lambda v: next_beta(torch.ones(5), v), [None, "a", -1], "beta"),
    "a ladder's share": (lambda v: next_beta(torch.ones(5), 0.5, share=v), [None, "a", 2], "share"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_when_it_is_made(name):
    make, wrong, message = REFUSED[name]
    for value in wrong:
        with pytest.raises(EbmCausalError, match=message):
            make(value)


@pytest.mark.parametrize("value", [3.0, -1.0, 0.5])
def test_a_class_that_is_none(value):
    for classes in (3, None):
        energy = mechanism("k", decoder=lambda z: torch.cat([z, -z, z], -1), cost=ec.CategoricalCost(classes))
        with pytest.raises(EnergyError, match=r"support|takes indices 0 to 2; got"):
            energy(k=torch.tensor([[value]]), z=torch.zeros(1, 1))
        with pytest.raises(EnergyError, match=r"takes indices 0 to 2; got"):
            ec.CategoricalCost(classes)(torch.zeros(1, 3), torch.tensor([[value]]))


def test_a_decoder_that_gives_no_tensor():
    energy = mechanism(decoder=lambda z: 0.0) + ec.GaussianRegularizer(1)
    with pytest.raises(EnergyError, match="the decoder of 'y' must give a tensor; got float"):
        energy(y=[[1.0]], z=[[1.0]])
    with pytest.raises(EnergyError, match="the decoder of 'y' must give a tensor; got float"):
        ec.free_energy(energy, given={"y": [[1.0]]})


def test_functions_of_other_arguments():
    for energy in (mechanism(decoder=lambda a: a) + ec.GaussianRegularizer(1), ec.energy(lambda a: a, z=1)):
        with pytest.raises(EnergyError, match=r"is called with \['z'\] by keyword, and takes \(a\)"):
            ec.minimize(energy, over="z", given={"y": [[1.0]]} if "y" in energy.variables else None)


def test_batches_that_do_not_broadcast():
    energy = ec.energy(lambda y, z: (y - z).sum(-1), y=1, z=1)
    with pytest.raises(EnergyError, match=r"do not broadcast; got \{'y': \[2\], 'z': \[3\]\}"):
        energy(y=torch.ones(2, 1), z=torch.ones(3, 1))


def test_encoders_that_do_not_fit():
    two = ec.JointEmbeddingEnergy(torch.nn.Linear(2, 3), torch.nn.Linear(2, 4))
    with pytest.raises(
        EnergyError, match=r"embeddings of one dimension; encoder_x gives \[1, 3\], encoder_y"
    ):
        two(x=torch.ones(1, 2), y=torch.ones(1, 2))
    with pytest.raises(EnergyError, match=r"encoder_x does not take values \[1, 5\]"):
        ec.JointEmbeddingEnergy(torch.nn.Linear(2, 3), torch.nn.Linear(2, 3))(
            x=torch.ones(1, 5), y=torch.ones(1, 2)
        )


def test_rows_that_have_no_invariant_subspace():
    energy = embedding()
    with pytest.raises(ArgumentError, match="y has no rows"):
        energy.invariant_subspace(torch.ones(0, 2))
    root = ec.JointEmbeddingEnergy(KEEP, lambda y: y.norm(dim=-1, keepdim=True).sqrt())
    with pytest.raises(ArgumentError, match=r"Jacobian is not finite in 1 rows, the first of them \[1\]"):
        root.invariant_subspace(torch.tensor([[1.0, 1.0], [0.0, 0.0]]))
    for covariance in ("a", torch.eye(3), NAN[:2]):
        with pytest.raises(EbmCausalError, match="covariance"):
            energy.invariant_subspace(torch.ones(3, 2), covariance=covariance)
    with pytest.raises(ArgumentError, match="tolerance is relative"):
        energy.invariant_subspace(torch.ones(3, 2), tolerance="a")


def test_closed_forms_of_other_things():
    driven = linear(input_weight=torch.ones(1, 1))
    with pytest.raises(ArgumentError, match="beta is an inverse temperature"):
        linear().free_energy(torch.ones(1, 1), beta="a")
    with pytest.raises(EnergyError, match=r"y must be \[..., 1\]; got 'a'"):
        linear().free_energy("a")
    with pytest.raises(EnergyError, match=r"x must be \[..., 1\]; got \[1, 4\]"):
        driven.free_energy(torch.ones(1, 1), torch.ones(1, 4))


@pytest.mark.parametrize(
    ("support", "message"),
    [
        (constraints.simplex, "the coordinates of 'z' are tied by its support"),
        (constraints.one_hot, "the coordinates of 'z' are tied by its support"),
        (constraints.nonnegative_integer, "infinitely many separate values"),
        (constraints.integer_interval(0, 10**6), "any of 1000001 integers, too many to enumerate"),
    ],
    ids=["simplex", "one-hot", "counts", "a million"],
)
def test_supports_over_which_nothing_is_searched(support, message):
    energy = ec.energy(lambda z: (z**2).sum(-1), z=ec.Variable(3, support))
    for function in (ec.minimize, ec.log_partition):
        with pytest.raises(EnergyError, match=message):
            function(energy, over="z")
