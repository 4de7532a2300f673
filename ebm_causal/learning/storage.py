"""Trees of numbers and tensors in a folder, as JSON and safetensors: the only door to safetensors.

The JSON names the file of tensors and its digest, and is written last, by rename. So a folder always holds a whole
state, whenever the writer is killed. Nothing is ever pickled.
"""

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from ebm_causal.errors import ArgumentError

FORMAT = 1
TENSOR, PAIRS, NUMBER = "tensor:", "pairs:", "number:"
Tree = object


def write_tree(folder: Path, name: str, tree: Mapping[str, Tree], header: Mapping[str, object]) -> None:
    """Write a tree under a name, in place of an earlier one.

    Args:
        folder: Made if it is not there.
        name: Of the JSON file, without ``.json``.
        tree: Mappings, lists, tuples, strings, numbers, None and tensors.
        header: What is to be known before tensors are read.

    Raises:
        ArgumentError: If the folder is a file, or the tree holds something else.
    """
    if folder.exists() and not folder.is_dir():
        raise ArgumentError(f"{str(folder)!r} is a file; a fit is saved into a folder.")
    tensors: dict[str, Tensor] = {}
    packed = _pack(tree, tensors)
    blob = save_tensors(tensors)
    digest = hashlib.sha256(blob).hexdigest()
    file = f"{name}-{digest[:16]}.safetensors"
    page = {"format": FORMAT, **header, "tensors": file, "digest": digest, "tree": packed}
    folder.mkdir(parents=True, exist_ok=True)
    _write_by_rename(folder / file, blob)
    _write_by_rename(folder / f"{name}.json", json.dumps(page, allow_nan=False).encode())
    for old in folder.glob(f"{name}-*.safetensors"):
        if old.name != file:
            old.unlink(missing_ok=True)


def read_header(folder: Path, name: str) -> dict[str, object]:
    """The JSON page of a tree, its format checked.

    Raises:
        ArgumentError: If it is not there, not JSON, or of another format.
    """
    if folder.is_file():
        what = "a pickle, which is never loaded" if _is_pickle(folder) else "a file"
        raise ArgumentError(f"{str(folder)!r} is {what}; expected a folder with {name}.json.")
    path = folder / f"{name}.json"
    if not path.is_file():
        raise ArgumentError(f"{str(folder)!r} holds no {name}.json.")
    try:
        page = json.loads(path.read_bytes())
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        what = "a pickle, which is never loaded" if _is_pickle(path) else "truncated or no JSON"
        raise ArgumentError(f"{str(path)!r} is {what}: {error}.") from error
    if not isinstance(page, dict) or not {"format", "tensors", "digest", "tree"} <= set(page):
        raise ArgumentError(f"{str(path)!r} is JSON of something else: it was not written by ebm_causal.")
    if page["format"] != FORMAT:
        raise ArgumentError(
            f"{str(path)!r} has format {page['format']}, and this version reads format {FORMAT}."
        )
    return page


def read_tree(folder: Path, name: str) -> dict[str, object]:
    """The tree, its tensors checked against their digest.

    Raises:
        ArgumentError: If a file is missing, truncated or foreign.
    """
    page = read_header(folder, name)
    path = folder / str(page["tensors"])
    if path.parent != folder or not path.is_file():
        raise ArgumentError(f"{str(folder)!r} lacks {page['tensors']!r}, the tensors of {name}.json.")
    blob = path.read_bytes()
    if hashlib.sha256(blob).hexdigest() != page["digest"]:
        what = "a pickle, which is never loaded" if _is_pickle(path) else "truncated, or of another fit"
        raise ArgumentError(f"{str(path)!r} is {what}: its digest is not the one in {name}.json.")
    found = _unpack(page["tree"], load_tensors(blob))
    if not isinstance(found, dict):
        raise ArgumentError(f"{str(path)!r} holds no tree.")
    return found


def _pack(tree: Tree, tensors: dict[str, Tensor]) -> object:
    if isinstance(tree, Tensor):
        name = f"t{len(tensors)}"
        tensors[name] = tree.detach().to("cpu", copy=True).contiguous()
        return {TENSOR: name}
    if isinstance(tree, Mapping):
        if all(isinstance(key, str) and not key.endswith(":") for key in tree):
            return {key: _pack(value, tensors) for key, value in tree.items()}
        return {PAIRS: [[_pack(key, tensors), _pack(value, tensors)] for key, value in tree.items()]}
    if isinstance(tree, list | tuple):
        return [_pack(value, tensors) for value in tree]
    if isinstance(tree, float) and not math.isfinite(tree):
        return {NUMBER: str(tree)}
    if tree is None or isinstance(tree, str | int | float | bool):
        return tree
    raise ArgumentError(f"a {type(tree).__name__} cannot be kept without a pickle: {tree!r}.")


def _unpack(packed: object, tensors: Mapping[str, Tensor]) -> object:
    if isinstance(packed, list):
        return [_unpack(value, tensors) for value in packed]
    if not isinstance(packed, dict):
        return packed
    if TENSOR in packed:
        return tensors[packed[TENSOR]]
    if NUMBER in packed:
        return float(packed[NUMBER])
    if PAIRS in packed:
        return {_unpack(key, tensors): _unpack(value, tensors) for key, value in packed[PAIRS]}
    return {key: _unpack(value, tensors) for key, value in packed.items()}


def _write_by_rename(path: Path, blob: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(blob)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            part.unlink()


def _is_pickle(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) in (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """A digest of named tensors: the same data, the same digest."""
    found = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().to("cpu").contiguous()
        found.update(f"{name} {list(value.shape)} {value.dtype};".encode())
        found.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
