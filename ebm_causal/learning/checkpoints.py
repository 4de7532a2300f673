"""Checkpoints: what a run needs to go on, and the questions whether a folder's state is that of this run."""

from collections.abc import Mapping
from pathlib import Path

from torch import nn

from ebm_causal.energies import Energy
from ebm_causal.errors import ArgumentError
from ebm_causal.learning.storage import read_header, read_tree, write_tree

NAME = "checkpoint"


def release() -> str:
    """The package's version as major.minor: what must agree between writer and reader."""
    from ebm_causal import __version__

    return ".".join(__version__.split(".")[:2])


def structure_of(energy: Energy) -> dict[str, object]:
    """What must agree before arrays are put into an energy: its factors, variables and array shapes."""
    return {
        "factors": {name: type(factor).__name__ for name, factor in energy.factors.items()},
        "variables": list(energy.all_variables),
        "arrays": arrays_of(energy),
    }


def arrays_of(module: nn.Module) -> dict[str, str]:
    """Shape and dtype of each parameter and buffer."""
    return {name: f"{list(v.shape)} {v.dtype}" for name, v in module.state_dict().items()}


def refuse_other_structure(known: object, energy: Energy, where: str) -> None:
    """Refuse files of another model.

    Raises:
        ArgumentError: With the first difference.
    """
    own = structure_of(energy)
    if not isinstance(known, Mapping):
        raise ArgumentError(f"{where} does not say of which energy it is.")
    for part, mine in own.items():
        theirs = known.get(part)
        if theirs == mine:
            continue
        if not isinstance(theirs, Mapping) or not isinstance(mine, Mapping):
            raise ArgumentError(
                f"{where} is of another energy: its {part} are {theirs}, here they are {mine}."
            )
        name = next(key for key in [*mine, *theirs] if mine.get(key) != theirs.get(key))
        raise ArgumentError(
            f"{where} is of another energy: {name!r} is {theirs.get(name, 'missing')} there and "
            f"{mine.get(name, 'missing')} here."
        )


def refuse_other_release(known: object, where: str) -> None:
    """Refuse files of another version.

    Raises:
        ArgumentError: With both versions.
    """
    if known != release():
        raise ArgumentError(f"{where} was written by ebm_causal {known}, and this is {release()}.")


class Checkpoint:
    """A folder that holds the last state of one run.

    Args:
        folder: The folder; None keeps nothing.
        energy: The energy that is fitted.
        settings: What must be the same for a run to go on, by name: method, steps, seed, the data's digest.

    Raises:
        ArgumentError: If the folder is a file.
    """

    def __init__(self, folder: str | Path | None, energy: Energy, settings: Mapping[str, object]) -> None:
        self.folder = None if folder is None else Path(folder)
        self.structure, self.settings = structure_of(energy), {k: str(v) for k, v in settings.items()}
        self.energy = energy
        self.written = False

    @property
    def place(self) -> str | None:
        """Where the last good state is; None where none was written."""
        return str(self.folder) if self.written else None

    def read(self) -> dict[str, object] | None:
        """The state to go on from; None for a fresh start.

        Raises:
            ArgumentError: If the folder holds something else, or the state of another run.
        """
        if self.folder is None or not self._started():
            return None
        where = f"the checkpoint in {str(self.folder)!r}"
        page = read_header(self.folder, NAME)
        refuse_other_release(page.get("release"), where)
        refuse_other_structure(page.get("structure"), self.energy, where)
        known = page.get("settings")
        for name, mine in self.settings.items():
            theirs = known.get(name) if isinstance(known, dict) else None
            if theirs != mine:
                raise ArgumentError(
                    f"{where} is of another fit: {name} was {theirs} there and is {mine} here. Take another folder, "
                    "or remove it."
                )
        self.written = True
        return read_tree(self.folder, NAME)

    def write(self, state: Mapping[str, object]) -> None:
        """Keep a state in place of the last."""
        if self.folder is None:
            return
        header = {"release": release(), "structure": self.structure, "settings": self.settings}
        write_tree(self.folder, NAME, state, header)
        self.written = True

    def _started(self) -> bool:
        if self.folder is None or not self.folder.exists():
            return False
        return self.folder.is_file() or any(
            not entry.name.endswith(".part") and not entry.name.endswith(".safetensors")
            for entry in self.folder.iterdir()
        )
