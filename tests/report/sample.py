"""Findings as a report receives them: lalonde-cps, with its published numbers where it has them."""

import json
from pathlib import Path
from typing import Any

PARTS = (
    "question",
    "identification",
    "effects",
    "implied",
    "strength",
    "bounds",
    "refutations",
    "seeing",
    "uncertainty",
    "diagnostics",
    "verdict",
    "reproduce",
)

NASTY = {
    "treat": "<script>alert('x')</script>",
    "re78": 'a$b$_c|d`e "q" & ümläut 中文',
    "black": "</style><b>*bold*</b>",
    "re75": "x" * 300,
    "age": "[red]age[/red]\x1b[31m\n# h",
}


def sample() -> dict[str, Any]:
    """A new mapping with all twelve parts; change it at will."""
    return json.loads(Path(__file__).with_name("sample.json").read_text(encoding="utf-8"))


def renamed(names: dict[str, str]) -> dict[str, Any]:
    """The sample with other names for its columns, wherever a value or a key is such a name."""

    def change(value: Any) -> Any:
        if isinstance(value, dict):
            return {names.get(key, key): change(item) for key, item in value.items()}
        if isinstance(value, list):
            return [change(item) for item in value]
        return names.get(value, value) if isinstance(value, str) else value

    return change(sample())
