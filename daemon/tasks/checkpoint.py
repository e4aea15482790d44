"""A task's state on disk: any tree of tensors and plain values, as safetensors. Loads torch: for the worker only.

The tensors are numbered, and the tree with their numbers in their places stands in the file's header as JSON. Nothing
is pickled, so reading a checkpoint runs no code. The header also has the key of what the state belongs to, and a
checksum, for a disk may give back something else than it was given.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from daemon.publishing.outputs import sync_file, sync_folders

FORMAT = "1"


def save(path: Path, key: str, tree: Mapping[str, Any]) -> None:
    """Write `tree` durably, in the place of an older checkpoint. Raises OSError, and TypeError for a value that is
    neither a tensor nor plain."""
    tensors = dict[str, torch.Tensor]()
    told = json.dumps(_plain(tree, tensors))
    header = {"format": FORMAT, "key": key, "tree": told, "sha256": _checksum(tensors, told)}
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        save_file(tensors, temporary, metadata=header)
        sync_file(str(temporary))
        temporary.replace(path)
    except SafetensorError as error:
        raise OSError(f"{temporary}: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)
    sync_folders([str(path.parent)])


def load(path: Path, key: str, device: torch.device) -> dict[str, Any] | None:
    """The tree that was saved under `key`, its tensors on `device`; None where there is none, or a damaged one."""
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            header = file.metadata() or {}
            if header.get("format") != FORMAT or header.get("key") != key:
                return None
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        if header["sha256"] != _checksum(tensors, header["tree"]):
            return None
        tree: dict[str, Any] = _tree(json.loads(header["tree"]), tensors, device)
    except (OSError, SafetensorError, ValueError, KeyError):
        return None
    return tree


def _plain(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """`value` as JSON holds it. A dict becomes a list of pairs: an optimiser counts its parameters with numbers."""
    if isinstance(value, torch.Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().to("cpu", copy=True).contiguous()  # shared storage is refused by safetensors
        return {"tensor": name, "on": "cpu" if value.device.type == "cpu" else "device"}
    if isinstance(value, Mapping):
        return {"dict": [[_plain(key, tensors), _plain(item, tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_plain(item, tensors) for item in value]}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a task's state cannot hold a {type(value).__name__}")


def _tree(told: Any, tensors: Mapping[str, torch.Tensor], device: torch.device) -> Any:
    if not isinstance(told, dict):
        return told
    if "tensor" in told:
        tensor = tensors[told["tensor"]]
        return tensor if told["on"] == "cpu" else tensor.to(device)
    if "dict" in told:
        return {_tree(key, tensors, device): _tree(item, tensors, device) for key, item in told["dict"]}
    items = [_tree(item, tensors, device) for item in next(iter(told.values()))]
    return tuple(items) if "tuple" in told else items


def _checksum(tensors: Mapping[str, torch.Tensor], told: str) -> str:
    digest = hashlib.sha256(told.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        if tensor.numel():
            data: Any = tensor.reshape(-1).view(torch.uint8).numpy()
            digest.update(data)
    return digest.hexdigest()
