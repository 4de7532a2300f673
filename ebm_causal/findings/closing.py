"""Parts 10 to 12: the health of the fits, the verdict, and how to reproduce it all."""

import datetime
import math
import platform
import time
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from torch import Tensor

from ebm_causal.data import CausalTable
from ebm_causal.findings.estimates import holds_zero, on_side
from ebm_causal.findings.plain import amount
from ebm_causal.sensitivity import Hidden

SMALL = 0.05
THRESHOLD = (
    "Robust means that there are covariates, and all three: a confounder as strong as any one observed covariate would "
    "leave the 95% interval of the regression on its side of zero; one that explains "
    f"{SMALL:.0%} of the residual variance of both treatment and outcome would too; and the interval of do() under the "
    "latent energy is on that side too. Otherwise fragile. Not identified means that the graph gives no adjustment "
    "even if nothing is hidden."
)


def diagnostics_section(hidden: Hidden, warnings: Sequence[str]) -> dict[str, Any]:
    """Whether the fits arrived; no verdict where they did not."""
    fit, fits = hidden.fit, hidden.fits
    arrived = int(fits.converged.sum())
    checks: list[dict[str, Any]] = [
        {
            "name": "fit at the median strength", "value": None, "threshold": None,
            "ok": bool(fit.diagnostics.converged), "text": fit.diagnostics.text,
        },
        {
            "name": "fits over the prior that arrived", "value": arrived, "threshold": len(fits.strengths),
            "ok": arrived == len(fits.strengths), "text": "",
        },
        {
            "name": "effect without a confounder against the regression, in standard errors",
            "value": _shift(hidden), "threshold": None, "ok": True,
            "text": "large where a Student-t or Bernoulli cost asks another question than least squares",
        },
    ]  # fmt: skip
    if fit.draws is not None:
        worst, least = (
            float(fit.chain_statistics["r_hat"].max()),
            float(fit.chain_statistics["ess_bulk"].min()),
        )
        checks.append(
            {"name": "largest R-hat", "value": worst, "threshold": 1.05, "ok": worst < 1.05, "text": ""}
        )
        checks.append(
            {"name": "least bulk ESS", "value": least, "threshold": 100.0, "ok": least > 100, "text": ""}
        )
        if fit.curvature is not None:
            checks.append(_laplace_check(hidden, fit.draws, fit.curvature))
    return {
        "ok": all(check["ok"] for check in checks) and not fit.diagnostics.warnings,
        "method": f"{fit.method}, {fit.guide}",
        "checks": checks,
        "warnings": [*fit.diagnostics.warnings, *hidden.notes, *warnings],
    }


def verdict_section(
    table: CausalTable,
    identification: dict[str, Any],
    sections: tuple[list[dict[str, Any]], dict[str, Any], dict[str, Any], dict[str, Any]],
) -> dict[str, Any]:
    """The answer in plain words; none where the diagnostics fail."""
    effects, sensitivity, fisher, diagnostics = sections
    by_method = {row["method"]: row for row in effects}
    lead = (
        f"If something hidden moves both {table.treatment} and {table.outcome}, these data do not identify the effect: "
        f"they leave {fisher['size'] - fisher['rank']} of {fisher['size']} directions of the latent energy open, "
        "along which the effect moves with the strength of what is hidden. That strength has a stated prior; all "
        "that rests on it is implied by the model."
    )
    answer = _answer(identification, by_method, sensitivity, diagnostics)
    words = {
        None: "No verdict: the fit of the latent energy did not pass its checks (see its health)."
        if identification["moves"]
        else f"By the stated graph {table.treatment} does not move {table.outcome}: the effect is zero whatever "
        "the data say, and what the estimates show is chance or confounding.",
        "not identified": "By the stated graph the covariates do not answer the question, even if nothing is hidden.",
    }
    text = words.get(answer) or _in_words(table, by_method, sensitivity)
    return {"answer": answer, "text": text, "threshold": THRESHOLD, "lead": lead}


def reproduce_section(
    table: CausalTable, *, command: str | None, seed: int, started: float
) -> dict[str, Any]:
    """Versions, seed, hash of the data, and the processor's time since ``started``."""
    packages = ("ebm-causal", "torch", "pyro-ppl", "dowhy", "arviz", "networkx", "numpy", "scipy", "pandas")
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    return {
        "command": command,
        "seed": seed,
        "versions": {"python": platform.python_version()} | {name: version(name) for name in packages},
        "data_sha256": table.sha256,
        "seconds": round(time.process_time() - started, 2),
        "created": now.isoformat(),
    }


def _shift(hidden: Hidden) -> float:
    fits = hidden.fits
    least_squares = hidden.least_squares
    return abs(fits.unconfounded - least_squares[0]) / least_squares[1]


def _laplace_check(hidden: Hidden, draws: Tensor, curvature: Tensor) -> dict[str, Any]:
    """The effect's standard deviation by MCMC against that of the quadratic fit at the mode."""
    index = hidden.fit.labels.index("y.decoder.effect")
    sampled = float(draws.flatten(0, 1)[:, index].std())
    ratio = sampled / math.sqrt(float(curvature.inverse()[index, index]))
    return {"name": "effect's sd, chains over quadratic fit", "value": ratio, "threshold": None,
            "ok": 0.75 < ratio < 1.33, "text": "must be between 0.75 and 1.33"}  # fmt: skip


def _answer(
    identification: dict[str, Any],
    effects: dict[str, dict[str, Any]],
    sensitivity: dict[str, Any],
    diagnostics: dict[str, Any],
) -> str | None:
    if identification["kind"] in ("unidentified", "iv"):
        return "not identified"
    if not diagnostics["ok"] or not identification["moves"]:
        return None
    once = [row for row in sensitivity["benchmarks"] if row["multiple"] == 1]
    sign = math.copysign(1.0, sensitivity["estimate"])
    survives = bool(once) and all(on_side(row, sign) for row in once)
    strong = sensitivity["robustness_value_alpha"] >= SMALL
    return "robust" if survives and strong and on_side(effects["latent_do"], sign) else "fragile"


def _in_words(table: CausalTable, effects: dict[str, dict[str, Any]], sensitivity: dict[str, Any]) -> str:
    found, latent = effects["regression"], effects["latent_do"]
    strong = f"A hidden confounder that explains {sensitivity['robustness_value']:.2%} of the residual variance of both"
    said = [
        f"Regression on the covariates finds {_number(found)}.",
        f"{strong} {table.treatment} and {table.outcome} would bring it to zero{_compared(sensitivity)}.",
        f"With a confounder of the stated strengths, do() gives {_number(latent)}.",
    ]
    if holds_zero(found):
        said.insert(1, "Its interval holds zero even if nothing is hidden.")
    if not sensitivity["benchmarks"]:
        said.append(
            "Nothing was adjusted for, and there is no covariate to say how strong a confounder may be."
        )
    if "experiment" in effects:
        said.append(f"The experiment found {amount(effects['experiment']['estimate'])}.")
    return " ".join(said)


def _compared(sensitivity: dict[str, Any]) -> str:
    once = [
        row
        for row in sensitivity["benchmarks"]
        if row["multiple"] == 1 and row["adjusted_estimate"] is not None
    ]
    estimate = sensitivity["estimate"]
    if not once:
        return ""
    worst = min(once, key=lambda row: row["adjusted_estimate"] * math.copysign(1, estimate))
    left = worst["adjusted_estimate"]
    return f"; one as strong as {worst['benchmark']} would turn it into {amount(left)}"


def _number(row: dict[str, Any]) -> str:
    return f"{amount(row['estimate'])} ({row['level']:.0%} interval {amount(row['lower'])} to {amount(row['upper'])})"
