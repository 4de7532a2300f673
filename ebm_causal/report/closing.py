"""Parts 10 to 12: the health of the fit, the verdict, and how to reproduce the report."""

from collections.abc import Mapping
from typing import Any

from ebm_causal.report.blocks import Block, Facts, Name, Notice, Part, Table, Tone, words
from ebm_causal.report.numbers import number

_MOST_CHECKS, _MOST_WARNINGS = 20, 12
_RESULTS = {True: "well", False: "failed", None: "not known"}
ANSWERS = {"robust": "Robust", "fragile": "Fragile", "not identified": "Not identified", None: "No verdict"}


def diagnostics_part(mapping: Mapping[str, Any]) -> Part | None:
    """Whether the sampler and the fit may be trusted."""
    found = mapping.get("diagnostics")
    if found is None:
        return None
    if found["ok"]:
        notice = Notice(f"The fit ({found['method']}) passed its checks.", "good")
    else:
        notice = Notice(f"The fit ({found['method']}) failed its checks: there is no verdict.", "warning")
    blocks: list[Block] = [notice]
    checks = sorted(found.get("checks") or (), key=lambda check: check["ok"] is True)
    if checks:
        rows = tuple(
            ((c["name"], c.get("text") or ""), number(c["value"]), number(c["threshold"]), _RESULTS[c["ok"]])
            for c in checks[:_MOST_CHECKS]
        )
        more = len(checks) - len(rows)
        caption = f"{more} more, which went well, are in the JSON." if more > 0 else ""
        blocks.append(Table(("Check", "Value", "Threshold", "Result"), rows, words=(0, 3), caption=caption))
    warnings = found.get("warnings") or ()
    blocks += [Notice(warning, "warning") for warning in warnings[:_MOST_WARNINGS]]
    if len(warnings) > _MOST_WARNINGS:
        blocks.append(words(f"{len(warnings) - _MOST_WARNINGS} more warnings are in the JSON.", quiet=True))
    return Part("diagnostics", "Health of the fit", tuple(blocks))


def verdict_part(mapping: Mapping[str, Any]) -> Part | None:
    """The verdict in words, with its threshold."""
    found = mapping.get("verdict")
    if found is None:
        return None
    tone: Tone = "good" if found["answer"] == "robust" else "warning"
    blocks: list[Block] = [
        Notice(f"{ANSWERS.get(found['answer'], found['answer'])}.", tone),
        words(found["text"]),
    ]
    if found.get("threshold"):
        blocks.append(Facts(((("Threshold",), (found["threshold"],)),)))
    if found.get("lead"):
        blocks.append(words(found["lead"]))
    return Part("verdict", "The verdict", tuple(blocks))


def reproduce_part(mapping: Mapping[str, Any]) -> Part | None:
    """Command, seed, versions and the hash of the data."""
    found = mapping.get("reproduce")
    if found is None:
        return None
    versions = ", ".join(f"{name} {version}" for name, version in (found.get("versions") or {}).items())
    seconds = found.get("seconds")
    said = (
        ("Command", Name(found["command"]) if found.get("command") else None),
        ("Seed", None if found.get("seed") is None else str(found["seed"])),
        ("Hash of the data", Name(f"sha256 {found['data_sha256']}") if found.get("data_sha256") else None),
        ("Versions", versions or None),
        ("Created", found.get("created")),
        ("Time taken", None if seconds is None else f"{number(seconds)} s"),
    )
    items = tuple(((label,), (value,)) for label, value in said if value is not None)
    return Part("reproduce", "How to reproduce this report", (Facts(items),)) if items else None
