"""Files that are there whole or not at all."""

import os
from pathlib import Path

from ebm_causal.errors import ArgumentError


def check_destination(path: str | Path) -> Path:
    """Whether a file could be written here, found out before the work that fills it begins.

    Args:
        path: Where a file is to be; folders that are missing count as writable if they can be made.

    Returns:
        The path, with symbolic links followed.

    Raises:
        ArgumentError: If the path is a folder or a device, leads through a file, or is not writable.
    """
    given, path = path, Path(os.path.realpath(path))
    if not str(given):
        raise ArgumentError("The name of the file to write is empty; give one, such as report.html.")
    if path.is_dir():
        raise ArgumentError(f"{given} is a folder; give the name of a file, such as {path / 'report.html'}.")
    if path.exists() and not path.is_file():
        raise ArgumentError(f"{given} is not a regular file; give the name of a file, such as report.html.")
    folder = next(parent for parent in path.parents if parent.exists())
    if not folder.is_dir():
        raise ArgumentError(f"{given} cannot be written: {folder} is a file, not a folder.")
    if not os.access(folder, os.W_OK | os.X_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise ArgumentError(f"{given} cannot be written: no permission. Give a place where you may write.")
    return path


def write_file(path: str | Path, text: str) -> Path:
    """Write a text so that a reader finds the old file or the whole new one, never a half.

    The text goes to a temporary file in the same folder, which is then renamed. Missing folders are made.

    Args:
        path: Where the file is to be; one that is there is replaced.
        text: What it is to hold, in UTF-8.

    Returns:
        The path, with symbolic links followed.

    Raises:
        ArgumentError: If the file cannot be written; nothing is left behind.
    """
    target = check_destination(path)
    part = target.with_name(f".{target.name[:60]}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _write_through(part, text)
        os.replace(part, target)
    except OSError as error:
        raise ArgumentError(f"{path} could not be written: {error.strerror or error}.") from error
    finally:
        part.unlink(missing_ok=True)
    return target


def _write_through(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
