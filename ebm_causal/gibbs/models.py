"""An energy as a Pyro model: mechanisms are sample sites, as SVI, NUTS, ``do`` and ``Predictive`` need them."""

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, ClassVar

import pyro
import torch
from pyro.distributions import TorchDistribution
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor
from torch.distributions import constraints

from ebm_causal.energies import (
    Energy,
    Mechanism,
    Regularizer,
    Temperature,
    causal_order,
    like_of,
    mechanisms_of,
    prior_groups,
    undirected_of,
)
from ebm_causal.errors import EnergyError, IdentificationError
from ebm_causal.gibbs.density import GibbsDensity
from ebm_causal.gibbs.temperatures import single_or_schedule
from ebm_causal.shapes import Betas, as_rows, broadcast_shapes, check_count, common_rows


class ConditionalLaw(TorchDistribution):
    r"""The law of a child given its parents where its cost has no Pyro distribution: normalized by quadrature.

    Args:
        mechanism: The mechanism.
        parents: The parents' values, ``[*batch, dim]`` each.
        beta: The inverse temperature, or one for each entry of the batch.
    """

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {}

    def __init__(self, mechanism: Mechanism, parents: dict[str, Tensor], beta: Temperature) -> None:
        self.mechanism, self.parents, self.beta = mechanism, parents, beta
        shape = mechanism.variables[mechanism.child].shape or (1,)
        each = beta.shape if isinstance(beta, Tensor) else ()
        batch = broadcast_shapes(mechanism.predict(parents).shape[:-1], each)
        super().__init__(batch, torch.Size(shape), validate_args=False)

    @constraints.dependent_property(is_discrete=False, event_dim=1)
    def support(self):
        """The child's support."""
        return constraints.independent(self.mechanism.variables[self.mechanism.child].support, 1)

    def log_prob(self, value: Tensor) -> Tensor:
        """The normalized log density."""
        cost = self.mechanism.term({**self.parents, self.mechanism.child: value})
        return -self.beta * cost - self.mechanism.log_normalizer(self.parents, self.beta)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draws by quadrature; Pyro's seed governs them."""
        generator = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
        draws = [
            self.mechanism.sample(self.parents, self.beta, generator) for _ in range(math.prod(sample_shape))
        ]
        return torch.stack(draws).reshape(*sample_shape, *self.batch_shape, *self.event_shape)

    def expand(self, batch_shape: Any, _instance: Any = None) -> "ConditionalLaw":
        """The same law over a larger batch, as plates ask for."""
        if torch.Size(batch_shape) == self.batch_shape:
            return self
        parents = {name: value.expand(*batch_shape, value.shape[-1]) for name, value in self.parents.items()}
        beta = self.beta.expand(batch_shape) if isinstance(self.beta, Tensor) else self.beta
        return ConditionalLaw(self.mechanism, parents, beta)


def pyro_model(
    energy: Energy, *, beta: Betas = 1.0, rows: int | None = None
) -> Callable[..., dict[str, Tensor]]:
    """The energy as a Pyro model, with locally normalized mechanisms.

    Each mechanism is a ``pyro.sample`` site with its distribution where the cost has one, and with a
    density normalized by quadrature where not; each regularizer is a prior. Never a bare factor, which
    ``Predictive`` and ``do`` would ignore. Everything stands in one plate over the rows; the parameters
    are registered by ``pyro.module``. A schedule of beta is one more plate, to the left, called ``beta``: the model
    at each temperature side by side, its log density the sum of theirs.

    Args:
        energy: An energy of mechanisms and regularizers.
        beta: The inverse temperature, or a schedule of them.
        rows: How many rows to draw where no data are given.

    Returns:
        ``model(**data)``: data ``[rows, dim]`` by name are observed, at every beta alike, what is left out is drawn.
        A variable without mechanism and regularizer must be given. It returns the values of all variables,
        ``[rows, dim]``, or ``[betas, rows, dim]`` for a schedule.

    Raises:
        ArgumentError: If beta is neither positive nor a schedule, or ``rows`` is no positive whole number.
        EnergyError: If it is no energy.
        IdentificationError: If a factor is neither a mechanism nor a regularizer: its normalizer depends
            on the parameters and on the other variables, and a density without it may not be used to learn.

    Example:
        >>> import ebm_causal as ec, pyro, torch
        >>> energy = ec.Mechanism("x", "z", lambda z: z, ec.SquaredError()) + ec.GaussianRegularizer(1)
        >>> sorted(pyro.poutine.trace(ec.pyro_model(energy, rows=3)).get_trace().stochastic_nodes)
        ['rows', 'x', 'z']
    """
    if not isinstance(energy, Energy):
        raise EnergyError(f"an energy is made by ec.energy, or is a sum of mechanisms; got {energy!r}.")
    if rows is not None:
        check_count("rows", rows)
    betas = single_or_schedule(beta)
    stray = undirected_of(energy)
    if stray:
        raise IdentificationError(
            f"factor {stray[0].name!r} over {list(stray[0].variables)} is neither a mechanism nor a regularizer: "
            "as a bare factor Predictive and do would ignore it, and its normalizer depends on the parameters. "
            "Write it as a Mechanism, or use GibbsDensity at fixed parameters."
        )
    order = causal_order(energy)

    def model(**data: Tensor) -> dict[str, Tensor]:
        pyro.module("energy", energy)
        _refuse_foreign_parameters(energy)
        known = _checked_data(energy, data)
        size = common_rows(known) if known else (rows or 1)
        like = next(iter(known.values()), like_of(energy))
        values: dict[str, Tensor] = dict(energy.clamped)
        with _plates(betas, size) as (warmth, batch):
            for name in order:
                values[name] = _site(energy, name, (values, known.get(name)), (warmth, batch, like))
        return values

    return model


@contextmanager
def _plates(beta: float | Tensor, rows: int) -> Iterator[tuple[Temperature, torch.Size]]:
    """The plates of rows, and of temperatures for a schedule; beta as it broadcasts in them, and their sizes."""
    with ExitStack() as plates:
        sizes = [rows]
        if isinstance(beta, Tensor):
            plates.enter_context(pyro.plate("beta", len(beta), dim=-2))
            beta, sizes = beta[:, None], [len(beta), rows]
        plates.enter_context(pyro.plate("rows", rows, dim=-1))
        yield beta, torch.Size(sizes)


def _checked_data(energy: Energy, data: dict[str, Tensor]) -> dict[str, Tensor]:
    known = {}
    for name, value in data.items():
        if name not in energy.variables:
            raise EnergyError(
                f"unknown variable {name!r}; the energy's variables are {list(energy.variables)}."
            )
        known[name] = as_rows(name, value, energy.variables[name].shape, like_of(energy))
        energy.variables[name].check(name, known[name])
    return known


def _refuse_foreign_parameters(energy: Energy) -> None:
    """Pyro's store keeps the first module of a name: a second energy would stay as it is while SVI moves the first."""
    store = pyro.get_param_store()
    for name, parameter in energy.named_parameters():
        key = f"energy$$${name}"
        stored = store[key] if key in store else parameter  # noqa: SIM401 -- the store has no get
        if stored is not parameter and stored.data_ptr() != parameter.data_ptr():
            raise EnergyError(
                "Pyro's parameter store holds the parameters of another energy: call pyro.clear_param_store() first."
            )


def _site(
    energy: Energy,
    name: str,
    state: tuple[dict[str, Tensor], Tensor | None],
    setting: tuple[Temperature, torch.Size, Tensor],
) -> Tensor:
    (values, observed), (beta, batch, like) = state, setting
    if observed is not None:
        observed = observed.expand(*batch, *observed.shape[1:])
    law = site_law(energy, name, values, (beta, like))
    if law is None:
        if observed is None:
            raise EnergyError(
                f"{name!r} has neither a mechanism nor a regularizer: give its values to the model."
            )
        return observed
    whole = broadcast_shapes(law.batch_shape, batch)  # larger within plates of the caller's, as replicas have
    return pyro.sample(name, law.expand(whole), obs=observed)


def site_law(
    energy: Energy, name: str, values: dict[str, Tensor], setting: tuple[Temperature, Tensor]
) -> TorchDistributionMixin | None:
    """The law of one variable given its parents' values; None where it has none of its own.

    A schedule of beta comes as ``[betas, 1]``, to broadcast against the rows.
    """
    beta, like = setting
    mechanism = mechanisms_of(energy).get(name)
    if mechanism is not None:
        return mechanism.distribution(values, beta) or ConditionalLaw(mechanism, values, beta)
    prior = next((group for group in prior_groups(energy) if name in group.variables), None)
    if prior is None:
        return None
    if len(prior.variables) > 1:
        raise IdentificationError(
            f"{list(prior.variables)} have a prior together, so {name!r} has no law of its own that can be drawn "
            "first: make them one variable of several dimensions, or give one a Mechanism."
        )
    (first, *more) = prior.factors.values()
    if isinstance(first, Regularizer) and not more:
        return first.distribution(beta, like)
    if isinstance(beta, Tensor):
        each = GibbsDensity(prior, over=name, beta=beta[:, 0], with_normalizer=True)
        TorchDistribution.__init__(
            each, beta.shape, each.event_shape, validate_args=False
        )  # [betas] as [betas, 1]
        return each
    return GibbsDensity(prior, over=name, beta=beta, with_normalizer=True)
