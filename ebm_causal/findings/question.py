"""Parts 1 and 2: what is asked, and whether the graph answers it."""

from typing import Any

from ebm_causal.data import CausalTable
from ebm_causal.errors import IdentificationError
from ebm_causal.graph import CausalGraph, Estimand, check_identification, identify

LATENT = "z"


def assumed_graph(table: CausalTable) -> CausalGraph:
    """The graph that a table's roles stand for: covariates cause both, the treatment the outcome, and z both."""
    latent = latent_name(table)
    both = [(name, side) for name in (*table.covariates, latent) for side in (table.treatment, table.outcome)]
    return CausalGraph([*both, (table.treatment, table.outcome)], latents=[latent])


def latent_name(table: CausalTable) -> str:
    """A name for the hidden confounder that no column has."""
    name = LATENT
    while name in (table.treatment, table.outcome, *table.covariates):
        name += "'"
    return name


def check_graph(graph: CausalGraph, table: CausalTable) -> None:
    """Refuse a graph that does not know the table's roles.

    Raises:
        IdentificationError: Naming the first column that is not an observed node.
    """
    for name in (table.treatment, table.outcome, *table.covariates):
        if name not in graph.observed:
            raise IdentificationError(
                f"{name!r} has a role in the table but is not an observed node of the graph."
            )


def question_section(table: CausalTable, graph: CausalGraph) -> dict[str, Any]:
    """What is asked of which rows."""
    roles = {table.treatment: "treatment", table.outcome: "outcome"} | dict.fromkeys(graph.latents, "latent")
    binary = table.treatment_kind == "binary"
    change = (
        f"were set to {table.treatment_levels[1]} rather than {table.treatment_levels[0]}"
        if table.treatment_levels
        else "were set one unit higher"
    )
    return {
        "text": f"By how much would {table.outcome} change if {table.treatment} {change} for everyone?",
        "treatment": table.treatment,
        "outcome": table.outcome,
        "covariates": list(table.covariates),
        "treatment_kind": table.treatment_kind,
        "treatment_levels": list(table.treatment_levels) if table.treatment_levels else None,
        "outcome_kind": table.outcome_kind,
        "rows_read": table.rows_read,
        "rows": table.rows,
        "treated_rows": int(table.treatment_values.sum()) if binary else None,
        "dropped": [{"column": d.column, "rows": d.rows, "reason": d.reason} for d in table.dropped],
        "name": table.name,
        "source": table.source,
        "graph": {
            "nodes": [{"name": name, "role": roles.get(name, "covariate")} for name in graph.nodes],
            "edges": [list(edge) for edge in graph.edges],
        },
    }


def identification_section(table: CausalTable, graph: CausalGraph) -> dict[str, Any]:
    """Whether the question is answered without the hidden confounder, and with it, and who checked."""
    visible = without_latents(graph)
    open_book, whole = (
        identify(visible, table.treatment, table.outcome),
        identify(graph, table.treatment, table.outcome),
    )
    enough = covariates_suffice(visible, table)
    text = f"If nothing hidden moves both: {open_book.text}"
    if not enough:
        text += (
            " The table's covariates are not such a set, so that its estimates do not answer the question."
        )
    return {
        "kind": open_book.kind if enough else "unidentified",
        "adjustment_set": list(table.covariates) if enough else [],
        "text": text,
        "moves": table.outcome in graph.descendants(table.treatment),
        "checks": [_checked(visible, table)],
        "with_latent": {"kind": whole.kind, "text": _with_latent(whole, graph, table)},
    }


def without_latents(graph: CausalGraph) -> CausalGraph:
    """The graph as it were if nothing in it were hidden."""
    edges = [edge for edge in graph.edges if not set(edge) & set(graph.latents)]
    return CausalGraph(edges)


def covariates_suffice(graph: CausalGraph, table: CausalTable) -> bool:
    """Whether the table's covariates meet the back-door criterion in a graph without latents."""
    effects = set(graph.descendants(table.treatment))
    if effects & set(table.covariates):
        return False
    cut = CausalGraph(
        [edge for edge in graph.edges if edge[0] != table.treatment]
        or [(table.treatment + "'", table.treatment)]
    )
    if table.outcome not in cut.nodes or table.treatment not in cut.nodes:
        return True
    known = [name for name in table.covariates if name in cut.nodes]
    return cut.d_separated(table.treatment, table.outcome, known)


def _checked(graph: CausalGraph, table: CausalTable) -> dict[str, Any]:
    check = check_identification(graph, table.treatment, table.outcome)
    return {"by": check.by, "agrees": check.agrees, "text": check.text}


def _with_latent(whole: Estimand, graph: CausalGraph, table: CausalTable) -> str:
    hidden = ", ".join(graph.latents)
    if whole.kind == "unidentified":
        return (
            f"With {hidden} hidden, {whole.text}. Estimates that adjust for the covariates answer the question only "
            f"as far as what is hidden moves {table.treatment} or {table.outcome} weakly: the rest asks how weakly."
        )
    return f"Even with {hidden or 'what is'} hidden: {whole.text}"
