"""A small machine with a systemd of its own, booted in a container from the programs of this one; up in a second.

Its `/usr` is this machine's, read-only; everything else is empty, in memory, and gone when it is switched off.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.box import REPOSITORY, wait_until

SHARED = Path("/srv/pictures")
"""Where the folder that machine and tests share is in the machine."""
UP = ("running", "degraded")


class NoMachineError(Exception):
    """None can be had here; the text says why."""


class Machine:
    """A booted machine. Raises NoMachineError where there can be none."""

    def __init__(self, shared: Path) -> None:
        if os.geteuid() != 0:
            raise NoMachineError("booting systemd in a container needs root")
        if (nspawn := shutil.which("systemd-nspawn")) is None:
            raise NoMachineError("systemd-nspawn is not installed (Debian: apt install systemd-container)")
        self.shared = shared
        shared.chmod(0o755)  # the service is not root
        self._log = shared / "console.log"
        binds = [f"--bind-ro={path}" for path in self._code()]
        words = ["-q", "-D", "/", "--volatile=yes", *binds, f"--bind={shared}:{SHARED}"]
        words += ["--register=no", "--keep-unit", "--private-network", "--boot", "systemd.firstboot=off"]
        with self._log.open("wb") as log:
            self._nspawn = subprocess.Popen(
                [nspawn, *words, "systemd.unit=basic.target"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        try:
            self._leader = wait_until(self._find_leader, 20, "a systemd in the container")
            wait_until(lambda: self.run("systemctl", "is-system-running", check=False).strip() in UP, 30, "its boot")
        except (AssertionError, NoMachineError) as error:
            self.close()
            said = self._log.read_text(errors="replace").strip().splitlines()
            raise NoMachineError(f"systemd does not boot in a container here: {(said or [str(error)])[-1]}") from error
        # Where two machines boot at once, its users are not always made at the first try, and root has no home then.
        self.run("systemd-sysusers")
        for path in self._code():  # folders above it that were made for it are root's alone
            for above in path.parents:
                self.run("chmod", "a+rx", str(above), check=False)

    @staticmethod
    def _code() -> Sequence[Path]:
        """This Python, what is installed for it, and this checkout."""
        wanted = sorted({REPOSITORY, Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parent})
        outer = [path for path in wanted if not any(other in path.parents for other in wanted)]
        return [path for path in outer if not path.is_relative_to("/usr")]

    def _find_leader(self) -> int:
        if self._nspawn.poll() is not None:
            raise NoMachineError("systemd-nspawn ended")
        try:
            children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text().split()
            return next(int(child) for child in children if Path(f"/proc/{child}/comm").read_text() == "systemd\n")
        except (OSError, StopIteration):
            return 0

    def inside(self, *words: str | Path) -> list[str]:
        """The command line that runs `words` in the machine, as its root."""
        return ["nsenter", "-t", str(self._leader), "-m", "-p", "-u", "-i", "-n", "--", *map(str, words)]

    def run(self, *words: str | Path, check: bool = True, timeout: float = 60.0) -> str:
        """What a command says, both ways."""
        done = subprocess.run(
            self.inside(*words), capture_output=True, text=True, timeout=timeout, check=False, cwd="/",
            env={"PATH": "/usr/bin:/usr/sbin", "PYTHONPATH": str(REPOSITORY), "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def darkroom(self, *words: str | Path, check: bool = True) -> str:
        """What a `darkroom` command says."""
        return self.run(sys.executable, "-P", "-m", "daemon.cli", *words, check=check)

    def show(self, unit: str, what: str) -> str:
        """A property of a unit."""
        return self.run("systemctl", "show", unit, "--value", "-p", what).strip()

    def journal(self, unit: str) -> str:
        """All that a unit has said."""
        return self.run("journalctl", "--no-pager", "-o", "cat", "-u", unit)

    def log_in(self, name: str, number: int) -> Sequence[str]:
        """Make a user with a home and a service manager; what is put before a command to run it as this user.

        Raises NoMachineError. Without PAM, whose rules lie in the /etc that is not here.
        """
        home, place, manager = f"/home/{name}", f"/run/user/{number}", f"user@{number}.service"
        drop_in = f"/etc/systemd/system/{manager}.d"
        text = f"[Service]\\nPAMName=\\nEnvironment=XDG_RUNTIME_DIR={place}\\n"
        self.run("systemd-sysusers", "--inline", f"u {name} {number} - {home} /bin/sh")
        self.run("install", "-d", "-o", name, home)
        self.run("sh", "-c", f"mkdir -p {drop_in} && printf '{text}' > {drop_in}/test.conf && systemctl daemon-reload")
        self.run("systemctl", "start", f"user-runtime-dir@{number}", manager, check=False)
        if self.show(manager, "ActiveState") != "active":
            raise NoMachineError("the machine has no service managers for users")
        become = ["setpriv", f"--reuid={number}", f"--regid={number}", "--init-groups"]
        return [*become, "env", f"HOME={home}", f"XDG_RUNTIME_DIR={place}"]

    def close(self) -> None:
        """Switch it off."""
        if self._nspawn.poll() is None:
            self._nspawn.send_signal(signal.SIGTERM)
            try:
                self._nspawn.wait(15)
            except subprocess.TimeoutExpired:
                self._nspawn.kill()  # takes the whole container along: its first process dies with it
                self._nspawn.wait()
