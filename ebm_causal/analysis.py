"""The whole walk, from a table to its findings, on one page. Start reading here."""

import time
from collections.abc import Callable
from typing import Literal

from ebm_causal.data import CausalTable
from ebm_causal.errors import ArgumentError, TableError
from ebm_causal.findings import (
    Findings,
    adjusted_estimates,
    as_plain,
    assumed_graph,
    check_graph,
    diagnostics_section,
    effects_section,
    fisher_section,
    identification_section,
    implied_section,
    question_section,
    refutations_section,
    reproduce_section,
    seeing_section,
    sensitivity_section,
    variance_section,
    verdict_section,
)
from ebm_causal.graph import CausalGraph
from ebm_causal.sensitivity import fit_hidden, omitted_variable_bias
from ebm_causal.threads import one_thread

FEWEST_ROWS = 20
Progress = Callable[[float, str], None]


@one_thread()
def analyze(
    table: CausalTable,
    graph: CausalGraph | None = None,
    latent_dim: int = 1,
    method: Literal["svi", "mcmc"] = "svi",
    seed: int = 0,
    *,
    strength: tuple[float, float] | None = None,
    strengths: int | None = None,
    progress: Progress | None = None,
    command: str | None = None,
) -> Findings:
    """Ask of a table what setting the treatment would do to the outcome, and how far the answer can be trusted.

    Estimates by adjustment stand beside what a latent energy implies in which a hidden confounder moves both
    treatment and outcome. The data do not say how strong it is: its strengths carry a prior, by default
    as strong as the strongest observed covariate, and the report leads with that.

    Args:
        table: Treatment, outcome and covariates.
        graph: The causal graph; by default covariates and a hidden z cause both treatment and outcome.
        latent_dim: The dimension of the hidden confounder.
        method: How the latent energy is fitted at the median strength: ``svi`` (collapsed) or ``mcmc``.
        seed: The same seed gives the same findings on the same machine, but for ``reproduce``.
        strength: The prior's mean partial R^2 toward treatment and outcome, if not by the covariates.
        strengths: How many strengths are drawn from the prior; a power of two.
        progress: Told the share done and what is being done.
        command: What to say in ``reproduce`` to run this again.

    Returns:
        The findings.

    Raises:
        TableError: If the table is too small, or its arms do not overlap; the message names the column.
        ArgumentError: If an option is not valid.
        IdentificationError: If the graph does not know the table's columns.

    Example:
        >>> import ebm_causal as ec
        >>> findings = ec.analyze(ec.load_dataset("lalonde-nsw"), strengths=4)
        >>> round(findings.sensitivity["robustness_value"], 6)
        0.118175

    References:
        Cinelli and Hazlett (2020), Making sense of sensitivity; Pearl (2009), Causality, chapter 3.
    """
    started, told = time.process_time(), progress or (lambda share, what: None)
    _check(table, (latent_dim, method, seed, strengths))
    graph = assumed_graph(table) if graph is None else graph
    check_graph(graph, table)

    told(0.02, "estimating by adjustment")
    adjusted, left_out = adjusted_estimates(table)
    omitted = omitted_variable_bias(table, benchmarks="all")
    identification = identification_section(table, graph)
    hidden = fit_hidden(
        table, omitted, latent_dim=latent_dim, method=method, seed=seed, strength=strength, strengths=strengths,
        progress=lambda share, what: told(0.08 + 0.72 * share, what),
    )  # fmt: skip

    told(0.8, "seeing and doing")
    effects = effects_section(table, adjusted, hidden)
    seeing = seeing_section(table, hidden, seed)
    refutations, skipped = refutations_section(
        table, seed=seed, progress=lambda share, what: told(0.85 + 0.1 * share, what)
    )
    told(0.95, "counting information")
    sensitivity = sensitivity_section(table, omitted, adjusted["regression"], hidden, seed)
    sensitivity |= {"implied": implied_section(hidden, table, omitted), "refutations": refutations}
    notes = [*left_out, *omitted.warnings, *skipped]
    diagnostics, fisher = diagnostics_section(hidden, notes), fisher_section(table, hidden, seed)
    verdict = verdict_section(table, identification, (effects, sensitivity, fisher, diagnostics))
    found = {
        "question": question_section(table, graph),
        "identification": identification,
        "effects": effects,
        "seeing_and_doing": seeing,
        "sensitivity": sensitivity,
        "variance": variance_section(table, hidden),
        "fisher": fisher,
        "diagnostics": diagnostics,
        "verdict": verdict,
        "reproduce": reproduce_section(table, command=command, seed=seed, started=started),
    }
    return Findings(**as_plain(found))


def _check(table: CausalTable, options: tuple[int, str, int, int | None]) -> None:
    if not isinstance(table, CausalTable):
        raise ArgumentError(
            f"analyze takes a CausalTable; got {type(table).__name__}. Make one with its roles."
        )
    latent_dim, method, seed, strengths = options
    if method not in ("svi", "mcmc"):
        raise ArgumentError(f"method must be 'svi' or 'mcmc'; got {method!r}.")
    for name, value, least in (("latent_dim", latent_dim, 1), ("seed", seed, 0), ("strengths", strengths, 1)):
        if value is not None and (not isinstance(value, int) or value < least):
            raise ArgumentError(f"{name} must be a whole number, {least} or more; got {value!r}.")
    if table.rows < FEWEST_ROWS:
        raise TableError(
            f"{table.rows} rows of {table.treatment!r} and {table.outcome!r} are too few for a report, which needs at "
            f"least {FEWEST_ROWS}."
        )
