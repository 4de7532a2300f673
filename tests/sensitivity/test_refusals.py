"""Arguments of a wrong kind are refused by their names, in every analysis."""

import numpy as np
import pytest
import torch

import ebm_causal as ec
from ebm_causal.errors import ArgumentError, EnergyError
from ebm_causal.sensitivity import ImpliedConfounding, austen_curve, e_value_of_difference

LINEAR = {"alpha_x": 1.0, "alpha_z": 1.0, "beta_x": 0.0, "beta_z": 1.0, "beta_y": 0.0, "delta": 1.0}
NO_NUMBERS = [None, "five", [1.0, 2.0], {}, 1j, True, torch.ones(2)]


def table():
    return ec.load_dataset("lalonde-nsw")


def statistics(**changes):
    return ec.OmittedVariableBias.from_statistics(
        **{"estimate": 0.1, "standard_error": 0.02, "dof": 783, **changes}
    )


def pairs(**changes):
    return ec.rosenbaum_bounds(
        **{"treated": [1.0, 2.0, 3.0], "control": [0.0, 1.0, 5.0], "gammas": [2.0], **changes}
    )


def bayesian(**changes):
    return ec.bayesian_sensitivity(table(), **{"method": "linear", "draws": 10, **changes})


NUMBERS = {
    "estimate": statistics, "standard_error": statistics, "q": statistics, "alpha": statistics,
    "risk_ratio": lambda **number: ec.e_value(**{"risk_ratio": 2.0, **number}),
    "odds_ratio": lambda odds_ratio: ec.e_value(odds_ratio, scale="odds_ratio"),
    "standardized_difference": lambda **d: ec.e_value(*d.values(), scale="standardized_difference"),
    "sd": lambda sd: e_value_of_difference(1.0, 0.1, sd),
    "level": lambda level: ec.marginal_sensitivity(table(), 2.0, level=level),
    "bias": lambda bias: austen_curve(table(), 1.0 if bias is None else bias),
    "multiple": bayesian,
}  # fmt: skip


@pytest.mark.parametrize("name", NUMBERS)
def test_what_is_no_number_is_refused_by_its_name(unchecked, name):
    for wrong in NO_NUMBERS:
        if not (name == "bias" and wrong is None):
            with pytest.raises(ArgumentError, match=f"{name} must be a real number; got"):
                NUMBERS[name](**{name: wrong})


SEVERAL = {
    "multiples": statistics,
    "lambdas": lambda lambdas: ec.marginal_sensitivity(table(), lambdas),
    "gammas": pairs, "treated": pairs, "control": pairs,
    "alpha_x": lambda alpha_x: ec.LinearSensitivity(**{**LINEAR, "alpha_x": alpha_x}),
    "r2_treatment": lambda r2_treatment: statistics().bias(r2_treatment, 0.1),
    "r2_outcome": lambda r2_outcome: statistics().extremes(r2_outcome),
    "strength": lambda strength: bayesian(strength=strength or "none"),
}  # fmt: skip


@pytest.mark.parametrize("name", SEVERAL)
def test_texts_and_nothing_are_no_numbers(unchecked, name):
    for wrong in (None, "2", ["a", "b"], [1.0, None], [[1.0], [1.0, 2.0]], [True]):
        with pytest.raises(ArgumentError, match=f"{name} must be of real numbers; got"):
            SEVERAL[name](**{name: wrong})


def test_numbers_of_every_real_kind_serve(unchecked):
    kinds = (0.25, np.float32(0.25), np.array(0.25), torch.tensor(0.25), np.array([0.25], dtype=object))
    assert {float(np.ravel(statistics().bias(kind, 0.1))[0]) for kind in kinds} == {
        statistics().bias(0.25, 0.1)
    }
    assert statistics(dof=np.int64(783)) == statistics(dof=783.0) == statistics()


@pytest.mark.parametrize(
    ("analysis", "message"),
    [
        (lambda: statistics(multiples=2), r"multiples must be a list of numbers, as \(1, 2, 3\); got 2"),
        (lambda: statistics(dof=5.5), "dof must be a whole number, 2 or more; got 5.5"),
        (lambda: statistics(dof=float("nan")), "dof must be a whole number, 2 or more; got nan"),
        (lambda: statistics(dof=10**400), "dof must be at most 1e\\+15; got a number of 401 digits"),
        (lambda: statistics(benchmarks=["age"]), r"benchmarks must give two partial R\^2 for each name"),
        (lambda: statistics(errors=["robust"]), r"errors must be 'classical' or 'robust'; got \['robust'\]"),
        (lambda: statistics(estimate=1e300, standard_error=1e-300), "is too large for a computer: 1 times"),
        (lambda: statistics().contour(2.5), "points must be a whole number, 2 or more; got 2.5"),
        (lambda: statistics().extremes(()), "r2_outcome must hold one share or more; got none"),
        (lambda: statistics().plot(of="slope"), "of must be one of .*'estimate', 't'.*; got 'slope'"),
        (lambda: statistics().bias([0.1, 0.2], [0.1] * 3), r"got r2_treatment \[2\], r2_outcome \[3\]"),
        (lambda: ec.marginal_sensitivity(table(), [[2.0]]), r"lambdas must be a number or a list .*\[1, 1\]"),
        (lambda: ec.marginal_sensitivity(table(), 2, seed=-1), "seed must be 0 or more; got -1"),
        (lambda: ec.marginal_sensitivity(table(), 2, seed=None), "seed must be a whole number .*; got None"),
        (lambda: ec.marginal_sensitivity(table(), 2, sharp="yes"), "sharp must be True or False; got 'yes'"),
        (lambda: ec.marginal_sensitivity(table(), 2, resamples=2.5), "resamples must be 0 for none.*got 2.5"),
        (lambda: ec.marginal_sensitivity(table(), 2, target=["ate"]), r"target must be .*; got \['ate'\]"),
        (lambda: ec.marginal_sensitivity(table(), 2, benchmarks=3), "benchmarks must be a list of names"),
        (lambda: ec.marginal_sensitivity(table(), 2, benchmarks=[["age"]]), "must be names of covariates"),
        (lambda: ec.omitted_variable_bias(table(), {"a": 3}), "Group 'a' must be a list of covariates; got 3"),
        (lambda: bayesian(seed=-1), "seed must be 0 or more; got -1"),
        (lambda: bayesian(draws=2.5), "draws must be a whole number, 2 or more; got 2.5"),
        (lambda: bayesian(strengths=2.5), "strengths must be a power of two, 2 or more; got 2.5"),
        (lambda: bayesian(latent_dim=0), "latent_dim must be 1 or more; got 0"),
        (lambda: bayesian(progress="loud"), "progress must be callable; got 'loud'"),
        (lambda: ec.no_assumption_bounds(table(), "low", 1e6), "low must be below high.*got 'low' and 1e\\+06"),
        (lambda: ec.e_value(2.0, scale=["ratio"]), r"scale must be one of .*; got \['ratio'\]"),
        (lambda: ec.e_value(2.0, rare=1), "rare must be True or False; got 1"),
        (lambda: pairs(test=None), "test must be 'signed_rank', 'sign' or 'mcnemar'; got None"),
        (lambda: austen_curve(table(), outcome_fit=3), "outcome_fit must be callable; got 3"),
        (lambda: austen_curve(table(), points=None), "points must be a whole number, 2 or more; got None"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_its_name(unchecked, analysis, message):
    with pytest.raises(ArgumentError, match=message):
        analysis()


@pytest.mark.parametrize(
    "analysis",
    [
        ec.omitted_variable_bias, ec.bayesian_sensitivity, austen_curve, ec.no_assumption_bounds,
        lambda given: ec.marginal_sensitivity(given, 2.0),
        lambda given: ImpliedConfounding.from_chains(None, given),
    ],
)  # fmt: skip
def test_a_frame_is_no_table(unchecked, analysis):
    with pytest.raises(
        ArgumentError, match="table must be a CausalTable; got DataFrame. A DataFrame becomes"
    ):
        analysis(table().frame)


def test_fields_of_unequal_length_are_named():
    with pytest.raises(ArgumentError, match=r"one shape, or broadcast; got alpha_x \[2\], beta_z \[3\]"):
        ec.LinearSensitivity(**{**LINEAR, "alpha_x": np.ones(2), "beta_z": np.ones(3)})
    with pytest.raises(ArgumentError, match="alpha_x holds no number"):
        ec.LinearSensitivity(**{**LINEAR, "alpha_x": np.ones(0)})


def test_lists_and_tensors_serve_as_fields(unchecked):
    found = ec.LinearSensitivity(**{**LINEAR, "delta": torch.tensor([1.0, 2.0]), "latent_variance": [1, 2]})
    np.testing.assert_allclose(found.observed_slope, found.delta + 1)


def test_what_is_no_energy_or_posterior_is_refused(unchecked):
    energy = ec.LinearGaussianEnergy(torch.eye(1), input_weight=torch.eye(1))
    with pytest.raises(EnergyError, match="the linear quantities are those of an energy; got str"):
        ec.LinearSensitivity.from_energy("energy", {})
    with pytest.raises(ArgumentError, match="posterior must be what ec.sample gives; got dict"):
        ec.LinearSensitivity.from_posterior(energy, {})
    with pytest.raises(ArgumentError, match="fit must be what ec.fit gives; got str"):
        ImpliedConfounding.from_chains("fit", table())
