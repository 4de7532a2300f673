"""Pictures: what they show, as text, and nothing else changes."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from ebm_causal import figures

STRENGTH = np.linspace(0.0, 0.3, 7)
ADJUSTED = 2.0 - 20.0 * np.sqrt(np.outer(STRENGTH, STRENGTH))
NASTY = ["a$x_1$", "<script>&", 'say "hi"', "中文", "tab\there\x00", "y" * 200]
NODES = [(name, "covariate") for name in NASTY[:3]] + [("t", "treatment"), ("y", "outcome"), ("z", "latent")]
EDGES = [("z", "t"), ("z", "y"), ("t", "y"), *((name, "t") for name in NASTY[:3])]

PICTURES = {
    "graph": lambda ax=None: figures.graph_picture(NODES, EDGES, ax),
    "forest": lambda ax=None: figures.forest_picture(
        [(name, 1.0, 0.5, 2.0, "adjusted") for name in NASTY], ax, reference=(1.0, 0.0, 2.0), unit=NASTY[0]
    ),
    "seen and done": lambda ax=None: figures.seen_and_done_picture(
        [0.0, 1.0],
        ([1.0, 2.0], [0.1, 0.1]),
        ([1.0, 1.5], [0.1, 0.1]),
        ax,
        labels=(NASTY[0], NASTY[1]),
        level_names=NASTY[:2],
    ),
    "contour": lambda ax=None: figures.contour_picture(
        STRENGTH, STRENGTH, ADJUSTED, [(NASTY[0], 0.01, 0.02), (NASTY[1], 0.1, 0.2)], estimate=2.0, ax=ax
    ),
    "landscape": lambda ax=None: figures.landscape_picture(
        STRENGTH,
        STRENGTH,
        ADJUSTED,
        curve=np.array([[0.0, 0.1], [0.2, 0.2]]),
        points=np.array([[0.1, 0.1]]),
        names=(NASTY[0], NASTY[1]),
        title=NASTY[2],
        ax=ax,
    ),
    "shares": lambda ax=None: figures.shares_picture(NASTY, [0.6, 0.5, -0.2, 0.05, 0.03, 0.02], ax),
    "waterfall": lambda ax=None: figures.waterfall_picture(
        NASTY, [0.6, 0.5, -0.2, 0.05, 0.03, 0.02], ax, label=NASTY[0]
    ),
}


@pytest.fixture(params=PICTURES.values(), ids=PICTURES.keys())
def picture(request):
    return request.param


def svg_of(draw, name="picture"):
    return figures.draw_svg(draw, size=(4.5, 3.0), name=name)


def texts(svg):
    return [
        "".join(element.itertext()) for element in ElementTree.fromstring(svg).iter() if "text" in element.tag
    ]


def test_every_picture_draws_on_the_axes_it_is_given(picture):
    ax = Figure().subplots()
    assert picture(ax) is ax


def test_every_picture_is_the_same_svg_each_time(picture):
    assert svg_of(picture) == svg_of(picture)


def test_every_picture_is_well_formed_and_loads_nothing(picture):
    svg = svg_of(picture)
    ElementTree.fromstring(svg)
    assert not re.search(r"href=\"(?!#)|url\((?!#)|<image|<script|<metadata|<style", svg)


def test_every_id_starts_with_the_name_of_the_picture(picture):
    svg = svg_of(picture, name="first")
    ids = re.findall(r'\bid="([^"]*)"', svg)
    assert ids
    assert len(ids) == len(set(ids))
    assert all(found.startswith("first-") for found in ids)
    assert set(re.findall(r'(?:href="#|url\(#)([^")]*)', svg)) <= set(ids)


def test_names_are_shown_as_they_stand():
    rows = [(name, 1.0, 0.0, 2.0, "adjusted") for name in NASTY]
    shown = texts(svg_of(lambda ax: figures.forest_picture(rows, ax)))
    assert {"a$x_1$", "<script>&", 'say "hi"', "中文", "tab here"} <= set(shown)
    assert "y" * 29 + "…" in shown


def test_drawing_leaves_no_trace_in_matplotlib(picture):
    before = dict(mpl.rcParams)
    svg_of(picture)
    assert dict(mpl.rcParams) == before


def test_drawing_for_a_page_does_not_load_pyplot():
    code = (
        "import sys, ebm_causal.figures as f; assert 'matplotlib' not in sys.modules;"
        "f.draw_svg(lambda ax: f.shares_picture(['a'], [1.0], ax), size=(3, 1), name='p');"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_axes_pyplot_opens_new_ones(picture):
    from matplotlib import pyplot

    ax = picture()
    assert ax.figure.number in pyplot.get_fignums()
    pyplot.close(ax.figure)


def test_svg_of_axes_is_that_of_their_figure():
    ax = figures.shares_picture(["a"], [1.0], Figure().subplots())
    assert figures.to_svg(ax) == figures.to_svg(ax.figure)


def test_two_pictures_without_names_share_no_id():
    first, second = (
        figures.to_svg(figures.shares_picture([name], [1.0], Figure().subplots())) for name in ("a", "b")
    )
    ids = [set(re.findall(r'\bid="([^"]*)"', svg)) for svg in (first, second)]
    assert not ids[0] & ids[1]


def test_hidden_nodes_and_their_arrows_are_dashed():
    ax = figures.graph_picture(
        [("t", "treatment"), ("y", "outcome"), ("z", "latent")],
        [("t", "y"), ("z", "t"), ("z", "y")],
        Figure().subplots(),
    )
    arrows = [text.arrow_patch for text in ax.texts if getattr(text, "arrow_patch", None) is not None]
    assert [arrow.get_linestyle() == "-" for arrow in arrows] == [True, False, False]


def test_many_covariates_become_one_node_with_their_arrows():
    names = [f"x{i}" for i in range(8)]
    nodes = [("t", "treatment"), ("y", "outcome"), *((name, "covariate") for name in names)]
    edges = [("t", "y"), *((name, end) for name in names for end in ("t", "y")), ("x0", "x1")]
    ax = figures.graph_picture(nodes, edges, Figure().subplots())
    assert [text.get_text() for text in ax.texts if text.get_text()] == ["t", "y", "W (8 covariates)"]
    assert sum(getattr(text, "arrow_patch", None) is not None for text in ax.texts) == 3


def test_a_row_without_an_estimate_is_left_out_of_the_forest():
    rows = [("here", 1.0, None, None, "adjusted"), ("gone", None, None, None, "adjusted")]
    ax = figures.forest_picture(rows, Figure().subplots())
    assert [label.get_text() for label in ax.get_yticklabels()] == ["here"]


def test_the_line_of_a_zero_estimate_is_heavy():
    ax = figures.contour_picture(STRENGTH, STRENGTH, ADJUSTED, ax=Figure().subplots())
    zero = [lines for lines in ax.collections if list(getattr(lines, "levels", ())) == [0.0]]
    assert [lines.get_linewidth()[0] for lines in zero] == [2.0]


@pytest.mark.parametrize("flat", [np.ones((7, 7)), np.full((7, 7), np.nan)], ids=["constant", "unknown"])
def test_a_flat_contour_has_no_lines(flat):
    ax = figures.contour_picture(STRENGTH, STRENGTH, flat, ax=Figure().subplots())
    assert not [lines for lines in ax.collections if hasattr(lines, "levels")]


def test_benchmarks_beyond_the_grid_are_left_out():
    points = [("near", 0.1, 0.1), ("far", 0.1, 0.5)]
    ax = figures.contour_picture(STRENGTH, STRENGTH, ADJUSTED, points, ax=Figure().subplots())
    assert [text.get_text() for text in ax.texts if text.get_text() in ("near", "far")] == ["near"]


def test_labels_of_benchmarks_do_not_cover_each_other():
    points = [(f"name {i}", 0.01, 0.01) for i in range(12)]
    ax = figures.contour_picture(STRENGTH, STRENGTH, ADJUSTED, points, ax=Figure().subplots())
    assert len([text for text in ax.texts if text.get_text().startswith("name")]) < 6


def test_the_smallest_shares_are_added_up():
    names, shares = [f"x{i}" for i in range(20)], [0.5, *[0.5 / 19] * 19]
    ax = figures.shares_picture(names, shares, Figure().subplots())
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert (len(labels), labels[0], labels[-1]) == (10, "x0", "11 others")
    assert sum(bar.get_width() for bar in ax.patches) == pytest.approx(1.0)


def test_landscapes_share_their_levels_and_bear_what_is_not_finite():
    holes = np.where(ADJUSTED < 0, np.nan, ADJUSTED)
    one, two = (
        figures.landscape_picture(STRENGTH, STRENGTH, values, levels=[0.0, 1.0, 2.0], ax=Figure().subplots())
        for values in (holes, 2 * ADJUSTED)
    )
    assert one.collections[0].levels.tolist() == two.collections[0].levels.tolist()
    assert one.get_aspect() == 1.0
    flat = figures.landscape_picture(STRENGTH, STRENGTH, np.zeros((7, 7)), ax=Figure().subplots())
    assert len(flat.collections) == 0
