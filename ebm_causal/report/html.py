"""Findings as one HTML file with nothing from outside, and as a fragment for notebooks."""

import hashlib
from collections.abc import Mapping
from typing import Any

import jinja2
from markupsafe import Markup

from ebm_causal.report.blocks import Name, Picture
from ebm_causal.report.document import document

_IN_NOTEBOOKS = "effects"


def to_html(mapping: Mapping[str, Any]) -> str:
    """One self-contained HTML page: styles and pictures inside, no scripts, nothing loaded.

    Args:
        mapping: What ``Findings.mapping()`` gives.

    Returns:
        The page.
    """
    page = document(mapping)
    return _environment().get_template("report.html.j2").render(page=page, picture=_drawing(""))


def to_notebook_html(mapping: Mapping[str, Any]) -> str:
    """A fragment for a notebook: the summary, the estimates and their picture.

    Args:
        mapping: What ``Findings.mapping()`` gives.

    Returns:
        A ``<div>`` with its own styles.
    """
    page = document(mapping)
    parts = [part for part in page.parts if part.key == _IN_NOTEBOOKS]
    mark = hashlib.sha256(repr(page.summary).encode()).hexdigest()[:8]  # ids that no other cell has
    template = _environment().get_template("notebook.html.j2")
    return template.render(page=page, parts=parts, picture=_drawing(f"{mark}-"))


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ebm_causal.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["name"] = lambda piece: isinstance(piece, Name)
    environment.filters["kind"] = lambda block: type(block).__name__.lower()
    environment.filters["lines"] = lambda cell: (cell,) if isinstance(cell, str) else cell
    return environment


def _drawing(mark: str) -> Any:
    def picture(block: Picture) -> Markup:
        return Markup(block.draw(f"{mark}{block.name}"))  # noqa: S704 -- matplotlib escapes what it writes

    return picture
