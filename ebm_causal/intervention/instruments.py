r"""Instruments: least squares in two stages, and how strong the first one is."""

import numpy as np
from jaxtyping import Float
from scipy.special import chdtrc, fdtrc

from ebm_causal.errors import TableError
from ebm_causal.intervention.answers import Answer
from ebm_causal.intervention.columns import numeric_columns
from ebm_causal.intervention.options import Options
from ebm_causal.intervention.samples import Sample

WEAK = 10.0
"""A first-stage F below this and two-stage estimates lean toward least squares, with intervals that are too short."""

DEPENDENT = 1e-8


def by_instrument(sample: Sample, options: Options, influence: bool) -> Answer:
    r"""Two-stage least squares, after the covariates are taken out of everything.

    .. math:: \hat\delta = \frac{\hat t' y}{\hat t' t}, \qquad \hat t = Z (Z'Z)^{-1} Z' t.

    It is the effect if the instruments move the outcome through the treatment alone and nothing hidden moves
    both, and effects are the same for all; if they differ, and the instrument moves everyone one way, it is
    the mean effect of those whom it moves (Imbens and Angrist 1994).
    """
    instruments = numeric_columns(sample.table, options.instruments, "instrument")[sample.rows]
    left = _without_covariates(sample, np.column_stack([sample.treatment, sample.outcome, instruments]))
    treatment, outcome, z = left[:, 0], left[:, 1], left[:, 2:]
    z = _independent(sample, options, z)
    root = np.sqrt(sample.counts)
    basis, _ = np.linalg.qr(z * root[:, None])
    predicted = basis @ (basis.T @ (treatment * root)) / root
    moved_treatment = (sample.counts * predicted) @ treatment
    estimate = (sample.counts * predicted) @ outcome / moved_treatment
    if not influence:
        return Answer(estimates=np.array([estimate]))
    noise = outcome - estimate * treatment
    moved = len(noise) * predicted * noise / moved_treatment
    diagnostics = _first_stage(sample, treatment, predicted, z.shape[1])
    diagnostics |= _overidentified(basis, noise)
    return Answer(
        estimates=np.array([estimate]),
        influence=moved[:, None],
        kind="HC0, two-stage",
        warnings=_warnings(options, diagnostics),
        diagnostics=diagnostics,
    )


def _without_covariates(sample: Sample, values: Float[np.ndarray, "rows columns"]) -> np.ndarray:
    root = np.sqrt(sample.counts)[:, None]
    columns = sample.model.covariates * root
    values = values * root
    return (values - columns @ np.linalg.lstsq(columns, values, rcond=1e-10)[0]) / root


def _independent(
    sample: Sample, options: Options, z: Float[np.ndarray, "rows instruments"]
) -> Float[np.ndarray, "rows instruments"]:
    raw = numeric_columns(sample.table, options.instruments, "instrument")[sample.rows]
    scale = np.linalg.norm(raw - raw.mean(axis=0), axis=0)
    triangle = np.linalg.qr(z / np.where(scale > 0, scale, 1.0), mode="r")
    short = np.flatnonzero(np.abs(np.diagonal(triangle)) < DEPENDENT)
    if short.size:
        raise TableError(
            f"the instrument {options.instruments[int(short[0])]!r} has no variance left given the covariates and "
            "the instruments before it: leave it out."
        )
    return z


def _first_stage(
    sample: Sample, treatment: np.ndarray, predicted: np.ndarray, count: int
) -> dict[str, float]:
    """The F of the instruments in the regression of the treatment on them and the covariates."""
    dof = sample.size - sample.model.covariates.shape[1] - count
    unexplained = ((treatment - predicted) ** 2).sum()
    strength = (predicted**2).sum() / count / (unexplained / dof)
    explained = (predicted**2).sum() / (treatment**2).sum()
    return {
        "first-stage F": float(strength),
        "first-stage p": float(fdtrc(count, dof, strength)),
        "first-stage partial R2": float(explained),
    }


def _overidentified(basis: np.ndarray, noise: np.ndarray) -> dict[str, float]:
    """Sargan's test that instruments agree with each other, where there are more than one."""
    extra = basis.shape[1] - 1
    if extra < 1:
        return {}
    statistic = len(noise) * ((basis.T @ noise) ** 2).sum() / (noise @ noise)
    return {"Sargan": float(statistic), "Sargan p": float(chdtrc(extra, statistic))}


def _warnings(options: Options, diagnostics: dict[str, float]) -> tuple[str, ...]:
    names = ", ".join(map(repr, options.instruments))
    found = []
    if diagnostics["first-stage F"] < WEAK:
        found.append(
            f"{names} {'is a weak instrument' if len(options.instruments) == 1 else 'are weak instruments'}: the "
            f"first-stage F is {diagnostics['first-stage F']:.3g}, below {WEAK:g}. The estimate leans toward that of "
            "least squares, and its interval is too short."
        )
    if diagnostics.get("Sargan p", 1.0) < 0.05:
        found.append(
            f"the instruments {names} disagree (Sargan's p = {diagnostics['Sargan p']:.2g}): one of them moves the "
            "outcome by another way, or effects differ between those whom they move."
        )
    return tuple(found)
