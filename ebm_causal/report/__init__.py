"""A plain mapping of findings as pages: HTML, Markdown, the terminal, a notebook. It knows no result type."""

from ebm_causal.report.document import printable
from ebm_causal.report.html import to_html, to_notebook_html
from ebm_causal.report.markdown import to_markdown
from ebm_causal.report.text import to_text
from ebm_causal.report.writing import check_destination, write_file

__all__ = [
    "check_destination",
    "printable",
    "to_html",
    "to_markdown",
    "to_notebook_html",
    "to_text",
    "write_file",
]
