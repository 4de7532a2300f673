"""What a fitted energy says of new rows: predictive draws of a variable."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ebm_causal.energies import Energy, mechanisms_of, normalized
from ebm_causal.gibbs import GibbsDensity, latents_left, restrict
from ebm_causal.inference import draw_rows


def predictive_draws(
    energy: Energy,
    query: str,
    given: Mapping[str, object],
    beta: float,
    generator: torch.Generator,
    *,
    draws: int,
) -> Tensor:
    """Draws ``[draws, rows, dim]`` of one variable, everything else that is not given integrated out.

    An effect without effects of its own is drawn from its mechanism, after the latents: that serves any
    dimension and any tail. Other variables are drawn from a lattice.

    Args:
        energy: A sum of mechanisms and regularizers.
        query: The variable.
        given: Rows of others.
        beta: The inverse temperature.
        generator: Drives all randomness.
        draws: How many.
    """
    whole, mechanisms = normalized(energy), mechanisms_of(energy)
    hidden = latents_left(whole, (query,), given)
    known = restrict(whole, (query, *hidden), given, beta)
    if query not in mechanisms or any(query in mechanism.parents for mechanism in mechanisms.values()):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(torch.randint(2**62, (1,), generator=generator)))
            return GibbsDensity(whole, over=query, given=given, beta=beta).sample((draws,))
    values: dict[str, Tensor] = {name: rows[None] for name, rows in known.given.items()}
    if hidden:
        rest = normalized(Energy(f for f in energy.factors.values() if f is not mechanisms[query]))
        within = restrict(rest, hidden, {k: v for k, v in known.given.items() if k in rest.variables}, beta)
        points, _ = draw_rows(within, draws, generator)
        values |= within.split(points[torch.randperm(draws, generator=generator)])
    parents = {
        p: values[p].expand(draws, known.rows, *values[p].shape[2:]) for p in mechanisms[query].parents
    }
    return mechanisms[query].sample(parents, beta, generator)
