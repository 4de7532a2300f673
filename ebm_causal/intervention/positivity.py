"""Where the arms do not meet: the region of the covariates in which hardly a row could have had the other arm."""

import numpy as np
from jaxtyping import Float

from ebm_causal.data import CausalTable, Factor

EXTREME = 0.01
"""A chance of an arm below this is one row in a hundred: what the other arm does there is a guess."""

SHARE = 0.01  # of the rows with so small a chance; below it nobody needs a warning
CUTS = 32
CONDITIONS = 3
WORTH = 0.03  # what a further condition must add

Condition = tuple[str, np.ndarray]


def positivity_warnings(
    table: CausalTable, chance: Float[np.ndarray, " rows"], inside: np.ndarray, target: str
) -> tuple[str, ...]:
    """Warn, by region, where the chance of an arm that the target needs is below one in a hundred."""
    warnings = []
    for called, own, needed in (("treated", chance, "ate atc"), ("untreated", 1 - chance, "ate att")):
        far = (own < EXTREME) & inside
        if target not in needed or far.sum() <= SHARE * inside.sum():
            continue
        words, there = region(table, far, inside)
        arm = table.treatment_values == (called == "treated")
        warnings.append(
            f"{int(far.sum())} of {int(inside.sum())} rows have a chance below {EXTREME:g} to be {called}. Mostly "
            f"where {words}: of {int(there.sum())} rows there, {int((arm & there).sum())} are {called}. "
            "The effect there rests on the model."
        )
    return tuple(warnings)


def region(table: CausalTable, far: np.ndarray, inside: np.ndarray) -> tuple[str, np.ndarray]:
    """The box of up to three conditions on covariates that tells rows of one kind from the others best.

    Each condition is the one that most raises the share of the kind that is in the box, less the share of the
    others that is.
    """
    candidates = _conditions(table)
    others = inside & ~far
    there, words, best = inside.copy(), list[str](), 0.0
    for _ in range(CONDITIONS):
        scores = [_told_apart(there & holds, far, others) for _, holds in candidates]
        if not scores or max(scores) <= best + WORTH:
            break
        best = max(scores)
        name, holds = candidates[scores.index(best)]
        words.append(name)
        there = there & holds
    return (" and ".join(words) if words else "the covariates are as in most rows"), there


def _told_apart(there: np.ndarray, far: np.ndarray, others: np.ndarray) -> float:
    hit, missed = (there & far).sum() / max(far.sum(), 1), (there & others).sum() / max(others.sum(), 1)
    return float(hit - missed)


def _conditions(table: CausalTable) -> list[Condition]:
    found: list[Condition] = []
    for block in table.design.blocks:
        if isinstance(block, Factor):
            found += [
                (f"{block.source} is {name!r}", block.codes == i) for i, name in enumerate(block.levels)
            ]
            found += [
                (f"{block.source} is not {name!r}", block.codes != i) for i, name in enumerate(block.levels)
            ]
            continue
        values = block.values[:, 0]
        if len(np.unique(values)) == 2:
            found += [(f"{block.source} is {level:g}", values == level) for level in np.unique(values)]
            continue
        for cut in np.unique(np.quantile(values, np.linspace(0, 1, CUTS + 1)[1:-1])):
            found += [
                (f"{block.source} > {cut:g}", values > cut),
                (f"{block.source} <= {cut:g}", values <= cut),
            ]
    return found
