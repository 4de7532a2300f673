"""Looks that are followed by finer, larger or turned ones until each row has a lattice that can be believed."""

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ebm_causal.sampling.aims import Aim
from ebm_causal.sampling.covering import LARGEST, Chunk, Cover, cover, dense, evaluate
from ebm_causal.sampling.framing import Box, askew_frames, closer, filled, grown, look_at, turned
from ebm_causal.sampling.lattice import Lattice, weighed
from ebm_causal.sampling.looking import UNKNOWN, Look, Sight, coordinates, placed, see, together
from ebm_causal.sampling.selecting import Rows
from ebm_causal.sampling.serving import bends_of, served
from ebm_causal.sampling.shifting import shifted

SHARED = {
    1: (65,),
    2: (33, 49, 73),
    3: (17, 25),
}  # one after the other, where what is costly is shared by rows
LOOKED_AT = 150_000  # points times rows of a first look at once: they stay in cache
SIZES = (1, 2, 3, 4, 6, 8, 12)  # into how many parts a cell is divided along an axis
BLIND = 4  # so many at most where more than these would be needed: another look follows
TURNS = 3
MOST = {1: 100_000, 2: 1_500_000, 3: 10_000_000}  # points of a row that are weighed; more are not worth it
PATIENCE = {1: 3, 2: 3, 3: 2}  # lattices that fail as at a kink before shifted ones are laid
CLOSE = {1: 257, 2: 33, 3: 21}  # points per axis, from which on mass that may reach an end does not
SCANNED = {1: 4097, 2: 193, 3: 41}  # points per axis where a look has found no finite energy


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Lattices on their way: looks that wait to be followed by finer ones, or by lattices.

    Attributes:
        energy: The reduced energy of all rows.
        aim: How lattices are laid.
        pending: The looks that wait.
    """

    energy: Rows
    aim: Aim
    pending: list[Look]

    def run(self, box: Box, dim: int, like: Tensor) -> Iterator[tuple[Tensor, Lattice]]:
        """The lattices, each with the numbers of its rows."""
        rows = torch.arange(self.energy.count, device=like.device)
        shared = box.shared and self.energy.shares(dim, like)
        sizes = SHARED[dim] if shared else (self.aim.coarse,)
        for coarse, following in zip(sizes, (*sizes[1:], None), strict=True):
            look = (yield from self._serve(rows, box, coarse)) if len(rows) else None
            if look is None:
                break
            finer = torch.zeros_like(look.rows, dtype=torch.bool)
            if following is not None:
                finer = bends_of(look) * self.aim.step**2 <= ((following - 1) / (coarse - 1)) ** 2
            self.pending.append(look.some(~finer))
            rows = look.rows[finer]
        while self.pending:
            yield from self._advance(self.pending.pop())

    def _serve(
        self, rows: Tensor, box: Box, coarse: int
    ) -> Generator[tuple[Tensor, Lattice], None, Look | None]:
        """Lattices of rows that the grid itself serves, where rows share it; then a look at the others."""
        left, apart = [], box.shared and self.energy.divisible
        at_once = max(1, LOOKED_AT // coarse ** box.middle.shape[-1]) if apart else len(rows)
        for part in rows.split(at_once):
            look = look_at(self.energy, part, box, coarse)
            if box.shared:
                good, lattice = served(look, self.aim)
                if bool(good.any()):
                    index = slice(None) if bool(good.all()) else good.nonzero().flatten()
                    yield look.rows[index], lattice.rows(index)
                look = look.some(~good)
            left.append(look)
        left = [look for look in left if len(look.rows)]
        return together(left) if left else None

    def _advance(self, look: Look) -> Iterator[tuple[Tensor, Lattice]]:
        """Grow boxes whose edges have mass, turn frames that lie askew, and lay lattices for the other rows."""
        if not len(look.rows):
            return
        sight = see(look, self.aim.drop, self.aim.step)
        dead = (
            ~sight.keep.any(0)
            | (look.level >= self.aim.levels)
            | (look.blind & (look.whole and not look.filled))
        )
        if look.whole and look.level == 0 and bool(dead.any()):
            self._scan(look.some(dead))
        else:
            yield from _given_up(look.some(dead))
        left = ~dead
        if look.whole:
            edge = self._grow(look, sight, left)
            left = left & ~edge & ~self._turn(look, sight, left & ~edge)
        for sizes, index, blind in self._classes(look, sight, left):
            yield from self._lay(look.some(index), sight.some(index), sizes, blind)

    def _grow(self, look: Look, sight: Sight, left: Tensor) -> Tensor:
        """Which of the rows are looked at again in larger boxes, or closely where it is not sure that they should."""
        reaches, nears = (ends.flatten(1).any(1) & left for ends in (sight.touches, sight.nears))
        if bool(reaches.any()):
            some, seen = look.some(reaches), sight.some(reaches)
            self.pending.extend(grown(some, seen, self.energy, self.aim.coarse))
        unsure = nears & ~reaches & (max(look.shape) < CLOSE[look.dim])
        if bool(unsure.any()):
            self.pending.extend(closer(look.some(unsure), self.energy, 2 * max(look.shape) - 1))
        return reaches | unsure

    def _scan(self, look: Look) -> None:
        """Look once more, closely, where nothing finite was seen: there may be walls."""
        self.pending.extend(closer(look, self.energy, SCANNED[look.dim]))

    def _turn(self, look: Look, sight: Sight, left: Tensor) -> Tensor:
        """Which of the rows are looked at again in turned frames."""
        if look.dim == 1 or look.turns >= TURNS or not bool(left.any()):
            return torch.zeros_like(left)
        frames, askew = askew_frames(look)
        askew = askew & left
        if bool(askew.any()):
            some, seen = look.some(askew), sight.some(askew)
            self.pending.extend(turned(some, seen, frames[askew], self.energy, self.aim.coarse))
        return askew

    def _classes(
        self, look: Look, sight: Sight, left: Tensor
    ) -> Iterator[tuple[tuple[int, ...], Tensor, bool]]:
        """Rows whose cells are divided alike: as finely as the bends ask for."""
        index = left.nonzero().flatten()
        if not len(index):
            return
        table = torch.tensor(SIZES, device=index.device)
        needed = sight.sharp[index].sqrt() * (0.97 / self.aim.step)
        sizes = table[torch.searchsorted(table.to(needed), needed).clamp_max(len(SIZES) - 1)]
        blind = (needed > SIZES[-1]).any(-1)
        sizes = torch.where(blind[:, None], sizes.clamp_max(BLIND), sizes)
        if look.finer is not None:
            stuck = look.finer[index] & (sizes == 1).all(-1)
            sizes = torch.where(stuck[:, None], 2, sizes)
        if not self.energy.divisible:
            yield tuple(sizes.amax(0).tolist()), index, bool(blind.any())
            return
        kinds, member = torch.cat([sizes, blind[:, None]], -1).unique(dim=0, return_inverse=True)
        for kind, (*parts, dark) in enumerate(kinds.tolist()):
            yield tuple(parts), index[member == kind], bool(dark)

    def _lay(
        self, look: Look, sight: Sight, sizes: tuple[int, ...], blind: bool, *, tried: int = 0
    ) -> Iterator[tuple[Tensor, Lattice]]:
        """Lattices of some rows; those that fail the self-check are looked at anew."""
        divided = (sight.keep.sum(0) * 3**look.dim).clamp_max(len(sight.keep)) * math.prod(sizes)
        hopeless = divided > MOST[look.dim]
        if bool(hopeless.any()):
            yield from self._shift(look.some(hopeless))
            if not bool(hopeless.all()):
                yield from self._lay(look.some(~hopeless), sight.some(~hopeless), sizes, blind, tried=tried)
            return
        if float(divided.sum()) > LARGEST and len(look.rows) > 1 and self.energy.divisible:
            for half in torch.arange(len(look.rows), device=divided.device).chunk(2):
                yield from self._lay(look.some(half), sight.some(half), sizes, blind, tried=tried)
            return
        found = cover(look, sight, sizes, self.aim.drop, blind=blind)
        patient = not blind and self.energy.divisible and max(sizes) < SIZES[-1]
        again: list[tuple[Tensor, Tensor]] = []
        for chunk in evaluate(found, self.energy, self.aim):
            rough = chunk.walled | (chunk.blunt & chunk.whole & (tried + look.laid >= PATIENCE[look.dim]))
            missed = look.misses(chunk.lattice.energies, chunk.index)
            chunk = replace(chunk, coarse=chunk.coarse | missed[:, None])
            good = chunk.lattice.resolved & ~rough & ~missed
            index = slice(None) if bool(good.all()) else good.nonzero().flatten()
            if bool(good.any()):
                yield look.rows[chunk.index[index]], chunk.lattice.rows(index)
            yield from self._follow(found, chunk, rough.nonzero().flatten(), shift=True)
            finer = ~good & ~rough & chunk.whole & patient
            again.append((chunk.index[finer], chunk.coarse[finer]))
            yield from self._follow(found, chunk, (~good & ~rough & ~finer).nonzero().flatten())
        index, coarse = torch.cat([rows for rows, _ in again]), torch.cat([axes for _, axes in again])
        for axes in coarse.unique(dim=0):
            part = index[(coarse == axes).all(-1)]
            more = tuple(SIZES[SIZES.index(m) + int(c)] for m, c in zip(sizes, axes.tolist(), strict=True))
            yield from self._lay(look.some(part), sight.some(part), more, False, tried=tried + 1)

    def _follow(
        self, found: Cover, chunk: Chunk, failed: Tensor, *, shift: bool = False
    ) -> Iterator[tuple[Tensor, Lattice]]:
        """Look at rows that failed on a dense grid, or shift lattices there; where it would be too large, shift."""
        if not len(failed):
            return
        following = dense(found, chunk, failed)
        if following is not None and shift:
            yield from self._shift(following)
        elif following is not None:
            self.pending.append(following)
        elif len(failed) > 1:
            for half in failed.chunk(2):
                yield from self._follow(found, chunk, half, shift=shift)
        else:
            yield from self._shift(found.look.some(chunk.index[failed]))

    def _shift(self, look: Look) -> Iterator[tuple[Tensor, Lattice]]:
        """Randomly shifted lattices, for rows with kinks or walls; a whole look comes first, for mass left out."""
        if look.whole or look.filled:
            yield from shifted(look, self.energy, self.aim.drop)
        else:
            self.pending.extend(filled(look, self.energy))


def _given_up(look: Look) -> Iterator[tuple[Tensor, Lattice]]:
    """The points of a look as lattices that are not resolved."""
    if len(look.rows):
        places = coordinates(look.shape, look.base)[:, None]
        energies = torch.where(look.energies < UNKNOWN, look.energies, math.inf)
        lattice = weighed(placed(look.base, look.cell, places), energies, look.cell)
        unknown = torch.full_like(lattice.error, math.inf)
        yield look.rows, replace(lattice, resolved=torch.zeros_like(lattice.resolved), error=unknown)
