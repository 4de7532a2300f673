"""Pages from a mapping: what is there, and what is left out."""

import re
from typing import Any

import pytest
from report.sample import PARTS, sample

from ebm_causal.report import to_html, to_markdown

TITLES = {
    "question": "The question",
    "identification": "Is the effect identified?",
    "effects": "Estimates side by side",
    "implied": "The confounding that the fitted energy implies",
    "strength": "How strong must a hidden confounder be?",
    "bounds": "Bounds without a model",
    "refutations": "Attempts to refute it",
    "seeing": "Seeing against doing",
    "uncertainty": "Where the uncertainty comes from",
    "diagnostics": "Health of the fit",
    "verdict": "The verdict",
    "reproduce": "How to reproduce this report",
}
WITHIN_SENSITIVITY = {"implied": ("implied",), "bounds": ("no_assumption",), "refutations": ("refutations",)}
WITHIN_SENSITIVITY["strength"] = (
    "robustness_value",
    "contour",
    "benchmarks",
    "e_value",
    "marginal",
    "bayesian",
    "text",
)
TOP = {
    "identification": ("identification",),
    "effects": ("effects",),
    "seeing": ("seeing_and_doing",),
    "uncertainty": ("variance", "fisher"),
    "diagnostics": ("diagnostics",),
    "verdict": ("verdict",),
    "reproduce": ("reproduce",),
}


def without(part: str) -> dict[str, Any]:
    mapping = sample()
    for key in TOP.get(part, ()):
        mapping[key] = None
    for key in WITHIN_SENSITIVITY.get(part, ()):
        mapping["sensitivity"][key] = None
    return mapping


def test_all_twelve_parts_appear_in_order(to_page):
    page = to_page(sample())
    places = [page.rindex(TITLES[part]) for part in PARTS]
    assert places == sorted(places)


@pytest.mark.parametrize("part", PARTS[1:])
def test_a_part_whose_keys_are_null_is_left_out(to_page, part):
    page = to_page(without(part))
    assert TITLES[part] not in page
    assert all(TITLES[other] in page for other in PARTS if other != part)


def test_parts_are_numbered_without_gaps():
    html = to_html(without("bounds"))
    assert re.findall(r'class="number">(\d+)<', html) == [str(i) for i in range(1, 12)]


def test_a_report_without_sensitivity_leaves_its_parts_out(to_page):
    page = to_page(sample() | {"sensitivity": None})
    assert not any(TITLES[part] in page for part in WITHIN_SENSITIVITY)


@pytest.mark.parametrize(
    "number",
    [
        "−8,498",
        "699",
        "1,794",
        "[−374, 1,773]",
        "1.00%",
        "12",
        "16,177",
        "16,180",
        "1.34",
        "[−15,294, 45,014]",
    ],
)
def test_the_numbers_of_the_sample_are_on_every_page(to_page, number):
    assert number in to_page(sample()).replace("\\", "")


def test_the_verdict_and_what_is_not_identified_stand_above_all_parts(to_page):
    page, found = " ".join(to_page(sample()).replace("│", " ").split()), sample()["verdict"]
    first_part = page.index("Treatment")
    assert page.index("Fragile") < page.index(found["lead"]) < page.index(found["text"]) < first_part


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ("robust", "Robust"),
        ("fragile", "Fragile"),
        ("not identified", "Not identified"),
        (None, "No verdict"),
    ],
)
def test_each_answer_has_its_words(to_page, answer, shown):
    mapping = sample()
    mapping["verdict"]["answer"] = answer
    assert shown in to_page(mapping)


def test_a_failed_fit_says_that_there_is_no_verdict(to_page):
    mapping = sample()
    mapping["diagnostics"]["ok"] = False
    assert "failed its checks: there is no verdict" in to_page(mapping)


def test_no_page_claims_what_it_cannot(to_page):
    page = to_page(sample()).lower()
    assert "prove" not in page
    assert "significan" not in page


def emptied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: emptied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [emptied(item) for item in value]
    return None if isinstance(value, float) else value


def test_numbers_that_are_missing_become_dashes(to_page):
    mapping = emptied(sample())
    mapping["seeing_and_doing"]["levels"] = [0.0, 1.0]
    page = to_page(mapping)
    assert "—" in page
    assert not re.search(r"\b(nan|None|inf)\b", page)


def test_numbers_that_are_not_finite_become_dashes(to_page):
    mapping = sample()
    mapping["effects"][1] |= {"estimate": float("nan"), "lower": float("-inf"), "upper": float("inf")}
    page = to_page(mapping)
    assert not re.search(r"\b(nan|inf)\b", page)


def test_every_interval_of_an_estimate_names_its_level_and_kind(to_page):
    page = " ".join(to_page(sample()).split())
    for effect in sample()["effects"]:
        assert f"95%, {effect['interval'].split(',')[0]}" in page


def test_refutations_say_what_they_cannot_detect(to_page):
    page = to_page(sample())
    assert page.count("Null hypothesis") == 2
    assert page.count("Cannot detect") == 2
    assert "none of them sees" in " ".join(page.split())


def test_long_lists_are_cut_and_say_so(to_page):
    mapping = sample()
    row = mapping["sensitivity"]["benchmarks"][0]
    mapping["sensitivity"]["benchmarks"] = [
        row | {"benchmark": f"village {i}", "multiple": k} for i in range(486) for k in (1, 2, 3)
    ]
    mapping["question"]["covariates"] = [f"village {i}" for i in range(486)]
    page = " ".join(to_page(mapping).split())
    assert "the JSON has 476 more" in page
    assert "and 466 more" in page
    assert len(page) < 3 * len(to_page(sample()))


def test_a_benchmark_that_cannot_be_bounded_has_a_dash():
    mapping = sample()
    for row in mapping["sensitivity"]["benchmarks"]:
        if row["benchmark"] == "black" and row["multiple"] == 3:
            row.update(dict.fromkeys(("r2_outcome", "adjusted_estimate", "lower", "upper")))
    line = next(line for line in to_markdown(mapping).splitlines() if line.startswith("| `black`"))
    assert line.endswith("| — |")


def test_a_continuous_treatment_reads_per_unit(to_page):
    mapping = sample()
    mapping["question"] |= {
        "treatment_kind": "continuous",
        "treatment_levels": None,
        "treated_rows": None,
    }
    mapping["seeing_and_doing"]["levels"] = [-1.5, 2.25]
    page = to_page(mapping)
    assert "treat, continuous" in page.replace("`", "")
    assert "2.25" in page
    assert "per unit of" in page


def test_a_binary_outcome_reads_as_a_probability(to_page):
    mapping = sample()
    mapping["question"]["outcome_kind"] = "binary"
    assert "difference in the probability of" in to_page(mapping)


def test_no_dropped_row_is_said_too(to_page):
    mapping = sample()
    mapping["question"]["dropped"] = []
    assert "No row was dropped" in to_page(mapping)
