"""Part 4: the hidden confounding that the fitted energy implies."""

from collections.abc import Callable, Mapping
from typing import Any

from ebm_causal.report.blocks import Block, Facts, Name, Part, Table, words
from ebm_causal.report.estimates import effect_decimals
from ebm_causal.report.numbers import MISSING, level_of, number, percent


def implied_part(mapping: Mapping[str, Any]) -> Part | None:
    """Strengths, signed bias and the linear quantities, with the prior that they rest on."""
    implied = (mapping.get("sensitivity") or {}).get("implied")
    if implied is None:
        return None
    blocks: list[Block] = [words(implied["text"]), _strengths(implied, effect_decimals(mapping))]
    prior = implied.get("prior")
    if prior:
        blocks += _prior(prior, mapping["question"])
    if implied.get("quantities"):
        rows = tuple(
            ((q["name"], q.get("text") or ""), number(q["value"]), q.get("unit") or "")
            for q in implied["quantities"]
        )
        blocks.append(Table(("Linear quantity", "Value", "Unit"), rows, words=(0, 2)))
    return Part("implied", "The confounding that the fitted energy implies", tuple(blocks))


def _strengths(implied: Mapping[str, Any], decimals: int | None) -> Table:
    def signed(value: float | None) -> str:
        return number(value, decimals)

    rows = (
        ("Partial R² with the treatment", *_spread(implied["r2_treatment"], percent)),
        ("Partial R² with the outcome", *_spread(implied["r2_outcome"], percent)),
        ("Bias of the regression, with its sign", *_spread(implied["bias"], signed)),
    )
    kind = implied.get("interval") or "credible interval"
    return Table(("Hidden confounder", "Mean", f"{level_of(implied.get('level') or 0.95)} {kind}"), rows)


def _spread(found: Mapping[str, Any], form: Callable[[float | None], str]) -> tuple[str, str]:
    lower, upper = found.get("lower"), found.get("upper")
    between = MISSING if lower is None or upper is None else f"[{form(lower)}, {form(upper)}]"
    return form(found.get("mean")), between


def _prior(prior: Mapping[str, Any], question: Mapping[str, Any]) -> list[Block]:
    items = (
        ("Prior on the strength with ", question["treatment"], prior["treatment"]),
        ("Prior on the strength with ", question["outcome"], prior["outcome"]),
    )
    facts = Facts(tuple(((label, Name(name)), (str(said),)) for label, name, said in items))
    return [facts, words(prior["text"], quiet=True)]
