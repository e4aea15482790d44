"""The command line: words in, a call, an exit status. What the commands do lives in the rooms they import.

Imports are made by the command that needs them: `darkroom jobs` must not load a codec to answer.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from types import FrameType

# NumPy's BLAS starts a thread a core that spins for work; nothing here multiplies matrices in this process.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# ONNX Runtime would number this machine, in ~/.cache/Microsoft, and send how it is used; seen in 1.31.1.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# Pydantic would read the metadata of every installed package in search of plugins.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

from daemon.cli.words import FAILED, OK, USAGE, Parser, Version
from daemon.errors import ConfigError, DarkroomError, final
from daemon.shown import say

__all__ = ["OK", "main"]

INTERRUPTED = 128 + signal.SIGINT
"""The exit status that shells give for Ctrl-C."""

FAMILIES = {
    "working": ("run", "check", "apply", "export"),
    "asking": ("status", "jobs", "why", "operators", "doctor"),
    "changing": ("retry", "redo", "cancel", "reload", "relocate"),
    "service": ("service",),
    "weights": ("weights",),
    "describing": ("schema", "completion"),
}
"""Which file has which commands: only that of the command given is loaded to answer."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Errors are one line on stderr; a traceback only with `--debug`."""
    # While modules load, every search for cycles is in vain: without any, a third of the time of a short command is
    # saved. Commands that work for longer turn it on again.
    collected = gc.isenabled()
    gc.disable()
    words = sys.argv[1:] if arguments is None else arguments
    with _interrupts() as interrupted:
        try:
            status = _main(words)
        except BaseException:  # Ctrl-C while a module of C or Rust loads comes out as its ImportError, or its panic
            if not interrupted:
                raise
        finally:
            if collected:
                gc.enable()
    return INTERRUPTED if interrupted else status


@contextlib.contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Ctrl-C raises KeyboardInterrupt, as Python has it, and is noted here; the next one ends the process at once."""
    heard = list[int]()

    def hear(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        heard.append(number)
        raise KeyboardInterrupt

    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else nobody may interrupt us
    if ours and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, hear)
    try:
        yield heard
    finally:
        if signal.getsignal(signal.SIGINT) is hear:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _open_streams() -> None:
    """Where one was closed (`2>&-`), what is meant for it goes nowhere, and no file of ours gets its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere == number:
                os.set_inheritable(number, True)  # as the other way makes it: what we start has it, too
            else:
                os.dup2(nowhere, number)
                os.close(nowhere)
            setattr(sys, name, open(number, "r" if name == "stdin" else "w", closefd=False))  # noqa: SIM115


def _main(words: Sequence[str]) -> int:
    _open_streams()
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # names of files need not be UTF-8
    sys.stderr.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    options = parser(words).parse_args(words)
    try:
        status: int = options.command(options)
        sys.stdout.flush()
        return status
    except ConfigError as error:
        say(*error.faults, error=True)
        return USAGE
    except DarkroomError as error:
        return _fail(f"darkroom: {final(error)}", options.debug)
    except BrokenPipeError:
        _forget_output()  # `darkroom jobs | head` is no error
        return OK
    except OSError as error:
        _forget_output()
        return _fail(f"darkroom: {error.filename or 'standard output'}: {error.strerror}", options.debug)
    except KeyboardInterrupt:
        return INTERRUPTED


def _forget_output() -> None:
    """Let what is still buffered for standard output go nowhere: Python would complain at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(text: str, debug: bool) -> int:
    say(text, error=True)
    if debug:
        say(*traceback.format_exc().splitlines(), error=True)
    return FAILED


def parser(words: Sequence[str] = ()) -> Parser:
    """The parser of all commands; where `words` begin with one, of those in the same file."""
    found = Parser(prog="darkroom", description="A batch-processing daemon for pictures.")
    found.add_argument("--debug", action="store_true", help="tell more, and show tracebacks")
    found.add_argument("--version", action=Version, nargs=0, help="tell which darkroom this is")
    commands = found.add_subparsers(title="commands", required=True, metavar="COMMAND")
    command = next((word for word in words if word != "--debug"), "")
    families = [family for family, known in FAMILIES.items() if command in known] or list(FAMILIES)
    for family in families:
        importlib.import_module(f"daemon.cli.{family}").add_commands(commands)
    return found
