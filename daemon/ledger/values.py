"""The values that go into the ledger and come out of it, and the transitions there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from daemon.errors import DarkroomError
from daemon.model import Fingerprint, Member, State

NEXT: Mapping[State, tuple[State, ...]] = {
    State.WAITING: (State.RUNNING, State.FAILED, State.SKIPPED, State.CANCELLED),
    State.RUNNING: (State.DONE, State.FAILED, State.SKIPPED, State.WAITING, State.CANCELLED),
    State.FAILED: (State.WAITING,),
    State.SKIPPED: (State.WAITING,),
    State.CANCELLED: (State.WAITING,),
    State.DONE: (),
}
"""The named transitions; there are no others. Only a group that can be no job fails without having run."""

BEFORE = {to: tuple(state for state, after in NEXT.items() if to in after) for to in State}


ASKED_AGAIN = "asked for by the user: once more"
"""The reason of a job that `darkroom retry` or `redo` put back."""


PROMISED = 2
"""`source_due` of a job whose publishing is certain and not recorded yet; 1 once it is."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured on one picture: the steps (canonical) and their mean squared errors, on the scale 0..1."""

    steps: str
    mse: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Move:
    """One change of state. None leaves a field as it is; `only_from` narrows what `NEXT` allows.

    `gone`: the file was not there, so that it is new if it comes back. `repeats`: the job that had the same content,
    and whose result still stands. `again`: it is to be done even if its last output stands. `record` is what is worth
    knowing of a finished task, as JSON.
    """

    job: int
    to: State
    reason: str
    attempts: int | None = None
    not_before: float = 0.0
    output: str | None = None
    device: str | None = None
    content: str | None = None
    recipe: str | None = None
    source_due: bool = False
    gone: bool = False
    measured: Measured | None = None
    record: str | None = None
    repeats: int | None = None
    only_from: tuple[State, ...] = ()
    again: bool = False


@dataclass(frozen=True, slots=True)
class KnownRule:
    """A rule as the ledger knows it: hashes of all that it is but its name, and of which files it `takes`.

    `acts`: it deletes or moves its sources. `folders` are those that it writes into.
    """

    identity: str
    takes: str
    acts: bool = False
    folders: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Arrival:
    """A settled file, or group of files, that a rule matched and that has no job yet.

    `members` are the files of a group; `lacks` says what it waits for, and a job that lacks anything is never claimed.
    `again`: it is to be done even if its last output stands.
    """

    rule: str
    root: str
    relative: str
    fingerprint: Fingerprint
    reason: str
    members: tuple[Member, ...] = ()
    lacks: str | None = None
    again: bool = False


@dataclass(frozen=True, slots=True)
class Intent:
    """A durable temporary file about to be renamed to `target`; `exclusive`: never over an existing file.

    `part` 0 is the job's output, the others lie beside it.
    """

    job: int
    temporary: str
    target: str
    exclusive: bool
    fingerprint: Fingerprint
    part: int = 0


@dataclass(frozen=True, slots=True)
class OutputRecord:
    """A file darkroom wrote: the job it came from, that job's source, and the fingerprint it was left with."""

    job: int
    rule: str
    source: str
    fingerprint: Fingerprint


class IllegalMoveError(DarkroomError):
    """A transition that `NEXT` does not name: a fault of the program, never of the user."""
