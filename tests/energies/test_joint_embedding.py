"""Joint embeddings: their distance, and the directions that an encoder does not see."""

import math

import pytest
import torch
from energies.catalog import F64, embedding
from matplotlib.figure import Figure
from torch import nn

import ebm_causal as ec
from ebm_causal.errors import ArgumentError, EnergyError


def seeing(weight):
    """A linear encoder of y with a known null space, beside an encoder of x of the same size."""
    weight = torch.as_tensor(weight, dtype=F64)
    return ec.JointEmbeddingEnergy(lambda x: x, lambda y: y @ weight.mT)


def norm_energy():
    return ec.JointEmbeddingEnergy(lambda x: x, lambda y: y.norm(dim=-1, keepdim=True))


def rows(count, size, seed=0):
    return torch.randn(count, size, dtype=F64, generator=torch.Generator().manual_seed(seed))


def projector(basis):
    return basis @ basis.mT


def test_distances_of_embeddings():
    a, b = rows(4, 3), rows(4, 3, seed=1)
    known = {
        "squared": ((a - b) ** 2).sum(-1),
        "cosine": 1 - (a * b).sum(-1) / (a.norm(dim=-1) * b.norm(dim=-1)),
    }
    for distance, value in known.items():
        energy = ec.JointEmbeddingEnergy(nn.Identity(), nn.Identity(), distance)
        assert torch.allclose(energy(x=a, y=b), value)
    own = ec.JointEmbeddingEnergy(nn.Identity(), nn.Identity(), lambda a, b: (a - b).abs().amax(-1))
    assert torch.allclose(own(x=a, y=b), (a - b).abs().amax(-1))


def test_encoders_keep_their_parameters_and_can_be_had_back():
    energy = embedding()
    assert len(list(energy.parameters())) == 6
    assert isinstance(energy.encoder_x, nn.Linear)
    assert isinstance(energy.encoder_y, nn.Sequential)


def test_the_invariant_subspace_of_a_linear_encoder_is_its_null_space():
    """Enc(y) = (y1 + y2, y3): the null space is spanned by (1, -1, 0, 0) and (0, 0, 0, 1)."""
    found = seeing([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]).invariant_subspace(rows(3, 4))
    null = torch.tensor([[1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 0.0, math.sqrt(2)]], dtype=F64).mT / math.sqrt(2)
    assert found.rank.tolist() == [2, 2, 2]
    assert found.invariant.shape == found.sensitive.shape == (3, 4, 2)
    assert torch.allclose(projector(found.invariant), projector(null).expand(3, 4, 4))
    assert torch.allclose(found.invariant.mT @ found.invariant, torch.eye(2, dtype=F64).expand(3, 2, 2))
    assert torch.allclose(projector(found.invariant) + projector(found.sensitive), torch.eye(4, dtype=F64))
    assert found.warnings == ()


def test_y_moved_along_the_invariant_subspace_keeps_its_energy():
    energy = seeing([[1.0, 2.0, -1.0]])
    y, x = rows(5, 3), rows(5, 1, seed=1)
    found = energy.invariant_subspace(y)
    moved = y + found.project(rows(5, 3, seed=2) * 10)
    assert torch.allclose(energy(x=x, y=moved), energy(x=x, y=y))
    assert not torch.allclose(energy(x=x, y=y + found.project(y, onto="sensitive")), energy(x=x, y=y))


def test_what_a_norm_does_not_see_is_tangential():
    y = rows(6, 3)
    found = norm_energy().invariant_subspace(y)
    radial = y / y.norm(dim=-1, keepdim=True)
    assert torch.allclose(projector(found.sensitive), radial[..., None] * radial[:, None], atol=1e-12)
    assert torch.allclose(found.project(y), torch.zeros_like(y), atol=1e-12)
    assert torch.allclose(found.project(y, onto="sensitive"), y)
    tangent = found.project(rows(6, 3, seed=1))
    assert torch.allclose((tangent * y).sum(-1), torch.zeros(6, dtype=F64), atol=1e-12)


def test_both_projections_sum_to_the_whole_for_any_leading_dimensions():
    found = norm_energy().invariant_subspace(rows(4, 3))
    for y in (rows(4, 3), rows(1, 3), rows(20, 3).reshape(5, 4, 3), rows(1, 3)[0]):
        parts = [found.project(y, onto=part) for part in ("invariant", "sensitive")]
        assert torch.allclose(parts[0] + parts[1], y.expand(parts[0].shape))
        assert parts[0].shape[-2:] == (4, 3)


def test_rows_of_different_rank_have_bases_padded_with_zeros():
    """A ReLU sees a coordinate only where it is positive."""
    y = torch.tensor([[1.0, 2.0], [1.0, -2.0], [-1.0, -2.0]], dtype=F64)
    found = ec.JointEmbeddingEnergy(lambda x: x, torch.relu).invariant_subspace(y)
    assert found.rank.tolist() == [2, 1, 0]
    assert found.invariant.shape == found.sensitive.shape == (3, 2, 2)
    assert torch.allclose(found.project(y), y.clamp(max=0.0))
    assert found.summary()["invariant"].tolist() == [0, 1, 2]


def test_the_share_of_variance_is_that_of_the_projected_covariance():
    """Var(y) = diag(4, 1), of which an encoder of the first coordinate leaves a fifth unseen."""
    energy, covariance = seeing([[1.0, 0.0]]), torch.diag(torch.tensor([4.0, 1.0], dtype=F64))
    assert energy.invariant_subspace(rows(1, 2), covariance=covariance).share.tolist() == pytest.approx([0.2])
    y = rows(50, 2) * torch.tensor([2.0, 1.0], dtype=F64)
    share = energy.invariant_subspace(y).share
    assert share.tolist() == pytest.approx([(y[:, 1].var() / y.var(0).sum()).item()] * 50)


def test_one_row_has_no_variance_of_its_own():
    found = norm_energy().invariant_subspace([[1.0, 2.0]])
    assert found.share is None
    assert "share" not in found.summary()
    with pytest.raises(
        ArgumentError, match="there is no share to draw: give several rows of y, or its covariance"
    ):
        found.plot()


def test_images_have_invariant_subspaces_in_their_own_shape():
    """An encoder of the mean over the last axis does not see what adds up to zero along it."""
    energy = ec.JointEmbeddingEnergy(lambda x: x, lambda y: y.mean(-1).flatten(1), dims={"y": (1, 2, 3)})
    y = rows(4, 6).reshape(4, 1, 2, 3)
    found = energy.invariant_subspace(y)
    assert found.rank.tolist() == [2] * 4
    assert torch.allclose(found.project(y), y - y.mean(-1, keepdim=True))
    assert energy(x=rows(4, 2), y=y).shape == (4,)


def test_a_rank_that_hangs_on_the_tolerance_is_told():
    found = seeing([[1.0, 0.0], [0.0, 3e-6]]).invariant_subspace(rows(2, 2))
    assert (
        "singular values in 2 rows, the first [0, 1], are within a factor of 30 of the tolerance"
        in found.warnings[0]
    )
    assert seeing([[1.0, 0.0], [0.0, 3e-6]]).invariant_subspace(rows(2, 2), tolerance=1e-2).rank.tolist() == [
        1,
        1,
    ]


def test_rounding_in_single_precision_is_not_taken_for_sight():
    torch.manual_seed(0)
    low_rank = torch.randn(20, 3) @ torch.randn(3, 30)
    energy = ec.JointEmbeddingEnergy(lambda x: x, lambda y: torch.tanh(0.01 * y @ low_rank.mT) @ low_rank)
    assert set(energy.invariant_subspace(torch.randn(8, 30)).rank.tolist()) == {3}


def test_the_result_says_what_it_is():
    found = norm_energy().invariant_subspace(torch.eye(3, dtype=F64))
    assert repr(found) == "InvariantSubspace(3 rows, dimension 2 of 3, 66.7% of Var(y))"
    assert list(found.summary()) == ["sensitive", "invariant", "least_kept", "largest_cut", "share"]
    labels = [label.get_text() for label in found.plot(Figure().subplots()).get_yticklabels()]
    assert labels == ["invariant", "sensitive"]


def test_distances_and_shapes_that_make_no_sense(unchecked):
    with pytest.raises(
        ArgumentError, match="distance must be 'squared', 'cosine' or a callable; got 'manhattan'"
    ):
        ec.JointEmbeddingEnergy(nn.Identity(), nn.Identity(), "manhattan")
    energy = norm_energy()
    energy.invariant_subspace(rows(2, 3))
    with pytest.raises(EnergyError, match=r"'y' must be \[rows, 3\]; got \[2, 4\]"):
        energy.invariant_subspace(rows(2, 4))
    with pytest.raises(EnergyError, match="'y' is not finite in 1 rows, the first of them"):
        energy.invariant_subspace([[1.0, math.nan, 0.0]])
    with pytest.raises(
        ArgumentError, match=r"tolerance is relative to the largest singular value, in \(0, 1\); got 2"
    ):
        energy.invariant_subspace(rows(2, 3), tolerance=2.0)
    with pytest.raises(ArgumentError, match=r"the covariance of y must be \[3, 3\]; got \[2, 2\]"):
        energy.invariant_subspace(rows(2, 3), covariance=torch.eye(2))
    with pytest.raises(ArgumentError, match="does not depend on its input by differentiable steps"):
        ec.JointEmbeddingEnergy(nn.Identity(), torch.ones_like).invariant_subspace(rows(2, 3))


def test_projections_that_do_not_fit(unchecked):
    found = norm_energy().invariant_subspace(rows(2, 3))
    with pytest.raises(ArgumentError, match=r"y must be \[..., 2, 3\]; got \[2, 4\]"):
        found.project(rows(2, 4))
    with pytest.raises(ArgumentError, match=r"y must be \[..., 2, 3\]; got \[5, 3\]"):
        found.project(rows(5, 3))
    with pytest.raises(ArgumentError, match="onto must be 'invariant' or 'sensitive'; got 'both'"):
        found.project(rows(2, 3), onto="both")


def test_bases_that_do_not_fit_in_memory():
    energy = ec.JointEmbeddingEnergy(lambda x: x, lambda y: y)
    with pytest.raises(
        ArgumentError, match="bases of 2 rows of 10000 entries do not fit in memory: give fewer rows"
    ):
        energy.invariant_subspace(torch.zeros(2, 10_000))
