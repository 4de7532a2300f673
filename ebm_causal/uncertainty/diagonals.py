"""The diagonal of a fit's curvature, for more parameters than a matrix holds."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.distributions import Distribution

from ebm_causal.energies import find_parameters, mechanisms_of
from ebm_causal.errors import ArgumentError, EnergyError
from ebm_causal.learning import Fit
from ebm_causal.uncertainty.approximations import fitted_parameters
from ebm_causal.uncertainty.matrix_free import fisher_operator

Priors = Mapping[str, Distribution] | None


def diagonal_curvature(fit: Fit, priors: Priors) -> Tensor:
    """The diagonal of the Gauss-Newton curvature at the data and of the priors', in the order of the fit's labels.

    Args:
        fit: Without latents.
        priors: Those of the fit again, which keeps them in words alone.

    Raises:
        EnergyError: If a parameter is in no prediction, as a scale.
        ArgumentError: If the priors are not the fit's, one joins several parameters, or too many parameters are
            outside of linear layers.
    """
    laws = _same_priors(fit, priors)
    vector = fitted_parameters(fit, fit.energy)
    children = tuple(name for name in mechanisms_of(fit.energy) if name in fit.data)
    data = {name: value for name, value in fit.data.items() if name in fit.energy.variables}
    given = {name: value for name, value in data.items() if name not in children}
    seen = {name: data[name] for name in children}
    try:
        operator = fisher_operator(fit.energy, vector.names, children, given, "ggn", data=seen, beta=fit.beta)
    except EnergyError as error:
        raise EnergyError(f"{error} In a fit: name it in fixed=.") from error
    return operator.diagonal().to(torch.float64) + torch.cat(
        [
            _prior_curvature(laws, name, tensor)
            for name, tensor in zip(vector.names, vector.tensors, strict=True)
        ]
    )


def _same_priors(fit: Fit, priors: Priors) -> dict[str, Distribution]:
    found = {find_parameters(fit.energy, [name])[0]: law for name, law in (priors or {}).items()}
    told = {name: str(law) for name, law in found.items()}
    if told != dict(fit.priors):
        raise ArgumentError(
            f"a fit keeps its priors in words alone, {dict(fit.priors)}: give the same in priors=; got {told}."
        )
    return found


def _prior_curvature(laws: Mapping[str, Distribution], name: str, tensor: Tensor) -> Tensor:
    """Minus the second derivatives of a parameter's log prior."""
    if name not in laws:
        return torch.zeros(tensor.numel(), dtype=torch.float64)
    if laws[name].event_shape:
        raise ArgumentError(
            f"the prior of {name!r} joins its coordinates, which a diagonal does not serve: take 'full'."
        )
    with torch.enable_grad():
        leaf = tensor.detach().to(torch.float64).requires_grad_()
        (slope,) = torch.autograd.grad(laws[name].log_prob(leaf).sum(), leaf, create_graph=True)
        if not slope.requires_grad:
            return torch.zeros(tensor.numel(), dtype=torch.float64)
        (bend,) = torch.autograd.grad(slope.sum(), leaf)
    return -bend.reshape(-1)
