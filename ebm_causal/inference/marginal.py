r"""The likelihood of data with the latents integrated out on a lattice: the collapsed objective.

.. math:: \log p_\theta(\text{data}_i) = \log \int \prod_v \frac{e^{-\beta E_v}}{Z_v}\,\frac{e^{-\beta R(z)}}{Z_R}\,dz
"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from ebm_causal.energies import Energy, Regularizer, mechanisms_of, normalized, prior_groups, undirected_of
from ebm_causal.errors import ConvergenceError, EnergyError, IdentificationError
from ebm_causal.gibbs import Restriction, log_partition, restrict
from ebm_causal.sampling import Lattice, adapt_lattice

STEP = 0.9  # of a posterior standard deviation: a relative error of 2 e^(-2 pi^2 / .81), below 1e-10
DROP = 18.0


class MarginalLikelihood:
    """The log likelihood of each row under locally normalized mechanisms, latents integrated out.

    The lattices are laid at the parameters of the moment by ``adapt`` and then stay: at fixed points the
    sum is a smooth function of the parameters, so it can be optimized and differentiated twice.

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
        self._priors = _checked_priors(energy, self.latents)

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
        if not self.latents:
            rows = -self.energy.reduced(self.whole.given, self.beta).expand(self.rows)
        else:
            if not self._blocks:
                self.adapt()
            rows = torch.cat(
                [lattice.log_partition(block(lattice.points)) for block, lattice in self._blocks]
            )
        rows = rows - self._log_prior_normalizer()
        bad = (~rows.detach().isfinite()).nonzero().flatten().tolist()
        if bad:
            raise ConvergenceError(
                f"the likelihood is not finite in rows {bad[:5]}: a parameter ran away, or these rows hold "
                "extreme values."
            )
        return rows

    def lattices(self) -> list[tuple[Restriction, Lattice]]:
        """The blocks of rows with their lattices, laid at the current parameters if not yet."""
        if not self._blocks:
            self.adapt()
        return self._blocks

    def swap(self, blocks: list[tuple[Restriction, Lattice]] | None) -> list[tuple[Restriction, Lattice]]:
        """Put other lattices in place (None for none yet) and return the present ones."""
        present, self._blocks = self._blocks, blocks or []
        return present

    def _log_prior_normalizer(self) -> Tensor:
        like = self.whole.like
        total = like.new_zeros(())
        for prior in self._priors:
            (first, *more) = prior.factors.values()
            if isinstance(first, Regularizer) and not more:
                total = total + first.log_normalizer(self.beta, like)
            else:
                total = total + log_partition(prior, tuple(prior.variables), beta=self.beta).value
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


def _checked_priors(energy: Energy, latents: tuple[str, ...]) -> tuple[Energy, ...]:
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
    """A lattice for a block, started where an earlier one found the mass."""
    if known is None or block.finite or known.points.shape[1] != block.rows:
        return block.quadrature(step=step, drop=drop)
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
    )
