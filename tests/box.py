"""A box: a folder with a config.yaml, driven through the real command line. Rules in, files out."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from daemon import cli

REPOSITORY = Path(__file__).parents[1]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"}
MOSAIC = "[mosaic: {block: 16}]"
COMPARED = "[mosaic: {block: 8}, psnr]"
PSNR = "[psnr]"
STUDY = "[pool_upsample_psnr: {scales: [1, 2, 4], size: 32}]"
Pixels = NDArray[np.uint8]


def wait_until(condition: Callable[[], Any], timeout: float = 30.0, what: str = "the condition") -> Any:
    """Poll until `condition()` is true and give its value; fail the test after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not come true within {timeout} s"
        time.sleep(0.01)
    return found


# A suite that was started in the background, or by nohup, ignores these signals, and so would what it starts.
HEARING = ("env", "--default-signal=INT,HUP")


def slow_encoding(seconds: float) -> str:
    """Python for `Box.start(before=...)`: to encode a picture takes so much longer."""
    return f"""
import time
import daemon.pipeline.stages as stages
real = stages.encode_result
def slow(work):
    time.sleep({seconds})
    return real(work)
stages.encode_result = slow
"""


class Daemon:
    """A `darkroom run` in a process of its own; its lines are collected in a file."""

    def __init__(
        self,
        command: list[str],
        folder: Path,
        environment: dict[str, str],
        through: tuple[str, ...] = HEARING,
    ) -> None:
        self.log = folder / f"daemon-{time.monotonic_ns()}.log"
        with self.log.open("wb") as log:
            words = [*through, *command]
            self.process = subprocess.Popen(words, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)

    @property
    def lines(self) -> list[str]:
        return self.log.read_text(errors="replace").splitlines()

    def said(self, text: str) -> bool:
        return any(text in line for line in self.lines)

    def wait_ready(self) -> None:
        wait_until(lambda: self.said("ready") or self.process.poll() is not None, what="ready")
        assert self.process.poll() is None, self.lines

    def stop(self, number: int = signal.SIGINT, timeout: float = 15.0) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout)


class Box:
    """One configuration in a folder of its own; it and one-shot commands find the graphs of the session compiled."""

    def __init__(self, folder: Path, graphs: Path, environment: dict[str, str] = ENVIRONMENT) -> None:
        self.folder = folder
        self.environment = environment | {"XDG_CACHE_HOME": str(folder / "cache")}
        self._daemons: list[Daemon] = []
        shutil.copytree(graphs, folder / "var" / "graphs")
        (folder / "cache" / "darkroom").mkdir(parents=True)
        (folder / "cache" / "darkroom" / "graphs").symlink_to(folder / "var" / "graphs")
        self.rules()

    def rules(self, text: str = "", *, head: str = "settle: 100ms", steps: str = MOSAIC) -> None:
        """Write config.yaml: one rule `mosaic` from `in` to `out`, with `text` as its further keys."""
        self.write_config(
            f"version: 1\n{head}\nrules:\n  - name: mosaic\n    watch: in\n    steps: {steps}\n"
            + ("" if "output:" in text else "    output: out/{dir}/{stem}.{ext}\n")
            + "".join(f"    {line}\n" for line in text.splitlines())
        )

    def write_config(self, text: str) -> None:
        (self.folder / "config.yaml").write_text(text)

    def drop(self, name: str, content: Pixels | bytes, age: float = 60.0) -> Path:
        """Put a picture (RGB) or bytes at `name`, by default long enough ago to be still."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else encoded(content, path.suffix))
        if age:
            os.utime(path, (time.time() - age, time.time() - age))
        return path

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "daemon.cli", *words]

    def darkroom(self, *words: str, check: int | None = 0, timeout: float = 90.0) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        done = subprocess.run(
            self.command(*words),
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert check is None or done.returncode == check, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def once(self, check: int | None = 0) -> subprocess.CompletedProcess[str]:
        return self.darkroom("run", "--once", check=check)

    def running(self, before: str, *words: str) -> list[str]:
        """The command that `start` starts."""
        if not before:
            return self.command("run", *words)
        main = "import sys; from daemon.cli import main; sys.exit(main(sys.argv[1:]))"
        return [sys.executable, "-c", f"{before}\n{main}", "run", *words]

    def start(self, *words: str, ready: bool = True, before: str = "", **environment: str) -> Daemon:
        """Start the daemon; `words` are further words of its command line, `before` is Python that it runs first."""
        command = self.running(before, *words)
        daemon = Daemon(command, self.folder, self.environment | environment)
        self._daemons.append(daemon)
        if ready:
            daemon.wait_ready()
        return daemon

    def close(self) -> None:
        for daemon in self._daemons:
            if daemon.process.poll() is None:
                daemon.process.kill()
                daemon.process.wait()

    def files(self, folder: str = "out") -> list[str]:
        """Every file below a folder, hidden ones included, sorted."""
        root = self.folder / folder
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())

    def picture(self, name: str) -> Pixels:
        return read(self.folder / name)

    def jobs(self, *words: str) -> list[dict[str, Any]]:
        """What `darkroom jobs --json` says."""
        found: list[dict[str, Any]] = json.loads(self._answer("jobs", "--json", *words))
        return found

    def _answer(self, *words: str) -> str:
        """The answer of a command that only reads, from the same `main` in this process.

        Nearly every test asks what became of its jobs, many again and again until it is so; starting Python and
        loading darkroom takes fifty times as long as the answer. Steps that this process does not know (toys, a copy
        of the kernels in the box) need a process of their own.
        """
        if self.environment.get("PYTHONPATH") != str(REPOSITORY) or (self.folder / "kernels").exists():
            return self.darkroom(*words).stdout
        said, complained = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complained):
            status = cli.main([*words, "-c", str(self.folder / "config.yaml")])
        answer, complaint = (file.buffer.getvalue().decode() for file in (said, complained))
        assert status == cli.OK, f"{words}: {status}\n{answer}\n{complaint}"
        return str(answer)

    def states(self) -> dict[str, str]:
        """The newest state of each source, by name."""
        return {Path(job["source"]).name: job["state"] for job in reversed(self.jobs())}


def encoded(pixels: Pixels, suffix: str) -> bytes:
    done, buffer = cv2.imencode(suffix, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    assert done
    return buffer.tobytes()


def read(path: Path) -> Pixels:
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    assert pixels is not None, path
    return np.asarray(pixels, np.uint8)
