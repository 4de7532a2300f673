"""Policies in a Pyro model: a site that is set by rule, or moved from the value that would have been."""

from collections.abc import Mapping
from typing import Any

from pyro.poutine.messenger import Messenger
from torch import Tensor

from ebm_causal.energies import Mechanism
from ebm_causal.errors import EnergyError
from ebm_causal.intervention.asking import arguments_named
from ebm_causal.intervention.policies import Policy
from ebm_causal.intervention.pyro_sites import Site


class Led(Messenger):
    """Runs a model in which some sites follow policies: what comes after meets what these set.

    A policy's arguments are named after sites that the model draws before, or the site itself: its value that
    would have been. They come as they are in the model, with the draws in front.

    Args:
        policies: By site.
        sites: Of the model.
        done: Sites that are set to numbers, which policies meet.
    """

    def __init__(
        self, policies: Mapping[str, Policy], sites: Mapping[str, Site], done: Mapping[str, Tensor]
    ) -> None:
        super().__init__()
        self.sites, self.policies = sites, policies
        self.looked = {
            name: arguments_named(policy, f"policy of {name!r}") for name, policy in policies.items()
        }
        self.known: dict[str, Tensor] = dict(done)
        self.set: dict[str, Tensor] = {}
        self._held = frozenset(done)

    def _pyro_post_sample(self, msg: Any) -> None:
        name = msg["name"]
        if name not in self.sites or name in self._held:
            return
        self.known[name] = msg["value"]
        if name in self.policies:
            self.set[name] = self.known[name] = msg["value"] = self._obeyed(name, msg["value"])

    def _obeyed(self, name: str, natural: Tensor) -> Tensor:
        late = [other for other in self.looked[name] if other not in self.known]
        if late:
            raise EnergyError(
                f"the policy of {name!r} looks at {late[0]!r}, which the model draws after {name!r}: it can look at "
                "what comes before, and at the value that would have been."
            )
        led = self.policies[name](**{other: self.known[other] for other in self.looked[name]})
        if not isinstance(led, Tensor) or not _fits(led, natural):
            found = list(led.shape) if isinstance(led, Tensor) else type(led).__name__
            raise EnergyError(
                f"the policy of {name!r} must give {list(natural.shape)}, as the site has; got {found}."
            )
        self.sites[name].refuse_outside(name, led)
        return led.to(natural.dtype).expand(natural.shape)


def refuse_other_rules(sites: Mapping[str, Site], soft: Mapping[str, Any]) -> None:
    """Refuse policies that look at what is no site, and new laws.

    Raises:
        EnergyError: Naming the site.
    """
    for name, policy in soft.items():
        if isinstance(policy, Mechanism):
            raise EnergyError(
                f"a new law of {name!r} is written into the Pyro model; a Mechanism is for energies."
            )
        for other in arguments_named(policy, f"policy of {name!r}"):
            if other not in sites:
                raise EnergyError(
                    f"the policy of {name!r} takes {other!r}, which is no site; name its arguments after some of "
                    f"{list(sites)}."
                )


def _fits(led: Tensor, natural: Tensor) -> bool:
    """Whether it can be spread to the shape that the site has."""
    padded = (1,) * (natural.ndim - led.ndim) + tuple(led.shape)
    return len(padded) == natural.ndim and all(
        a in (1, b) for a, b in zip(padded, natural.shape, strict=True)
    )
