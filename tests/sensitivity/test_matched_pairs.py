"""Rosenbaum's bounds: published p values, the exact law of the signed ranks, and what hidden bias does."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.stats import binom, binomtest, rankdata, wilcoxon

import ebm_causal as ec
from ebm_causal.errors import ArgumentError
from ebm_causal.sensitivity import matched_pairs

# Lead in the blood of children of exposed workers and of matched controls: Rosenbaum 2002, table 3.1 (from
# Morton and others 1982). One pair does not differ.
EXPOSED = [38, 23, 41, 18, 37, 36, 23, 62, 31, 34, 24, 14, 21, 17, 16, 20, 15, 10, 45, 39, 22, 35, 49]
EXPOSED += [48, 44, 35, 43, 39, 34, 13, 73, 25, 27]
CONTROL = [16, 18, 18, 24, 19, 11, 10, 15, 16, 18, 18, 13, 19, 10, 16, 16, 24, 13, 9, 14, 21, 19, 7]
CONTROL += [18, 19, 12, 11, 22, 25, 16, 13, 11, 13]


def discordant(for_treated, of):
    return [1] * for_treated + [0] * (of - for_treated), [0] * for_treated + [1] * (of - for_treated)


def test_published_p_values_of_the_signed_rank_test_with_a_zero_ranked(monkeypatch):
    monkeypatch.setattr(matched_pairs, "EXACT", 0)
    found = ec.rosenbaum_bounds(EXPOSED, CONTROL, [2, 3, 4, 4.25, 5])
    np.testing.assert_allclose(found.p_values, [0.0018, 0.0136, 0.0388, 0.0468, 0.0740], atol=5e-5)
    assert (found.pairs, found.differing, found.method) == (33, 32, "normal")
    assert 4.25 < found.tipping_point < 5


def test_mcnemar_with_110_of_122_pairs():
    found = ec.rosenbaum_bounds(*discordant(110, 122), [4, 5, 6], test="mcnemar")
    np.testing.assert_allclose(found.p_values, [0.00196334, 0.0231686, 0.0969288], atol=5e-8)
    assert found.method == "exact"


def test_pairs_that_agree_do_not_count_for_mcnemar():
    treated, control = discordant(110, 122)
    agreeing = [1] * 40 + [0] * 300
    found = ec.rosenbaum_bounds(treated + agreeing, control + agreeing, [4, 5, 6], test="mcnemar")
    plain = ec.rosenbaum_bounds(treated, control, [4, 5, 6], test="mcnemar")
    np.testing.assert_array_equal(found.p_values, plain.p_values)
    assert (found.pairs, found.differing) == (462, 122)


def test_without_bias_the_tests_are_the_usual_ones():
    draws = np.random.default_rng(0)
    treated, control = draws.normal(0.4, 1, 30), draws.normal(0, 1, 30)
    signed = ec.rosenbaum_bounds(treated, control, 1.0).p_values[0]
    assert signed == pytest.approx(wilcoxon(treated - control, alternative="greater").pvalue, rel=1e-10)
    above = int((treated > control).sum())
    sign = ec.rosenbaum_bounds(treated, control, 1.0, test="sign").p_values[0]
    assert sign == pytest.approx(binomtest(above, 30, alternative="greater").pvalue, rel=1e-10)


@pytest.mark.parametrize("gamma", [1.0, 1.7, 4.0])
def test_the_exact_law_is_that_over_all_signs(gamma):
    difference = np.array([0.0, 3.0, -1.0, 1.0, 2.0, 2.0, -4.0, 5.0, 0.0, 2.0])
    ranks, chance = rankdata(np.abs(difference)), gamma / (1 + gamma)
    kept = difference != 0
    statistic = ranks[difference > 0].sum()
    signs = np.array(list(itertools.product([0, 1], repeat=kept.sum())))
    weights = chance ** signs.sum(1) * (1 - chance) ** (1 - signs).sum(1)
    wanted = weights[signs @ ranks[kept] >= statistic - 1e-9].sum()
    found = ec.rosenbaum_bounds(difference, np.zeros(10), gamma)
    assert found.p_values[0] == pytest.approx(wanted, rel=1e-12)


def test_beyond_200_pairs_the_normal_law_is_near_the_exact_one(monkeypatch):
    draws = np.random.default_rng(1)
    difference = draws.normal(0.35, 1, 260)
    gammas = np.array([1.0, 1.4, 1.8])
    normal = ec.rosenbaum_bounds(difference, np.zeros(260), gammas)
    monkeypatch.setattr(matched_pairs, "EXACT", 300)
    exact = ec.rosenbaum_bounds(difference, np.zeros(260), gammas)
    assert (normal.method, exact.method) == ("normal", "exact")
    chance, ranks = gammas / (1 + gammas), np.arange(1, 261)
    sd = np.sqrt(chance * (1 - chance) * (ranks**2).sum())
    skew = (2 * chance - 1) * chance * (1 - chance) * (ranks**3).sum() / sd**3
    edgeworth = 0.4 * (skew / 6 + 0.5 / sd)  # the next terms: skewness, and steps of one
    assert (np.abs(normal.p_values - exact.p_values) <= 1.2 * edgeworth).all()


@pytest.mark.parametrize("test", ["signed_rank", "sign"])
def test_p_values_rise_with_gamma_and_reach_alpha_at_the_tipping_point(test):
    found = ec.rosenbaum_bounds(EXPOSED, CONTROL, np.linspace(1, 20, 40), test=test)
    assert (np.diff(found.p_values) > 0).all()
    at = ec.rosenbaum_bounds(EXPOSED, CONTROL, found.tipping_point, test=test)
    assert at.p_values[0] == pytest.approx(0.05, abs=1e-8)
    assert f"{found.tipping_point:.4g}" in found.text
    assert found.tipping_point_of_estimate > found.tipping_point


def test_the_estimate_tips_where_its_statistic_is_what_bias_alone_would_give():
    found = ec.rosenbaum_bounds(*discordant(90, 120), 1.0, test="sign")
    assert found.tipping_point_of_estimate == pytest.approx(90 / 30, rel=1e-12)
    ranks = ec.rosenbaum_bounds(EXPOSED, CONTROL, 1.0)
    difference = np.subtract(EXPOSED, CONTROL)
    weights = rankdata(np.abs(difference))
    share = weights[difference > 0].sum() / weights[difference != 0].sum()
    assert ranks.tipping_point_of_estimate == pytest.approx(share / (1 - share), rel=1e-12)


def test_worlds_with_a_hidden_bias_of_gamma_are_rejected_as_often_as_the_law_says():
    draws, gamma, worlds, pairs = np.random.default_rng(2), 2.0, 1000, 40
    favored = draws.random((worlds, pairs)) < gamma / (1 + gamma)
    signed = np.where(favored, 1, -1) * draws.random((worlds, pairs))  # no effect: hidden bias alone
    found = [ec.rosenbaum_bounds(row, np.zeros(pairs), [1.0, gamma], test="sign") for row in signed]
    rejected = (np.array([world.p_values for world in found]) < 0.05).sum(0)
    law = binom(pairs, gamma / (1 + gamma))
    level = max(level for level in law.sf(np.arange(pairs)) if level < 0.05)
    assert binom(worlds, level).ppf(1e-4) <= rejected[1] <= binom(worlds, level).ppf(1 - 1e-4)
    assert rejected[0] > 500


def test_bias_that_cannot_be_too_large_and_a_test_that_fails_already():
    never = ec.rosenbaum_bounds([3, 4, 5, 6.0], [1, 1, 1, 1.0], [1, 2], alpha=0.05)
    assert never.p_values[0] == pytest.approx(1 / 16)
    assert never.tipping_point == 1.0
    assert "Without any hidden bias" in never.text
    assert never.tipping_point_of_estimate is None
    odd = ec.rosenbaum_bounds([1.0, 1, 1, 1, 1, 1], [2.0, 2, 2, 2, 2, 2], 1.0, test="sign")
    assert (odd.p_values[0], odd.tipping_point) == (1.0, 1.0)


def test_a_summary_a_repr_and_a_picture():
    found = ec.rosenbaum_bounds(EXPOSED, CONTROL, [1, 2])
    assert found.summary()["p_value"].tolist() == found.p_values.tolist()
    assert "33 pairs" in repr(found)
    axes = found.plot()
    assert axes.get_xlabel() == "Γ"
    plt.close(axes.figure)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0, 2.0], [0.0, 1.0], [1.0, 0.5]), "gammas must be finite and 1 or more; got 0.5"),
        (([1.0, 2.0], [0.0], 1.0), r"one outcome for each pair; got shapes \[2\] and \[1\]"),
        (([1.0, 2.0], [1.0, 2.0], 1.0), "None of 2 pairs differs in its outcome"),
        (([1.0, np.nan], [1.0, 2.0], 1.0), "treated must be finite; got nan in pair 1"),
        (
            ([1.0, 0.0], [0.0, 2.0], 1.0, "mcnemar"),
            "control must be 0 or 1 for test='mcnemar'; got 2 in pair 1",
        ),
    ],
)
def test_what_cannot_be_tested_is_refused(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        ec.rosenbaum_bounds(*arguments)


def test_an_unknown_test_and_level_are_refused(unchecked):
    with pytest.raises(ArgumentError, match="test must be 'signed_rank', 'sign' or 'mcnemar'; got 'ranks'"):
        ec.rosenbaum_bounds([1.0], [0.0], 1.0, test="ranks")
    with pytest.raises(ArgumentError, match="alpha must be between 0 and 1; got 1"):
        ec.rosenbaum_bounds([1.0], [0.0], 1.0, alpha=1.0)


def test_the_text_has_the_tipping_point_of_the_statistic_too():
    found = ec.rosenbaum_bounds([1] * 110 + [0] * 12, [0] * 110 + [1] * 12, [1.0], test="mcnemar")
    assert found.tipping_point_of_estimate == pytest.approx(110 / 12, rel=1e-12)
    assert "From 9.167 on, the statistic is no more than a hidden bias alone" in found.text


def test_no_gamma_at_all_is_refused():
    with pytest.raises(ArgumentError, match="gammas must hold one factor or more"):
        ec.rosenbaum_bounds([2.0, 1.0], [1.0, 0.0], [])
