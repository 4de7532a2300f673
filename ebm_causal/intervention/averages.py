"""A query's mean over imagined worlds, with its Monte Carlo error."""

import torch
from torch import Tensor

from ebm_causal.intervention.asking import Query, name_of
from ebm_causal.intervention.draws import Draws
from ebm_causal.intervention.strata import blocked
from ebm_causal.intervention.worlds import Imagined, Setting, evaluate


def drawn(setting: Setting, query: Query, imagined: tuple[Imagined, tuple[str, ...]], method: str) -> Draws:
    """The query over imagined worlds, in which some names were held."""
    world, held = imagined
    value, conditional = evaluate(setting, query, world, held)
    weights = world.weights()
    weights = weights.reshape(*weights.shape, *[1] * (conditional.ndim - weights.ndim))
    mean = (weights * conditional).sum(0)
    deviations = blocked(weights * (conditional - mean), world.blocks)
    if world.worth is not None:
        scale = (setting.draws / world.worth).sqrt().to(deviations)
        deviations = deviations * scale.reshape(1, -1, *[1] * (deviations.ndim - 2))
    weighted = bool((world.log_weights != 0).any())
    error = (deviations**2).sum(0).sqrt()
    return Draws(query=name_of(query), mean=mean, standard_error=error, deviations=deviations, method=method,
                 warnings=tuple(dict.fromkeys(setting.notes)),
                 values=_resampled(value, world, setting) if weighted else value)  # fmt: skip


def _resampled(value: Tensor, world: Imagined, setting: Setting) -> Tensor:
    index = torch.multinomial(
        world.weights().T, setting.draws, replacement=True, generator=setting.generator
    ).T
    return value.gather(0, index.reshape(*index.shape, *[1] * (value.ndim - index.ndim)).expand_as(value))
