"""Pages of every kind, one after the other."""

import pytest
from report.reading import KINDS

from ebm_causal.report import html as html_module


@pytest.fixture(params=KINDS.values(), ids=KINDS.keys())
def to_page(request, monkeypatch):
    """One kind of page, without its pictures, which take long."""
    monkeypatch.setattr(html_module, "_drawing", lambda mark: lambda block: "")
    return request.param
