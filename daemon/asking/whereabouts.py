"""Where the daemon of a config.yaml keeps its state: most often told at a glance, for whoever wants to ask that daemon.

Loads little: to read config.yaml whole takes longer than any answer.

If `state_dir` was edited, the daemon keeps the old one until it is started again; whoever looks into the file would ask
in the new one, and find nobody. So it leaves a note of the old one beside the file, and takes it away at its end. A
note alone proves nothing, for a kill may have left it: what it names counts if a daemon holds the lock there, and
answers for this file, if it answers at all.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from daemon.control.asker import NoAnswerError, SilentError, ask
from daemon.control.wire import PATIENCE
from daemon.errors import ConfigError, DarkroomError
from daemon.life.lock import alive, holder
from daemon.publishing.entries import entry_of
from daemon.shown import say

if TYPE_CHECKING:
    from daemon.model import Config

_STATE_DIR = re.compile(
    r"""^state_dir\s*:\s*(?:"([^"\\]+)"|'([^']+)'|([^"'\s#&*!|>{\[][^#\n]*?))\s*(?:#.*)?$""", re.MULTILINE
)


class Whereabouts(NamedTuple):
    """Where the daemon of the config.yaml at `path` keeps its state, or would."""

    path: Path
    state_dir: Path
    config: Config | None = None
    """What the file says, where it had to be read to find out."""
    silent: SilentError | None = None
    """Whoever listens there was asked already, and says nothing."""

    def ask(self, question: str, *, patience: float = PATIENCE, **more: Any) -> dict[str, Any]:
        """What that daemon answers. Raises as `ask` does."""
        if self.silent is not None:
            raise self.silent
        return ask(self.state_dir, question, patience=patience, **more)

    def load(self) -> Config:
        """What the file says, but for the `state_dir` in use. Raises ConfigError."""
        from daemon.config import load_config

        return replace(self.config or load_config(self.path), state_dir=self.state_dir)


def find(path: Path) -> Whereabouts:
    """Where the daemon of a config.yaml is; of one with faults as well, if a daemon works by it, or hangs there.

    Raises ConfigError where there is no telling.
    """
    guessed, silent = state_dir_in_use(path, _at_a_glance(path)), None
    try:
        if _answers_for(guessed, path):
            return Whereabouts(path, guessed)
    except SilentError as error:
        silent = error
    except DarkroomError:
        pass
    from daemon.config import load_config

    try:
        config = load_config(path)
    except ConfigError:
        if silent is None or not alive(guessed):
            raise
        return Whereabouts(path, guessed, silent=silent)
    state_dir = state_dir_in_use(path, config.state_dir)
    return Whereabouts(path, state_dir, config, silent if state_dir == guessed else None)


def _at_a_glance(path: Path) -> Path:
    """Where a file seems to say that its state is. Whoever answers there is asked for its file, so a guess will do."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    found = _STATE_DIR.search(text)
    named = next(filter(None, found.groups()), "var") if found else "var"
    return Path(path.absolute().parent, os.path.expanduser(named))  # which, unlike pathlib's, knows no error


def _note(config: Path) -> Path:
    return config.absolute().with_name(f".{config.name}.state_dir")


def leave(config: Config, tell: Callable[[str], None]) -> None:
    """Note the `state_dir` in use. Where that cannot be, say what it means."""
    from daemon.publishing.outputs import write_whole

    try:
        write_whole(str(_note(config.path)), 0, os.fsencode(config.state_dir))
    except DarkroomError as error:
        tell(f"{error}; until darkroom is started again, its commands will not find it")


def clear(config: Config) -> None:
    """The file says what is so."""
    with contextlib.suppress(OSError):
        _note(config.path).unlink()


def state_dir_in_use(config: Path, state_dir: Path) -> Path:
    """The `state_dir` that the daemon of this file works with: the one given, unless it was edited under a daemon."""
    kept = _noted(config)
    if kept is None or kept == state_dir or not alive(kept):
        return state_dir
    with contextlib.suppress(NoAnswerError):  # it starts, it ends, or it hangs: the lock has to do
        if not _answers_for(kept, config):
            return state_dir
    return kept


def _answers_for(state_dir: Path, config: Path) -> bool:
    """Whether the daemon there works by this file, whatever links lead to its folder. Raises as `ask` does."""
    return entry_of(ask(state_dir, "config").get("path", "")) == entry_of(config.absolute())


def in_use(config: Config) -> Config:
    """The configuration with the `state_dir` that its daemon works with; if that is another one, it is told."""
    if (kept := state_dir_in_use(config.path, config.state_dir)) == config.state_dir:
        return config
    say(f"darkroom: state_dir was edited; until it is started again, the daemon works with {kept}", error=True)
    return replace(config, state_dir=kept)


def refuse_second(config: Config) -> None:
    """Raise DarkroomError if a daemon works by this file, with the `state_dir` from before an edit."""
    if (kept := state_dir_in_use(config.path, config.state_dir)) != config.state_dir:
        raise DarkroomError(
            f"{config.path}: another darkroom (process {holder(kept) or 'unknown'}) works by it, with {kept} as"
            " state_dir was before it was edited; stop that one first"
        )


def _noted(config: Path) -> Path | None:
    """What a note says, if nobody else could have put it there: in a folder that is free to all, anybody may."""
    try:
        with _note(config).open("rb") as file:
            status, trusted = os.fstat(file.fileno()), {0, os.getuid(), os.stat(config).st_uid}
            if status.st_uid not in trusted and os.stat(_note(config).parent).st_mode & stat.S_IWOTH:
                return None
            noted = os.fsdecode(file.read(1 << 16))
            return Path(noted) if noted.startswith("/") and "\0" not in noted else None
    except OSError:
        return None
