"""Images and sequences as variables: a tuple as dimension goes through every part of an energy."""

import math

import pytest
import torch
from energies.catalog import F64, Draw
from torch import nn

import ebm_causal as ec
from ebm_causal.energies import mechanisms_of
from ebm_causal.errors import EnergyError
from ebm_causal.gibbs import restrict

SHAPE = (1, 8, 8)


def tensor(*shape, seed=0):
    return torch.randn(*shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


def painter(cost=None, dims=None):
    """z is drawn into an image by a transposed convolution, beside what a convolution makes of x."""
    torch.manual_seed(2)
    predictor = nn.Conv2d(1, 1, 3, padding=1)
    energy = ec.LatentEnergy(
        predictor, Draw(), cost or ec.SquaredError(0.5), ec.GaussianRegularizer(2), dims=dims
    )
    return energy.to(F64)


def plain_energy(energy, x, y, z):
    decoder = energy.factors["y"].decoder
    prediction = decoder.decoder(decoder.predictor(x), z)
    return ((prediction - y) ** 2).flatten(1).sum(-1) / (2 * 0.25) + 0.5 * (z**2).sum(-1)


def data(rows=4):
    return {"x": tensor(rows, *SHAPE), "y": tensor(rows, *SHAPE, seed=1)}


def test_an_energy_of_images_is_the_sum_over_pixels():
    energy, values, z = painter(), data(), tensor(4, 2, seed=3)
    assert torch.allclose(energy(**values, z=z), plain_energy(energy, **values, z=z))


def test_dimensions_of_images_are_learned_from_the_first_data():
    energy = painter()
    energy(**data(), z=tensor(4, 2))
    assert {name: v.shape for name, v in energy.variables.items()} == {"x": SHAPE, "y": SHAPE, "z": (2,)}
    other = painter()
    ec.minimize(other, over="z", given=data())
    assert other.variables["y"].shape == SHAPE


def test_as_many_rows_as_an_image_is_wide_are_rows():
    energy = painter()
    assert energy(**data(8), z=tensor(8, 2)).shape == (8,)


def test_a_vector_may_have_one_batch_dimension_more_when_its_size_is_learned():
    energy = ec.LatentEnergy(nn.Identity(), lambda h, z: h + z, ec.SquaredError(), ec.GaussianRegularizer(3))
    assert energy(x=tensor(5, 1, 3), y=tensor(5, 3), z=tensor(5, 3)).shape == (5, 5)


def test_convolutions_get_rows_whatever_the_batch():
    """Points by rows, as samplers evaluate them, and one image alone."""
    energy, values, z = painter(), data(), tensor(7, 4, 2, seed=3)
    wide = energy(**values, z=z)
    assert wide.shape == (7, 4)
    assert torch.allclose(wide[2], energy(**values, z=z[2]))
    alone = {name: value[0] for name, value in values.items()}
    assert energy(**alone, z=z[2, 0]).item() == pytest.approx(wide[2, 0].item())


def test_points_are_split_into_images():
    energy = painter(dims={"x": SHAPE, "y": SHAPE})
    restriction = restrict(energy, ("y", "z"), {"x": data()["x"]}, 1.0)
    points = tensor(3, 4, 66)
    parts = restriction.split(points)
    assert (parts["y"].shape, parts["z"].shape) == ((3, 4, *SHAPE), (3, 4, 2))
    known = torch.stack([plain_energy(energy, data()["x"], parts["y"][i], parts["z"][i]) for i in range(3)])
    assert torch.allclose(restriction(points), known)


def test_the_lowest_image_is_the_prediction():
    energy, x = painter(dims={"x": SHAPE, "y": SHAPE}), data()["x"]
    found = ec.minimize(energy, over=("y", "z"), given={"x": x})
    decoder = energy.factors["y"].decoder
    prediction = decoder.decoder(decoder.predictor(x), torch.zeros(4, 2, dtype=F64))
    assert torch.allclose(found.values["y"], prediction, atol=1e-6)
    assert found.energy.detach().abs().max().item() < 1e-10


def linear_in_latent():
    """Pixels are linear in z, so that the lowest energy has a closed form."""
    weight = tensor(64, 2, seed=5)
    mechanism = ec.Mechanism(
        "y", "z", lambda z: (z @ weight.mT).unflatten(-1, SHAPE), ec.SquaredError(0.5), dim=SHAPE
    )
    return mechanism + ec.GaussianRegularizer(2), ec.LinearGaussianEnergy(weight, scale=0.5)


def test_images_and_their_pixels_as_a_vector_have_the_same_answers():
    images, vectors = linear_in_latent()
    y = data()["y"]
    known = vectors.minimum(y.flatten(1))
    assert torch.allclose(ec.minimize(images, over="z", given={"y": y}).values["z"], known, atol=1e-8)
    found = ec.minimize(images, over="z", given={"y": y}).energy
    assert torch.allclose(found, vectors.free_energy(y.flatten(1), beta=math.inf), rtol=1e-8)


@pytest.mark.parametrize(
    "cost", [ec.SquaredError(0.5), ec.HuberCost(), ec.BernoulliCost(), ec.PoissonCost(), ec.HingeCost()],
    ids=lambda cost: type(cost).__name__,
)  # fmt: skip
def test_the_law_of_an_image_is_that_of_its_pixels(cost):
    image = ec.Mechanism("y", "z", lambda z: z, cost, dim=SHAPE) + ec.GaussianRegularizer(SHAPE)
    vector = ec.Mechanism("y", "z", lambda z: z, cost, dim=64)
    mechanism, z = mechanisms_of(image)["y"], tensor(3, *SHAPE)
    flat = {"z": z.flatten(1)}
    torch.manual_seed(0)
    y = mechanism.distribution({"z": z}, 2.0).sample()
    assert y.shape == (3, *SHAPE)
    assert torch.allclose(
        mechanism.distribution({"z": z}, 2.0).log_prob(y),
        vector.distribution(flat, 2.0).log_prob(y.flatten(1)),
    )
    assert torch.allclose(mechanism.mean({"z": z}, 2.0).flatten(1), vector.mean(flat, 2.0))
    assert torch.allclose(mechanism.log_normalizer({"z": z}, 2.0), vector.log_normalizer(flat, 2.0))


def test_a_sequence_of_classes_has_logits_for_each_place():
    places, classes = 5, 3
    logits = tensor(4, places, classes)
    book = ec.Mechanism("y", "x", lambda x: x, ec.CategoricalCost(classes), dim=(places, 2))
    words = ec.Mechanism("y", "x", lambda x: x, ec.CategoricalCost(classes), dim=places)
    y = torch.randint(classes, (4, places), generator=torch.Generator().manual_seed(0))
    known = nn.functional.cross_entropy(logits.mT, y, reduction="none").sum(-1)
    energy = ec.Energy([words])
    energy.learn_dim("x", (places, classes))
    assert torch.allclose(energy(x=logits, y=y.to(F64)), known)
    twice = ec.Energy([book])
    twice.learn_dim("x", (places, 2, classes))
    doubled = torch.stack([logits, logits], -2)
    assert torch.allclose(twice(x=doubled, y=torch.stack([y, y], -1).to(F64)), 2 * known)


def test_interventions_on_images_and_on_what_they_cause():
    """y = x + b z pixel by pixel: under do(x) its mean is x, its spread that of z and of the noise."""
    x = ec.Mechanism(
        "x",
        "z",
        lambda z: z.unsqueeze(-1).unsqueeze(-1).expand(-1, 1, 2, 2),
        ec.SquaredError(),
        dim=(1, 2, 2),
    )
    y = ec.Mechanism(
        "y", ("x", "z"), lambda x, z: x + 2 * z[..., None, None], ec.SquaredError(), dim=(1, 2, 2)
    )
    energy = x + y + ec.GaussianRegularizer(1)
    held = tensor(3, 1, 2, 2)
    cut = ec.do(energy, x=held)
    assert cut(y=held, z=torch.zeros(3, 1, dtype=F64)).tolist() == [0.0] * 3
    found = ec.interventional(energy, do={"x": held}, query="y", draws=4000, seed=0)
    assert found.values.shape == (4000, 3, 1, 2, 2)
    assert ((found.mean - held).abs() <= 4.5 * found.standard_error).all()
    assert found.values.var(0).mean().item() == pytest.approx(5.0, abs=4.5 * 5 * math.sqrt(2 / 4000))
    assert len(found.summary()) == 12


def test_a_wrong_size_of_image():
    energy = painter(dims={"x": SHAPE, "y": SHAPE})
    with pytest.raises(EnergyError, match=r"'y' must be \[..., 1, 8, 8\]; got \[4, 1, 8, 7\]"):
        energy(x=data()["x"], y=tensor(4, 1, 8, 7), z=tensor(4, 2))


def test_a_decoder_of_another_size():
    energy = ec.Mechanism(
        "y", "z", lambda z: z[..., None], ec.SquaredError(), dim=SHAPE
    ) + ec.GaussianRegularizer(2)
    with pytest.raises(EnergyError, match=r"the decoder of 'y' must give \[..., 1, 8, 8\]; got \[4, 2, 1\]"):
        energy(y=data()["y"], z=tensor(4, 2))


def test_a_decoder_that_mixes_rows():
    energy = ec.Mechanism(
        "y", "z", lambda z: z.mean(0), ec.SquaredError(), dim=(2, 1)
    ) + ec.GaussianRegularizer(2)
    with pytest.raises(
        EnergyError,
        match=r"a function of \['z'\] was called with 4 rows .* result for each, \[4, ...\]; got \[2\]",
    ):
        energy(y=tensor(4, 2, 1), z=tensor(4, 2))
