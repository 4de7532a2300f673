r"""The likelihood of data with the latents integrated out on a lattice: the collapsed objective.

.. math:: \log p_\theta(\text{data}_i) = \log \int \prod_v \frac{e^{-\beta E_v}}{Z_v}\,\frac{e^{-\beta R(z)}}{Z_R}\,dz
"""

from collections.abc import Iterable, Mapping

import networkx as nx
import torch
from torch import Tensor

from ebm_causal.energies import (
    Energy,
    Regularizer,
    like_of,
    mechanisms_of,
    normalized,
    prior_groups,
    unclamped,
    undirected_of,
)
from ebm_causal.errors import ConvergenceError, EnergyError, IdentificationError
from ebm_causal.gibbs import Restriction, log_partition, restrict
from ebm_causal.sampling import Lattice, adapt_lattice

STEP = 0.9  # of a posterior standard deviation: a relative error of 2 e^(-2 pi^2 / .81), below 1e-10
DROP = 18.0


class MarginalLikelihood:
    """The log likelihood of each row under locally normalized mechanisms, latents integrated out.

    The lattices are laid at the parameters of the moment by ``adapt`` and then stay: at fixed points the
    sum is a smooth function of the parameters, so it can be optimized and differentiated twice. Each row's density
    is taken to be smooth: with kinks (a Laplace prior, a decoder of ReLUs) the likelihood errs by about 1e-4 nats
    per row in one dimension.

    Args:
        energy: An energy of mechanisms and regularizers; its parameters are read in place.
        data: Rows of every variable that is not latent.
        latents: What to integrate out.
        beta: The inverse temperature.

    Raises:
        IdentificationError: If a factor is neither a mechanism nor a regularizer, so that the likelihood
            would need a normalizer that depends on the parameters.
        EnergyError: If a variable is neither latent nor in the data, or no lattice serves the latents.
    """

    def __init__(
        self, energy: Energy, data: Mapping[str, object], latents: Iterable[str], beta: float = 1.0
    ) -> None:
        refuse_undirected(energy)
        self.energy, self.latents, self.beta = normalized(energy), tuple(latents), beta
        self.whole = restrict(self.energy, self.latents, data, beta)
        if self.latents and not self.whole.finite and self.whole.dim > 2:
            raise EnergyError(
                f"a lattice serves one or two latent dimensions; {list(self.latents)} have {self.whole.dim}."
            )
        self._blocks: list[tuple[Restriction, Lattice]] = []
        self._priors = checked_priors(energy, self.latents)

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.whole.rows

    def adapt(self, *, step: float = STEP, drop: float = DROP) -> bool:
        """Lay the lattices anew at the current parameters; say whether every row was resolved."""
        if not self.latents:
            return True
        old = iter(self._blocks)
        blocks = []
        for block in self.whole.blocks(40**self.whole.dim):
            known = next(old, None)
            blocks.append((block, _relaid(block, known[1] if known else None, step, drop)))
        self._blocks = blocks
        return all(bool(lattice.resolved.all()) for _, lattice in blocks)

    def log_likelihood(self) -> Tensor:
        """One number per row, differentiable in the parameters.

        Raises:
            ConvergenceError: If a row's likelihood is not finite.
        """
        rows = self.unchecked()
        bad = (~rows.detach().isfinite()).nonzero().flatten().tolist()
        if bad:
            raise ConvergenceError(
                f"the likelihood is not finite in rows {bad[:5]}: a parameter ran away, or these rows hold "
                "extreme values."
            )
        return rows

    @property
    def size(self) -> int:
        """How many energies one evaluation takes: the rows, times the points of their lattices where there are any."""
        if not self.latents:
            return self.rows
        return sum(lattice.energies.numel() for _, lattice in self.lattices())

    def unchecked(self) -> Tensor:
        """The same whatever it is, without a look at the values, so that ``vmap`` can run it."""
        if not self.latents:
            rows = -self.energy.reduced(self.whole.given, self.beta).expand(self.rows)
        else:
            rows = torch.cat(
                [lattice.log_partition(block(lattice.points)) for block, lattice in self.lattices()]
            )
        return rows - self.log_prior_normalizer()

    def lattices(self) -> list[tuple[Restriction, Lattice]]:
        """The blocks of rows with their lattices, laid at the current parameters if not yet."""
        if not self._blocks:
            self.adapt()
        return self._blocks

    def swap(self, blocks: list[tuple[Restriction, Lattice]] | None) -> list[tuple[Restriction, Lattice]]:
        """Put other lattices in place (None for none yet) and return the present ones."""
        present, self._blocks = self._blocks, blocks or []
        return present

    def log_prior_normalizer(self) -> Tensor:
        """The log normalizers of all priors, which each row's likelihood is less."""
        like = self.whole.like
        total = like.new_zeros(())
        for prior in self._priors:
            total = total + log_normalizer(prior, self.beta, like)
        return total


def likelihood_of_given(
    energy: Energy, given: Mapping[str, object], beta: float = 1.0
) -> MarginalLikelihood | None:
    """The likelihood of some variables alone, all their other causes integrated out.

    What they cause integrates to one and is left out.

    Args:
        energy: An energy of mechanisms and regularizers.
        given: Rows of the variables; what the energy holds clamped counts too.
        beta: The inverse temperature.

    Returns:
        The likelihood of those with a mechanism and their causes; None where no mechanism is theirs.

    Raises:
        EnergyError: If no lattice serves the causes that are not given.
    """
    whole, held = unclamped(energy), {**given, **energy.clamped}
    mechanisms, graph = mechanisms_of(whole), whole.graph
    told = [name for name in held if name in mechanisms]
    if not told:
        return None
    near = set(told).union(*(nx.ancestors(graph, name) for name in told))
    priors = [group for group in prior_groups(whole) if near & set(group.variables)]
    laws = [mechanism for name, mechanism in mechanisms.items() if name in near]
    part = Energy([*laws, *(factor for group in priors for factor in group.factors.values())])
    part.learn_dims_of(energy)
    data = {name: value for name, value in held.items() if name in part.variables}
    return MarginalLikelihood(part, data, [name for name in part.variables if name not in data], beta)


def log_likelihood_of_given(energy: Energy, given: Mapping[str, object], beta: float = 1.0) -> Tensor:
    """The log density of what is given, per row or one for all rows; the density of the rest is less this.

    Raises:
        EnergyError: If no lattice serves the causes that are not given.
    """
    part, held = likelihood_of_given(energy, given, beta), {**given, **energy.clamped}
    total = part.log_likelihood() if part is not None else like_of(energy).new_zeros(1)
    counted = set(part.energy.variables) if part is not None else set()
    for prior in prior_groups(unclamped(energy)):
        if set(prior.variables) <= set(held) - counted:
            rows = restrict(prior, (), {name: held[name] for name in prior.variables}, beta).given
            total = total - prior.reduced(rows, beta) - log_normalizer(prior, beta, total)
    return total


def refuse_undirected(energy: Energy) -> None:
    """Refuse to learn from an energy whose normalizer is not known.

    Raises:
        IdentificationError: Naming the factor.
    """
    stray = undirected_of(energy)
    if stray or not mechanisms_of(energy):
        name = stray[0].name if stray else "the energy"
        raise IdentificationError(
            f"{name!r} is not a sum of mechanisms and regularizers: the normalizer of its density depends on the "
            "parameters, so that maximizing the raw sum would not be maximum likelihood. Write the factors on "
            "observed variables as Mechanisms."
        )


def log_normalizer(prior: Energy, beta: float, like: Tensor) -> Tensor:
    """The log normalizer of a prior of variables without mechanisms."""
    (first, *more) = prior.factors.values()
    if isinstance(first, Regularizer) and not more:
        return first.log_normalizer(beta, like)
    return log_partition(prior, tuple(prior.variables), beta=beta).value


def checked_priors(energy: Energy, latents: tuple[str, ...]) -> tuple[Energy, ...]:
    """The priors of variables without mechanisms, none of them shared by latents and data."""
    priors = prior_groups(energy)
    for prior in priors:
        hidden = set(prior.variables) & set(latents)
        if hidden and hidden != set(prior.variables):
            raise IdentificationError(
                f"factor {next(iter(prior.factors))!r} joins the latent {min(hidden)!r} with observed variables: "
                "whether its normalizer runs over both is not said. Write it as a Mechanism."
            )
    return priors


def _relaid(block: Restriction, known: Lattice | None, step: float, drop: float) -> Lattice:
    """A lattice for a block, started where an earlier one found the mass; on a line a first look costs less."""
    if known is None or block.finite or block.dim == 1 or known.points.shape[1] != block.rows:
        return block.quadrature(step=step, drop=drop, kinks=False)
    spread = known.covariance().diagonal(dim1=-2, dim2=-1).clamp_min(1e-12).sqrt()
    return adapt_lattice(
        block,
        block.rows,
        block.dim,
        like=block.like,
        center=known.mean(),
        scale=spread,
        step=step,
        drop=drop,
        coarse=17,
        kinks=False,
    )
