"""A mapping of findings as a document: a summary, then the parts that there are, numbered."""

import math
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ebm_causal.report.blocks import Document, KeyNumber, Part, Summary
from ebm_causal.report.bounds import bounds_part
from ebm_causal.report.closing import ANSWERS, diagnostics_part, reproduce_part, verdict_part
from ebm_causal.report.estimates import effect_decimals, effect_of, estimates_part, interval_words
from ebm_causal.report.implied import implied_part
from ebm_causal.report.numbers import count, interval, number, percent
from ebm_causal.report.question import identification_part, question_part
from ebm_causal.report.refutations import refutations_part
from ebm_causal.report.seeing import seeing_part
from ebm_causal.report.strength import strength_part
from ebm_causal.report.uncertainty import uncertainty_part

_PARTS: tuple[Callable[[Mapping[str, Any]], Part | None], ...] = (
    question_part,
    identification_part,
    estimates_part,
    implied_part,
    strength_part,
    bounds_part,
    refutations_part,
    seeing_part,
    uncertainty_part,
    diagnostics_part,
    verdict_part,
    reproduce_part,
)
_BIDI = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def document(mapping: Mapping[str, Any]) -> Document:
    """The document of a mapping of findings; parts whose keys are null are left out.

    Args:
        mapping: What ``Findings.mapping()`` gives.

    Returns:
        The document, which every kind of page is made from.
    """
    clean = printable(mapping)
    parts = [part for build in _PARTS if (part := build(clean)) is not None]
    numbered = tuple(replace(part, number=i) for i, part in enumerate(parts, start=1))
    question = clean["question"]
    title = f"Effect of {question['treatment']} on {question['outcome']}"
    return Document(title, _summary(clean), numbered)


def printable(value: Any) -> Any:
    r"""The same value with text that can be printed and without numbers that are not finite.

    Control characters, halves of surrogate pairs and marks that reverse the direction of writing
    become spaces: column names may hold them, pages may not.

    >>> printable({"a\x1b[31m": [float("nan"), 1.0, "b\n"]})
    {'a [31m': [None, 1.0, 'b']}
    """
    if isinstance(value, str):
        return _printable_text(value)
    if isinstance(value, Mapping):
        return {printable(str(key)): printable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [printable(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _printable_text(text: str) -> str:
    unfit = ("Cc", "Cs", "Zl", "Zp")
    kept = (" " if unicodedata.category(c) in unfit or c in _BIDI else c for c in text)
    return "".join(kept).strip()


def _summary(mapping: Mapping[str, Any]) -> Summary:
    question, verdict = mapping["question"], mapping.get("verdict") or {}
    answer = verdict.get("answer")
    about = [question["name"]] if question.get("name") else []
    about += [f"{count(question['rows'])} rows"]
    return Summary(
        question=question["text"],
        about=tuple(about),
        answer=ANSWERS.get(answer, str(answer)),
        tone="robust" if answer == "robust" else "fragile" if answer == "fragile" else "open",
        lead=verdict.get("lead") or "",
        text=verdict.get("text") or "",
        numbers=tuple(_key_numbers(mapping)),
    )


def _key_numbers(mapping: Mapping[str, Any]) -> list[KeyNumber]:
    decimals = effect_decimals(mapping)
    found = []
    for method in ("naive", "regression", "latent_do", "experiment"):
        effect = effect_of(mapping, method)
        if effect is None or effect["estimate"] is None:
            continue
        between = interval(effect["lower"], effect["upper"], decimals)
        note = f"{between} {interval_words(effect)}" if interval_words(effect) else "no interval"
        found.append(KeyNumber(effect["label"], number(effect["estimate"], decimals), note))
    strength = mapping.get("sensitivity") or {}
    if strength.get("robustness_value") is not None:
        note = "partial R² with treatment and outcome that would take the regression to zero"
        found.append(KeyNumber("Robustness value", percent(strength["robustness_value"]), note))
    return found
