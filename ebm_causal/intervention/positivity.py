"""Where the arms do not meet: the region of the covariates in which hardly a row could have had the other arm."""

import numpy as np
from jaxtyping import Float
from scipy.special import expit

from ebm_causal.data import CausalTable, Factor
from ebm_causal.errors import ConvergenceError, TableError
from ebm_causal.intervention.overlap import refuse_separated_columns
from ebm_causal.intervention.propensities import fit_logit, scaled_columns

EXTREME = 0.01
"""A chance of an arm below this is one row in a hundred: what the other arm does there is a guess."""

SHARE = 0.01  # of the rows with so small a chance; below it nobody needs a warning
MOST = 3e8  # products in a step of Newton's method, a third of a second
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


def unmet_warnings(table: CausalTable, inside: np.ndarray, target: str) -> tuple[str, ...]:
    """For a model of the outcome, which goes on where the arms do not meet: warn where that is, by column or region.

    The chance of an arm is that of a logit, fitted to say this alone, up to ``MOST`` products a step.
    """
    if table.treatment_kind != "binary":
        return ()
    try:
        refuse_separated_columns(table)
        if table.rows * table.design.columns**2 > MOST:
            return ()
        columns = scaled_columns(table)[0]
        chance = expit(columns @ fit_logit(columns, table.treatment_values)[0])
    except ConvergenceError:
        return ()
    except TableError as error:
        return (f"The estimate rests on the model alone where the arms do not meet: {error}",)
    return positivity_warnings(table, chance, inside, target)


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
