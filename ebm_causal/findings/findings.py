"""Everything that a report may say, as one frozen value."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd

from ebm_causal.errors import ArgumentError
from ebm_causal.report import to_html, to_markdown, to_notebook_html, write_file

Section = Mapping[str, Any]
KINDS = {"naive": "unadjusted", "latent_do": "model", "experiment": "experiment"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What an analysis found, as plain numbers and words; made by ``analyze``.

    Attributes:
        question: What is asked of which rows, under which graph.
        identification: Whether and how the graph answers it, with and without a hidden confounder.
        effects: The estimates, one mapping each.
        seeing_and_doing: The outcome and the energy where the treatment is seen, and where it is set.
        sensitivity: How strong a hidden confounder would have to be.
        variance: The variance of the prediction by what it comes from.
        fisher: What the data inform, and what they do not.
        diagnostics: The health of sampler and fit.
        verdict: The answer in words, with its threshold; no answer where the diagnostics fail.
        reproduce: Versions, seed and hash of the data.
    """

    question: Section
    identification: Section
    effects: Sequence[Section]
    seeing_and_doing: Section
    sensitivity: Section
    variance: Section | None
    fisher: Section
    diagnostics: Section
    verdict: Section
    reproduce: Section

    def mapping(self) -> dict[str, Any]:
        """The findings as plain dictionaries, lists, text and numbers."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """One self-contained page with its pictures; written to ``path`` if given, by rename.

        Raises:
            ArgumentError: If the path cannot be written.
        """
        return self._written(to_html(self.mapping()), path)

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """Strict JSON, without NaN: the same for the same seed, but for ``reproduce``.

        Raises:
            ArgumentError: If the path cannot be written.
        """
        text = json.dumps(self.mapping(), allow_nan=False, ensure_ascii=False, indent=1)
        return self._written(text + "\n", path)

    def to_markdown(self) -> str:
        """The words and tables, without pictures."""
        return to_markdown(self.mapping())

    @classmethod
    def from_json(cls, path: str | os.PathLike[str]) -> "Findings":
        """Read findings that ``to_json`` wrote.

        Raises:
            ArgumentError: If the file is not there, is not JSON, or lacks a section.
        """
        try:
            found = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ArgumentError(f"cannot read {os.fspath(path)}: {error.strerror}.") from error
        except ValueError as error:
            raise ArgumentError(f"{os.fspath(path)} is not a report's JSON: {error}.") from error
        wanted = [field.name for field in fields(cls)]
        if not isinstance(found, dict) or sorted(found) != sorted(wanted):
            lacking = [name for name in wanted if not isinstance(found, dict) or name not in found]
            raise ArgumentError(
                f"{os.fspath(path)} is not a report's JSON: it lacks {lacking or 'its own keys only'}."
            )
        return cls(**found)

    def summary(self) -> pd.DataFrame:
        """The estimates, one row each."""
        columns = ["estimate", "standard_error", "lower", "upper", "interval"]
        frame = pd.DataFrame([dict(effect) for effect in self.effects]).set_index("method")
        return frame[columns]

    def plot(self, ax: Any = None) -> Any:
        """The estimates side by side; returns the axes."""
        from ebm_causal.figures import forest_picture

        rows = [
            (e["label"], e["estimate"], e["lower"], e["upper"], KINDS.get(e["method"], "adjusted"))
            for e in self.effects
        ]
        return forest_picture(rows, ax=ax)

    def _repr_html_(self) -> str:
        return to_notebook_html(self.mapping())

    def __repr__(self) -> str:
        return (
            f"Findings({self.question['text']!r}, verdict {self.verdict['answer']!r}: {self.verdict['text']})"
        )

    @staticmethod
    def _written(text: str, path: str | os.PathLike[str] | None) -> str:
        if path is not None:
            write_file(os.fspath(path), text)
        return text
