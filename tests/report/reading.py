"""Pages of every kind as text, read as a browser or a terminal reads them."""

import io
from html.parser import HTMLParser
from typing import Any

from rich.console import Console

from ebm_causal.report import to_html, to_markdown, to_text


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
