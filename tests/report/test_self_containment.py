"""Pages stand alone, and names stay names in them."""

import re
from itertools import pairwise

import pytest
from markdown_it import MarkdownIt
from report.reading import parsed, to_terminal
from report.sample import NASTY, renamed, sample

from ebm_causal.report import to_html, to_markdown, to_notebook_html


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
