"""The life of the service under a real systemd: installed, started, killed, hung, stopped in the middle, taken away.

One machine for all of them, or one for each process of the suite. Every test finds the service installed and running.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from tests.box import REPOSITORY, Pixels, encoded, wait_until
from tests.service.machine import SHARED, Machine, NoMachineError

pytestmark = pytest.mark.systemd

CONFIG = """version: 1
settle: 100ms
rules:
  - name: mosaic
    watch: in
    steps: [mosaic: {block: 16}]
    output: out/{dir}/{stem}.{ext}
"""
FAULT = """
import sys
from pathlib import Path

if "run" in sys.orig_argv:
    import time

    from daemon.pipeline import pipeline
    from daemon.publishing.publish import Publisher

    publish, pipeline.PUBLISH_WITHIN = Publisher.publish, 2.0

    def hang(self, group):
        while Path("/srv/pictures/hang").exists():
            time.sleep(0.1)
        return publish(self, group)

    Publisher.publish = hang
"""
"""A publishing thread that hangs while a file is there. Python runs `sitecustomize` of its path before anything."""


DROP_INS = "/etc/systemd/system/darkroom.service.d"


class Served:
    """A box whose daemon is a service of a machine. Paths outside the machine; `inside` says what they are in it."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.folder = machine.shared / "box"

    def inside(self, name: str) -> Path:
        return SHARED / "box" / name

    def service(self, *words: str, check: bool = True) -> str:
        return self.machine.darkroom("service", *words, "-c", self.inside("config.yaml"), check=check)

    def systemctl(self, *words: str, check: bool = True) -> str:
        return self.machine.run("systemctl", *words, check=check)

    @property
    def pid(self) -> int:
        """Of the daemon, as the machine counts; 0 while there is none."""
        return int(self.machine.show("darkroom", "MainPID"))

    @property
    def state(self) -> str:
        return self.machine.show("darkroom", "ActiveState")

    def kill(self, number: int) -> None:
        self.machine.run("kill", f"-{number}", str(self.pid))

    def configure(self, text: str = CONFIG) -> None:
        """Write config.yaml, as its owner."""
        (self.folder / "config.yaml").write_text(text)
        os.chown(self.folder / "config.yaml", 1, 1)

    @property
    def installed(self) -> bool:
        return self.machine.show("darkroom", "LoadState") == "loaded"

    def drop(self, name: str, picture: bytes) -> None:
        path = self.folder / "in" / name
        path.write_bytes(picture)
        path.chmod(0o644)

    def done(self) -> set[str]:
        return {path.name for path in (self.folder / "out").glob("[!.]*")}

    def wait_restarted(self, before: int, timeout: float = 30.0) -> None:
        wait_until(lambda: self.pid not in (0, before) and self.state == "active", timeout, "the restart")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    try:
        booted = Machine(tmp_path_factory.mktemp("machine"))
    except NoMachineError as error:
        pytest.skip(str(error))
    yield booted
    booted.close()


@pytest.fixture(scope="module")
def jpeg(small: Pixels) -> bytes:
    return encoded(small, ".jpg")


@pytest.fixture(scope="module")
def prepared(machine: Machine, graphs: Path, jpeg: bytes) -> Served:
    made = Served(machine)
    (machine.shared / "picture.jpg").write_bytes(jpeg)
    owned(made.folder, graphs)
    made.configure()
    return made


@pytest.fixture
def bare(prepared: Served) -> Served:
    """Not installed."""
    if prepared.installed:
        prepared.service("uninstall")
        shutil.rmtree(prepared.folder / "in")
    prepared.configure()
    return prepared


@pytest.fixture
def served(prepared: Served) -> Iterator[Served]:
    """Installed, and running by CONFIG."""
    prepared.configure()
    if prepared.state != "active":
        prepared.service("install")
    yield prepared
    prepared.machine.run("rm", "-rf", DROP_INS)


def owned(folder: Path, graphs: Path) -> None:
    """A folder with a state_dir that has the graphs, of the user `daemon`, whom every machine has."""
    shutil.copytree(graphs, folder / "var" / "graphs")
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, 1, 1)


def test_install_refuses_a_configuration_with_faults(bare: Served) -> None:
    bare.configure(CONFIG.replace("watch:", "wach:"))
    assert "config.yaml:5:5: rules[0].wach" in bare.service("install", check=False)
    assert not bare.installed


def test_install_starts_it_as_the_owner_and_says_what_is_next(bare: Served) -> None:
    said = bare.service("install")
    assert f"made, in {bare.inside('')}: in" in said and "darkroom runs as daemon" in said
    assert "journalctl -fu darkroom" in said and "systemctl reload darkroom" in said
    assert bare.state == "active", "systemctl returned before folders were watched"
    assert bare.machine.show("darkroom", "UnitFileState") == "enabled"
    assert "ready" in bare.machine.journal("darkroom").splitlines()


def test_a_dropped_file_is_done_and_status_tells(served: Served, jpeg: bytes) -> None:
    served.drop("first.jpg", jpeg)
    wait_until(lambda: "first.jpg" in served.done(), what="the result")
    wait_until(lambda: "0 waiting, 0 in work" in served.machine.show("darkroom", "StatusText"), what="the status")
    assert "on the cpu" in served.systemctl("status", "darkroom")


def test_a_file_that_another_user_holds_open_waits(served: Served, jpeg: bytes) -> None:
    """Root writes it: only with CAP_LEASE does the kernel tell the service."""
    with (served.folder / "in" / "held.jpg").open("wb") as file:
        file.write(jpeg)
        file.flush()
        os.fchmod(file.fileno(), 0o644)
        why = ("why", served.inside("in/held.jpg"), "-c", served.inside("config.yaml"))
        wait_until(lambda: "still has it open" in served.machine.darkroom(*why, check=False), what="its waiting")
        assert "held.jpg" not in served.done()
    wait_until(lambda: "held.jpg" in served.done(), what="the result")


def test_it_can_write_what_the_rules_name_and_nothing_else(served: Served) -> None:
    """Tried where it lives, by its user, and by root without the rights of one."""
    there = ["nsenter", "-t", str(served.pid), "-m", "--"]
    daemon = [*there, "setpriv", "--reuid=1", "--regid=1", "--clear-groups"]
    served.machine.run(*daemon, "touch", str(served.inside("out/tried")))
    (served.folder / "out" / "tried").unlink()
    served.machine.run(*daemon, "test", "-r", "/usr/bin/env")
    for path in (SHARED / "elsewhere", Path("/var/elsewhere"), Path("/root/elsewhere"), served.inside("config.yaml")):
        assert "Read-only" in served.machine.run(*there, "touch", str(path), check=False), path
    told = served.machine.run("cat", f"/proc/{served.pid}/status")
    assert "CapEff:\t0000000010000000" in told and "NoNewPrivs:\t1" in told and "Seccomp:\t2" in told  # CAP_LEASE alone
    for kind in ("net", "ipc", "mnt"):
        own, others = served.machine.run("readlink", f"/proc/{served.pid}/ns/{kind}", f"/proc/1/ns/{kind}").split()
        assert own != others, kind


def test_an_editor_that_renames_is_seen_through_the_guard_on_config(served: Served) -> None:
    new = served.folder / "config.new"
    new.write_text(CONFIG + "# edited\n")
    new.rename(served.folder / "config.yaml")
    there = ["nsenter", "-t", str(served.pid), "-m", "--"]
    assert "# edited" in served.machine.run(*there, "cat", str(served.inside("config.yaml")))
    assert "runs as daemon" in served.service("install"), "the file is root's now; the service keeps its user"


def test_pytorch_works_within_its_bounds(served: Served, small: Pixels) -> None:
    """A network's convolutions are machine code that is made while it runs, which a stricter unit forbids."""
    steps = "[deep_image_prior: {job: denoise, iterations: 2}]"
    served.configure(f"{CONFIG}  - {{name: prior, watch: tasks, steps: {steps}, output: 'out/{{stem}}.png'}}\n")
    served.service("install")
    (served.folder / "tasks" / "task.png").write_bytes(encoded(small[:32, :32], ".png"))
    wait_until(lambda: "task.png" in served.done(), 120, "the result")


@pytest.fixture(scope="module")
def large() -> bytes:
    """A photograph of six megapixels: some dozens of them are work for seconds."""
    picture = cv2.resize(data.astronaut(), (2448, 2448), interpolation=cv2.INTER_CUBIC)
    return encoded(np.asarray(picture, np.uint8), ".jpg")


def test_killed_it_comes_back_and_finishes(served: Served, large: bytes) -> None:
    before = served.pid
    names = {f"kill-{number:03}.jpg" for number in range(60)}
    for name in names:
        served.drop(name, large)
    wait_until(lambda: len(served.done() & names) > 2, what="some results")
    served.kill(signal.SIGKILL)
    assert not names <= served.done()
    served.wait_restarted(before)
    wait_until(lambda: names <= served.done(), 60, "the backlog")
    assert served.machine.show("darkroom", "NRestarts") != "0"


def drop_in(served: Served, *lines: str) -> None:
    """As `systemctl edit` does it."""
    text = "\n".join(["[Service]", *lines])
    served.machine.run("sh", "-c", f"mkdir -p {DROP_INS} && cat > {DROP_INS}/test.conf <<'END'\n{text}\nEND")
    served.systemctl("daemon-reload")
    served.systemctl("restart", "darkroom")


def test_stopped_by_a_signal_it_is_started_anew_by_the_watchdog(served: Served, jpeg: bytes) -> None:
    drop_in(served, "WatchdogSec=3", "RestartSec=100ms")
    before = served.pid
    served.kill(signal.SIGSTOP)
    served.wait_restarted(before)
    journal = served.machine.journal("darkroom")
    assert "Watchdog timeout" in journal and "Fatal Python error: Aborted" in journal
    served.drop("after-stop.jpg", jpeg)
    wait_until(lambda: "after-stop.jpg" in served.done(), what="the result")


def test_one_thread_that_hangs_is_named_and_cured(served: Served, jpeg: bytes) -> None:
    fault = served.machine.shared / "fault"
    fault.mkdir(exist_ok=True)
    (fault / "sitecustomize.py").write_text(FAULT)
    drop_in(served, "WatchdogSec=30", f"Environment=PYTHONPATH={SHARED}/fault:{REPOSITORY}")
    before, flag = served.pid, served.machine.shared / "hang"
    flag.touch()
    served.drop("hung.jpg", jpeg)
    wait_until(lambda: "publish: no sign of life" in served.machine.journal("darkroom"), what="the complaint")
    flag.unlink()
    served.wait_restarted(before)
    journal = served.machine.journal("darkroom")
    assert "in hang" in journal.split("no sign of life")[1], "where the thread hangs"
    wait_until(lambda: "hung.jpg" in served.done(), what="the result")


def test_a_stop_in_the_middle_is_quick_and_nothing_is_lost(served: Served, large: bytes) -> None:
    names = {f"stop-{number:03}.jpg" for number in range(80)}
    for name in names:
        served.drop(name, large)
    wait_until(lambda: len(served.done() & names) > 2, what="some results")
    began = time.monotonic()
    served.systemctl("stop", "darkroom")
    took = time.monotonic() - began
    assert took < 5, took
    assert served.machine.show("darkroom", "Result") == "success"
    assert not names <= served.done()
    served.systemctl("start", "darkroom")
    wait_until(lambda: names <= served.done(), 60, "the rest")


def test_a_unit_that_was_edited_is_not_overwritten(served: Served) -> None:
    unit = "/etc/systemd/system/darkroom.service"
    served.service("install")  # as the configuration is now
    served.machine.run("cp", unit, "/root/unit")
    served.machine.run("sed", "-i", "s/^TasksMax=.*/TasksMax=7/", unit)
    for action in ("install", "uninstall"):
        said = served.service(action, check=False)
        assert "was edited by hand" in said and "systemctl edit darkroom" in said
    served.machine.run("cp", "/root/unit", unit)
    said = served.service("install")
    assert "is as it should be" in said


def test_a_configuration_that_turned_bad_is_not_started_again_and_again(served: Served) -> None:
    served.configure("version: 1\n")
    served.systemctl("restart", "darkroom", check=False)
    assert served.state == "failed" and served.machine.show("darkroom", "ExecMainStatus") == "2"
    served.configure()
    served.service("install")
    assert served.state == "active"


def test_a_new_folder_is_the_services_after_another_install(served: Served, jpeg: bytes) -> None:
    served.configure(CONFIG.replace("output: out/", "output: /srv/later/"))
    served.machine.run("install", "-d", "-o", "daemon", "/srv/later")
    served.systemctl("restart", "darkroom")
    served.drop("later.jpg", jpeg)
    told = "Read-only file system); if config.yaml names the folder since lately: `darkroom service install` again"
    wait_until(lambda: told in served.machine.journal("darkroom"), what="the complaint")
    served.service("install")
    wait_until(lambda: "later.jpg" in served.machine.run("ls", "/srv/later"), what="the result")
    served.configure()
    served.service("install")


def test_a_folder_that_the_unit_hides_is_told(served: Served, jpeg: bytes) -> None:
    """It has a /tmp of its own: the folder would seem to be there, and empty."""
    if served.machine.show("darkroom", "PrivateTmp") != "yes":
        pytest.skip("darkroom's own code lies below /tmp here, which is therefore open")
    served.configure(
        f"{CONFIG}  - {{name: hidden, watch: /tmp/drop, steps: [grayscale], output: 'out/g/{{stem}}.jpg'}}\n"
    )
    served.systemctl("reload", "darkroom")
    told = "/tmp/drop: closed to the service: config.yaml did not name it when the unit was made; `darkroom service "
    wait_until(lambda: told in served.machine.journal("darkroom"), what="the complaint")
    assert f"blocked: {told}" in served.machine.darkroom("status", "-c", served.inside("config.yaml"))
    served.configure()
    served.systemctl("reload", "darkroom")
    assert "blocked" not in served.machine.darkroom("status", "-c", served.inside("config.yaml"))


def test_the_first_hook_and_port_are_the_services_after_another_install(served: Served) -> None:
    hook = "    on_failure: {webhook: 'http://127.0.0.1:9/', every: 0}\n"
    served.configure(CONFIG.replace("settle:", "metrics: {port: 9464}\nsettle:") + hook)
    served.systemctl("restart", "darkroom")
    told = "config.yaml had no port when the unit was made: `darkroom service install` again"
    wait_until(lambda: told in served.machine.journal("darkroom"), what="the complaint about the port")
    served.drop("no-picture.jpg", b"no picture")
    told = "the network is closed to the service: config.yaml had no hook when the unit was made; `darkroom service "
    wait_until(lambda: told in served.machine.journal("darkroom"), what="the complaint about the hook")
    served.service("install")
    before = served.machine.journal("darkroom")
    assert "metrics: http://127.0.0.1:9464/metrics" in before
    served.drop("no-picture-either.jpg", b"no picture either")
    told = "not reached: Connection refused"
    wait_until(lambda: told in served.machine.journal("darkroom"), what="that the network is open")
    assert served.machine.journal("darkroom").count("the network is closed") == before.count("the network is closed")
    served.configure()
    served.service("install")


def test_odd_names_reach_the_daemon_whole(served: Served, graphs: Path, jpeg: bytes) -> None:
    name = "a b%h $HOME \"q\" 'x' \\ é; #"
    folder = served.machine.shared / name
    folder.mkdir()
    (folder / "config %n.yaml").write_text(CONFIG.replace("watch: in", f"watch: in{chr(92)}$X %t"))
    owned(folder, graphs)
    config = SHARED / name / "config %n.yaml"
    served.machine.darkroom("service", "install", "--name", "odd", "-c", config)
    (folder / "in\\$X %t" / "odd.jpg").write_bytes(jpeg)
    wait_until((folder / "out" / "odd.jpg").exists, what="the result")
    served.machine.darkroom("service", "uninstall", "--name", "odd")
    assert served.state == "active"


def test_roots_configuration_gets_a_user_of_its_own(served: Served, graphs: Path, jpeg: bytes) -> None:
    served.machine.run("mkdir", "/etc/darkroom")
    text = CONFIG.replace("in\n", "/srv/own/in\n").replace("out/", "/srv/own/out/")
    text = text.replace("settle:", "state_dir: /var/lib/darkroom\nsettle:")
    served.machine.run("sh", "-c", f"cat > /etc/darkroom/config.yaml <<'END'\n{text}END")
    config = ("--name", "own", "-c", "/etc/darkroom/config.yaml")
    served.machine.run("sh", "-c", "mkdir /var/lib/darkroom && touch /var/lib/darkroom/ledger.db")  # `run`, as root
    said = served.machine.darkroom("service", "install", "--no-start", *config, check=False)
    assert "made the user darkroom" in said and "worked there as another user; `sudo chown -R darkroom" in said
    assert served.machine.show("own", "LoadState") == "not-found"
    served.machine.run("chown", "-R", "darkroom", "/var/lib/darkroom")
    said = served.machine.darkroom("service", "install", "--no-start", *config)
    assert "/etc/darkroom: darkroom may not write there" in said
    shown = served.machine.darkroom("service", "show", *config)
    assert "StateDirectory=darkroom\n" in shown and "User=darkroom\n" in shown
    assert "darkroom" in served.machine.run("stat", "-c", "%U", "/srv/own/in")
    served.machine.run("systemctl", "daemon-reload")
    served.machine.run("cp", "-r", served.inside("var/graphs"), "/var/lib/darkroom/graphs")
    served.machine.run("chown", "-R", "darkroom:", "/var/lib/darkroom")
    served.machine.run("systemctl", "start", "own")
    served.machine.run("cp", SHARED / "picture.jpg", "/srv/own/in/")
    wait_until(lambda: "picture.jpg" in served.machine.run("ls", "/srv/own/out", check=False), what="the result")
    served.machine.darkroom("service", "uninstall", "--name", "own")


def test_a_users_own_service(served: Served, jpeg: bytes) -> None:
    machine, home = served.machine, Path("/home/anna")
    try:
        anna = machine.log_in("anna", 1234)
    except NoMachineError as error:
        pytest.skip(str(error))
    machine.run(*anna, "mkdir", "-p", home / "pictures/var")
    machine.run(*anna, "cp", "-r", served.inside("var/graphs"), home / "pictures/var/graphs")
    machine.run(*anna, "sh", "-c", f"cat > {home}/pictures/config.yaml <<'END'\n{CONFIG}END")
    darkroom = [*anna, sys.executable, "-P", "-m", "daemon.cli", "service"]
    said = machine.run(*darkroom, "install", "--user", "-c", home / "pictures/config.yaml")
    assert "darkroom runs, and starts with your session" in said and "loginctl enable-linger" in said
    machine.run(*anna, "cp", SHARED / "picture.jpg", home / "pictures/in/own.jpg")
    wait_until(lambda: "own.jpg" in machine.run("ls", home / "pictures/out", check=False), what="the result")
    pid = machine.run(*anna, "systemctl", "--user", "show", "darkroom", "--value", "-p", "MainPID").strip()
    there = ["nsenter", "-t", pid, "-U", "-m", "--preserve-credentials", "--"]
    assert "Read-only" in machine.run(*there, "touch", home / "elsewhere", check=False)
    assert "is removed" in machine.run(*darkroom, "uninstall", "--user")
    told = machine.run(*darkroom[:-1], "status", "-c", served.inside("config.yaml"), check=False)
    assert "may not ask the daemon, which works as daemon; put `sudo -u daemon` before the command" in told


def test_reload_says_what_is_wrong_and_keeps_the_rules(served: Served) -> None:
    """What `ExecReload` calls: the command of a live daemon."""
    pid, changed = served.pid, "config.yaml: rule mosaic changed: steps"
    before = served.machine.journal("darkroom").count(changed)
    served.configure(CONFIG.replace("block: 16", "block: 8"))
    served.systemctl("reload", "darkroom")
    assert served.machine.journal("darkroom").count(changed) == before + 1, "systemctl returned before it was in force"
    served.configure(CONFIG.replace("watch:", "wach:"))
    assert "failed" in served.systemctl("reload", "darkroom", check=False)
    assert "rules[0].wach" in served.machine.journal("darkroom")
    assert (served.pid, served.state) == (pid, "active")
    served.configure()
    served.systemctl("reload", "darkroom")


def test_uninstall_leaves_pictures_and_state(served: Served, jpeg: bytes) -> None:
    served.drop("stays.jpg", jpeg)
    wait_until(lambda: "stays.jpg" in served.done(), what="the result")
    said = served.service("uninstall")
    assert "stopped" in said and "stay" in said
    assert (served.installed, served.state) == (False, "inactive")
    assert {"stays.jpg"} <= served.done() and (served.folder / "var" / "ledger.db").exists()
    assert "there is no such unit" in served.service("uninstall", check=False)
