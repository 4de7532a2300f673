"""Pages from a mapping: what is there, what is left out, and that names stay names."""

import io
import re
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest
from markdown_it import MarkdownIt
from report.sample import NASTY, PARTS, renamed, sample
from rich.console import Console

from ebm_causal.report import html as html_module
from ebm_causal.report import to_html, to_markdown, to_notebook_html, to_text

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


def to_terminal(mapping: dict[str, Any], width: int = 100) -> str:
    file = io.StringIO()
    to_text(mapping, Console(file=file, width=width))
    return file.getvalue()


def text_of_html(mapping: dict[str, Any]) -> str:
    return parsed(to_html(mapping)).text


KINDS = {"html": text_of_html, "markdown": to_markdown, "terminal": to_terminal}


class Page(HTMLParser):
    """The text and the tags of a page, as a browser reads them."""

    def __init__(self) -> None:
        super().__init__()
        self.text, self.tags, self.attributes, self.open = "", [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        self.open.append(tag)

    def handle_endtag(self, tag):
        self.open.pop()

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data


def parsed(html: str) -> Page:
    page = Page()
    page.feed(html)
    return page


@pytest.fixture(params=KINDS.values(), ids=KINDS.keys())
def to_page(request, monkeypatch):
    """One kind of page, without its pictures, which take long."""
    monkeypatch.setattr(html_module, "_drawing", lambda mark: lambda block: "")
    return request.param


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


def test_the_page_loads_nothing_from_outside():
    html = to_html(sample())
    page = parsed(html)
    links = [
        value for key, value in page.attributes if key in ("src", "href", "xlink:href", "data", "action")
    ]
    assert all(value.startswith("#") for value in links)
    assert not re.search(r"url\((?!#)|@import|<script|<link|<img|<iframe", html)
    assert "default-src 'none'" in html


def test_every_link_and_id_of_the_page_fits():
    page = parsed(to_html(sample()))
    ids = [value for key, value in page.attributes if key == "id"]
    assert len(ids) == len(set(ids))
    assert {value[1:] for key, value in page.attributes if key in ("href", "xlink:href")} <= set(ids)


def test_the_page_has_all_five_pictures_with_words_for_them():
    page = parsed(to_html(sample()))
    assert page.tags.count("svg") == 5
    labels = [value for key, value in page.attributes if key == "aria-label"]
    assert sum(label.startswith(("Graph", "Estimates", "Contour", "Seen", "Shares")) for label in labels) == 5


def test_pages_are_the_same_each_time(to_page):
    assert to_page(sample()) == to_page(sample())


def test_names_stay_names_in_html():
    plain, nasty = parsed(to_html(sample())), parsed(to_html(renamed(NASTY)))
    assert set(nasty.tags) == set(plain.tags)
    assert nasty.tags.count("b") == nasty.tags.count("script") == 0
    for name in ("<script>alert('x')</script>", 'a$b$_c|d`e "q" & ümläut 中文', "</style><b>*bold*</b>"):
        assert name in nasty.text


def test_names_stay_names_in_the_title():
    html = to_html(renamed(NASTY))
    assert "<title>Effect of &lt;script&gt;" in html


def test_names_stay_names_in_markdown():
    rendered = MarkdownIt("commonmark", {"html": True}).enable("table").render(to_markdown(renamed(NASTY)))
    page = parsed(rendered)
    assert not {"script", "style", "b", "em"} & set(page.tags)
    for name in ("<script>alert('x')</script>", 'a$b$_c|d`e "q" & ümläut 中文', "</style><b>*bold*</b>"):
        assert name in page.text


def test_names_stay_names_in_the_terminal():
    page = to_terminal(renamed(NASTY))
    assert "[red]age[/red]" in page
    assert "\x1b" not in page


def test_tables_in_markdown_have_as_many_cells_as_headers():
    lines = to_markdown(renamed(NASTY)).splitlines()
    for above, rule in pairwise(lines):
        if set(rule) <= set("|:- ") and rule.startswith("|"):
            start, cells = lines.index(rule) + 1, rule.count("|")
            assert len(re.findall(r"(?<!\\)\|", above)) == cells
            assert len(re.findall(r"(?<!\\)\|", lines[start])) == cells


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_terminal_page_keeps_to_its_width(width):
    lines = to_terminal(sample(), width).splitlines()
    assert max(map(len, lines)) <= min(width, 100)


def test_the_notebook_fragment_is_small_and_scoped():
    fragment = to_notebook_html(sample())
    page = parsed(fragment)
    assert "html" not in page.tags
    assert page.tags.count("svg") == 1
    assert len(fragment) < 40_000
    rules = re.findall(r"^([^@{}\s][^{}]*)\{", fragment, flags=re.MULTILINE)
    assert all(".ebm-causal" in rule for rule in rules)


def test_two_fragments_in_one_notebook_share_no_id():
    other = sample()
    other["effects"][0]["estimate"] = 1.0
    ids = [
        {value for key, value in parsed(to_notebook_html(mapping)).attributes if key == "id"}
        for mapping in (sample(), other)
    ]
    assert not ids[0] & ids[1]


def test_a_report_does_not_change_its_mapping(to_page):
    mapping = sample()
    to_page(mapping)
    assert mapping == sample()
