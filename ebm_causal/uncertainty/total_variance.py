r"""The law of total variance for a fitted energy: what of an outcome's variance is whose."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor

from ebm_causal.calculus import parameter_jacobian
from ebm_causal.energies import Energy, Mechanism, mechanisms_of, normalized
from ebm_causal.errors import ArgumentError, ConvergenceError, EnergyError
from ebm_causal.gibbs import restrict
from ebm_causal.inference import ParameterVector, draw_rows
from ebm_causal.learning import Fit
from ebm_causal.shapes import check_count, check_seed, is_whole
from ebm_causal.threads import one_thread
from ebm_causal.uncertainty.settings import Progress, check_progress
from ebm_causal.uncertainty.values import check_fit, in_one_precision, values_by_name

EPISTEMIC = "parameters"


@dataclass(frozen=True, slots=True, kw_only=True)
class VarianceDecomposition:
    """A variance taken apart; the parts sum to the total.

    Attributes:
        query: Whose variance it is.
        total: ``[dim]`` over all rows, or ``[rows, dim]`` where rows were given.
        parts: By name, in the shape of ``total``: each cause of the query; each pair of causes, as ``cov(x, z)``,
            which may be negative; ``bending``, what is not linear in the causes; ``parameters``; ``noise``.
        standard_error: Of the part that is found by draws: all but ``parameters`` and ``noise``.
        draws: How many of the latents, for each row.
    """

    query: str
    total: Tensor
    parts: Mapping[str, Tensor]
    standard_error: Tensor
    draws: int

    @property
    def epistemic(self) -> Tensor:
        """What more rows would take away: the part of the parameters."""
        return self.parts[EPISTEMIC]

    @property
    def aleatoric(self) -> Tensor:
        """What no number of rows takes away: all the rest."""
        return self.total - self.epistemic

    @property
    def shares(self) -> Mapping[str, Tensor]:
        """The parts over the total."""
        return {name: part / self.total for name, part in self.parts.items()}

    def summary(self) -> pd.DataFrame:
        """A row per part: variance, share, and whether it is epistemic or aleatoric; columns by coordinate and row."""
        columns: dict[str, Any] = {}
        for place in itertools.product(*(range(size) for size in self.total.shape)):
            tail = f"[{', '.join(map(str, place))}]" if self.total.numel() > 1 else ""
            columns[f"variance{tail}"] = [float(part[place]) for part in self.parts.values()]
            columns[f"share{tail}"] = [float(part[place]) for part in self.shares.values()]
        frame = pd.DataFrame(columns, index=list(self.parts))
        return frame.assign(kind=["epistemic" if name == EPISTEMIC else "aleatoric" for name in self.parts])

    def plot(self, ax: Any = None, *, row: int = 0, coordinate: int = 0) -> Any:
        """The parts as a waterfall, of one coordinate and row.

        Raises:
            ArgumentError: If there is no such row or coordinate.
        """
        from ebm_causal.figures import waterfall_picture

        dim = self.total.shape[-1]
        tables = {name: part.reshape(-1, dim) for name, part in self.parts.items()}
        for name, number, size in (
            ("row", row, self.total.numel() // dim),
            ("coordinate", coordinate, dim),
        ):
            if not is_whole(number) or not 0 <= number < size:
                raise ArgumentError(f"{name} must be one of 0 to {size - 1}; got {number!r}.")
        values = [float(table[row, coordinate]) for table in tables.values()]
        return waterfall_picture(list(self.parts), values, ax=ax, label=f"variance of {self.query}")

    def __repr__(self) -> str:
        share = {name: float(part.reshape(-1)[0]) for name, part in self.shares.items()}
        shown = ", ".join(f"{name} {value:.3g}" for name, value in share.items())
        return (
            f"VarianceDecomposition({self.query}: variance {float(self.total.reshape(-1)[0]):.6g}; {shown})"
        )


class _Moments(NamedTuple):
    """Draws, rows last but one: predictions, causes, and the variances that come with each."""

    prediction: Tensor  # [draws, rows, m]
    causes: Mapping[str, Tensor]  # [draws, rows, dim] each
    noise: Tensor  # [rows, m], averaged over draws
    parameters: Tensor  # [rows, m]


@one_thread()
def decompose_variance(
    fit: Fit,
    query: str = "y",
    given: Mapping[str, object] | None = None,
    *,
    draws: int = 400,
    seed: int = 0,
    progress: Progress | None = None,
) -> VarianceDecomposition:
    r"""Take the variance of an outcome under a fitted energy apart.

    .. math::
        \mathrm{Var}(y) = E[\mathrm{Var}(y \mid x, z, \theta)] + E[\mathrm{Var}_\theta(\hat y)]
        + b_x^2\mathrm{Var}(x) + b_z^2\mathrm{Var}(z) + 2 b_x b_z\mathrm{Cov}(z, x) + \text{bending}

    with :math:`\hat y(x, z, \theta)` the mean of the outcome's mechanism and b its best linear slopes in the causes,
    as in the note, the covariance of z and x included: z is drawn from its density given x. The parameters' part
    takes their covariance to first order, and holds where a fit has one. Without ``given`` the causes vary over the
    rows of the fit; with it they stand, and only what is hidden varies.

    Args:
        fit: A fitted energy with a covariance of its parameters.
        query: A variable with a mechanism and without effects of its own.
        given: Rows of causes that are held, by name.
        draws: Of the latents, for each row.
        seed: Of the draws.
        progress: Told the share done and what is being done.

    Returns:
        The parts.

    Raises:
        EnergyError: If the query has no mechanism or has effects, a cause is missing, or the mechanism's law has no
            variance.
        ArgumentError: If the parameters have no covariance, as where the data do not identify them.
        ConvergenceError: If the fit has not converged, or the latents cannot be drawn.

    Example:
        >>> import ebm_causal as ec, torch
        >>> energy = ec.LinearGaussianEnergy(torch.ones(1, 1), torch.ones(1, 1))
        >>> rows = torch.randn(50, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        >>> fit = ec.fit(energy, {"x": rows, "y": 2 * rows}, fixed=("latent_weight", "scale"), method="map")
        >>> sorted(decompose_variance(fit, given={"x": [[1.0]]}).parts)
        ['bending', 'noise', 'parameters', 'z']

    References:
        Hora (1996), Aleatory and epistemic uncertainty in probability elicitation; JCGM 100:2008 (GUM), equation 13.
    """
    check_count("draws", draws, least=2)
    check_seed(seed)
    check_progress(progress)
    check_fit(fit)
    tell = progress or (lambda share, what: None)
    if fit.covariance is None:
        raise ArgumentError(
            "the parameters of the fit have no covariance: the data do not identify them, or the fit computed none. "
            "Give priors, or name what is to stay in fixed=."
        )
    mechanism = _mechanism(fit.energy, query)
    seen = {k: v for k, v in fit.data.items() if k != query}
    (held,) = in_one_precision(fit.energy, seen if given is None else values_by_name("given", given))
    tell(0.0, "drawing latents")
    values = _draws(fit, mechanism, held, draws, torch.Generator().manual_seed(seed))
    tell(0.5, f"derivatives of {query}")
    moments = _moments(fit, mechanism, values)
    tell(1.0, "variances")
    if given is None:
        moments = _pooled(moments)
    parts, error = _parts(moments)
    if given is None:
        parts, error = {name: part[0] for name, part in parts.items()}, error[0]
    total = torch.stack(list(parts.values())).sum(0)
    return VarianceDecomposition(
        query=query, total=total, parts=parts, standard_error=error, draws=draws
    )  # fmt: skip


def _mechanism(energy: Energy, query: str) -> Mechanism:
    mechanisms = mechanisms_of(energy)
    if not isinstance(query, str) or query not in mechanisms:
        raise EnergyError(f"{query!r} has no mechanism; those with one are {list(mechanisms)}.")
    effects = [child for child, other in mechanisms.items() if query in other.parents]
    if effects:
        raise EnergyError(f"{query!r} has effects of its own, {effects}: ask for a variable without.")
    return mechanisms[query]


def _draws(
    fit: Fit, mechanism: Mechanism, held: Mapping[str, object], draws: int, generator: torch.Generator
) -> dict[str, Tensor]:
    """Values of the mechanism's causes, ``[draws, rows, dim]``."""
    whole = normalized(Energy(f for f in fit.energy.factors.values() if f is not mechanism))
    whole.learn_dims_of(fit.energy)
    hidden = [name for name in fit.latents if name in mechanism.parents]
    missing = [name for name in mechanism.parents if name not in held and name not in hidden]
    if missing:
        raise EnergyError(
            f"{missing[0]!r} is a cause of {mechanism.child!r} and neither latent nor given: give it."
        )
    energy = fit.energy
    rest = [name for name in energy.variables if name not in held and name != mechanism.child]
    known = restrict(energy, (mechanism.child, *rest), held, fit.beta)
    values = {name: rows[None] for name, rows in known.given.items()}
    if hidden:
        over = [name for name in whole.variables if name not in held]
        within = restrict(
            whole, over, {k: v for k, v in known.given.items() if k in whole.variables}, fit.beta
        )
        points, failed = draw_rows(within, draws, generator)
        if failed:
            raise ConvergenceError(
                f"the density of {over} in rows {list(failed[:5])} could not be drawn from."
            )
        values |= within.split(points.to(known.like))
    return {
        name: values[name].expand(draws if hidden else 1, known.rows, *values[name].shape[2:])
        for name in mechanism.parents
    }


def _moments(fit: Fit, mechanism: Mechanism, values: Mapping[str, Tensor]) -> _Moments:
    vector = ParameterVector(fit.energy)
    columns = [vector.labels.index(label) for label in fit.labels]
    prediction = mechanism.mean(values, fit.beta)
    noise = _noise(mechanism, values, fit.beta).expand(prediction.shape).detach().mean(0)
    covariance = fit.covariance
    if covariance is None or not prediction.requires_grad:
        parameters = torch.zeros_like(noise)
    else:
        jacobian = parameter_jacobian(prediction, vector.tensors)[..., columns].to(covariance)
        parameters = ((jacobian @ covariance) * jacobian).sum(-1).mean(0)
    causes = {name: value.flatten(2) for name, value in values.items()}
    return _Moments(prediction.detach(), causes, noise, parameters)


def _noise(mechanism: Mechanism, values: Mapping[str, Tensor], beta: float) -> Tensor:
    law = mechanism.distribution(values, beta)
    try:
        variance = law.variance if law is not None else None
    except NotImplementedError:
        variance = None
    if variance is None or not bool(variance.isfinite().all()):
        raise EnergyError(
            f"the law of {mechanism.child!r} given its causes has no finite variance that is known: its variance "
            "cannot be taken apart."
        )
    return variance


def _pooled(moments: _Moments) -> _Moments:
    """All rows as draws of one."""
    together = {name: value.flatten(0, 1)[:, None] for name, value in moments.causes.items()}
    return _Moments(
        moments.prediction.flatten(0, 1)[:, None], together,
        moments.noise.mean(0, keepdim=True), moments.parameters.mean(0, keepdim=True),
    )  # fmt: skip


def _parts(moments: _Moments) -> tuple[dict[str, Tensor], Tensor]:
    """The parts of each row's variance, ``[rows, m]``, and the standard error of what is found by draws."""
    apart = moments.prediction - moments.prediction.mean(0)
    causes = {name: value - value.mean(0) for name, value in moments.causes.items()}
    varying = {name: value for name, value in causes.items() if bool((value.abs() > 0).any())}
    variance = (apart**2).mean(0)
    error = ((apart**2).var(0, correction=0) / len(apart)).sqrt()
    parts = _linear(apart, varying) if varying else {}
    parts["bending"] = variance - sum(parts.values(), torch.zeros_like(variance))
    return {**parts, EPISTEMIC: moments.parameters, "noise": moments.noise}, error


def _linear(apart: Tensor, causes: Mapping[str, Tensor]) -> dict[str, Tensor]:
    joined = torch.cat(list(causes.values()), -1)
    sigma = torch.einsum("sri,srj->rij", joined, joined) / len(joined)
    cross = torch.einsum("srk,sri->rki", apart, joined) / len(joined)
    scale = sigma.diagonal(dim1=-2, dim2=-1)
    scale = torch.where(scale > 0, scale, torch.ones_like(scale)).rsqrt()
    scaled = scale[..., :, None] * sigma * scale[..., None, :]
    slopes = (cross * scale[..., None, :]) @ torch.linalg.pinv(scaled, hermitian=True) * scale[..., None, :]
    sizes = [value.shape[-1] for value in causes.values()]
    effects = {
        name: torch.einsum("sri,rki->srk", value, slope)
        for (name, value), slope in zip(causes.items(), slopes.split(sizes, -1), strict=True)
    }
    parts = {name: (effect**2).mean(0) for name, effect in effects.items()}
    for one, other in itertools.combinations(effects, 2):
        parts[f"cov({one}, {other})"] = 2 * (effects[one] * effects[other]).mean(0)
    return parts
