"""Findings: everything a report may say, section by section, and the value that holds it."""

from ebm_causal.findings.closing import diagnostics_section, reproduce_section, verdict_section
from ebm_causal.findings.doubts import refutations_section, sensitivity_section
from ebm_causal.findings.estimates import adjusted_estimates, effects_section
from ebm_causal.findings.findings import Findings
from ebm_causal.findings.hidden import implied_section
from ebm_causal.findings.informed import fisher_section, variance_section
from ebm_causal.findings.plain import as_plain
from ebm_causal.findings.question import (
    assumed_graph,
    check_graph,
    identification_section,
    question_section,
)
from ebm_causal.findings.seeing import seeing_section

__all__ = [
    "Findings",
    "adjusted_estimates",
    "as_plain",
    "assumed_graph",
    "check_graph",
    "diagnostics_section",
    "effects_section",
    "fisher_section",
    "identification_section",
    "implied_section",
    "question_section",
    "refutations_section",
    "reproduce_section",
    "seeing_section",
    "sensitivity_section",
    "variance_section",
    "verdict_section",
]
