"""How finely and how widely lattices are laid."""

import math
from dataclasses import dataclass

EVEN = 5e-4  # an imbalance of thirds below which every lattice is fine enough


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """How lattices are laid.

    Attributes:
        step: The step in local standard deviations.
        drop: Energies so far above the minimum are left out.
        coarse: Points per axis of a look.
        levels: How often a row may be looked at.
        fine: The step that the self-check asks for.
        kinks: Whether the self-check looks for kinks; without, densities are taken to be smooth.
    """

    step: float
    drop: float
    coarse: int
    levels: int
    fine: float
    kinks: bool = True

    @property
    def allowed(self) -> tuple[float, float]:
        """The imbalances of halves and thirds at which a lattice is fine: a normal density's at the step asked for."""
        halves, thirds = (1.2 * math.exp(-0.5 * (2 * math.pi / (k * self.fine)) ** 2) for k in (2, 3))
        return max(halves, EVEN**1.5), max(thirds, EVEN)
