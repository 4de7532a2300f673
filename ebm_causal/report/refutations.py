"""Part 7: attempts to refute the adjusted estimate, each with what it cannot detect."""

from collections.abc import Mapping
from typing import Any

from ebm_causal.report.blocks import Block, Facts, Heading, Part, words
from ebm_causal.report.estimates import effect_decimals
from ebm_causal.report.numbers import number, p_value

_RESULTS = {True: "passed", False: "failed", None: "no result"}


def refutations_part(mapping: Mapping[str, Any]) -> Part | None:
    """One block for each refuter."""
    refutations = (mapping.get("sensitivity") or {}).get("refutations")
    if not refutations:
        return None
    blocks: list[Block] = [
        words(
            "Each refuter changes the data so that a sound analysis must answer in a known way. To pass is "
            "little evidence, to fail is a fault of the analysis, and none of them sees hidden confounding."
        )
    ]
    for refutation in refutations:
        blocks += _refutation(refutation, effect_decimals(mapping))
    return Part("refutations", "Attempts to refute it", tuple(blocks))


def _refutation(found: Mapping[str, Any], decimals: int | None) -> list[Block]:
    moved = f"{number(found['estimate'], decimals)} → {number(found['new_effect'], decimals)}"
    items = (
        (("Null hypothesis",), (found["null_hypothesis"],)),
        (("Estimate before → after",), (moved,)),
        (("Result",), (f"{_RESULTS[found['passed']]}, p value {p_value(found['p_value'])}",)),
        (("Cannot detect",), (found["cannot_detect"],)),
    )
    quiet = [words(found["text"], quiet=True)] if found.get("text") else []
    return [Heading(found["name"]), Facts(items), *quiet]
