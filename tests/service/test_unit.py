"""The unit that is made from config.yaml: what it lets the service do, in systemd's own judgement."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.cli import main
from daemon.config import load_config
from daemon.errors import DarkroomError
from daemon.model import Config
from daemon.unit.closed import closed
from daemon.unit.starting import how_to_start
from daemon.unit.text import unit_text
from daemon.unit.values import Account, Host, Service, unit_name
from tests.box import Box

ANNA = Account("anna", 1000, 1000, Path("/home/anna"))
PLAIN = Host(Path("/usr/bin/python3"), "", 252, cards=False, namespaces=True)
RULE = """
  - name: {name}
    watch: {watch}
    steps: [{step}]
    output: {output}
    source: {source}
"""
ODD = "a b%h $HOME \"q\" 'x' \\ é; #"


def analyzer() -> str:
    found = shutil.which("systemd-analyze")
    if found is None:
        pytest.skip("systemd-analyze is not installed")
    return found


def configured(tmp_path: Path, rules: str = "", head: str = "", path: str = "/srv/pictures/config.yaml") -> Config:
    """A configuration that lies at `path`, as far as it knows."""
    file = tmp_path / "config.yaml"
    rules = rules or rule()
    file.write_text(f"version: 1\nstate_dir: /srv/pictures/var\n{head}rules:{rules}")
    return replace(load_config(file), path=Path(path))


def rule(
    name: str = "mosaic",
    watch: str = "/srv/in",
    output: str = "/srv/out/{stem}.png",
    source: str = "keep",
    step: str = "grayscale",
) -> str:
    return RULE.format(name=name, watch=watch, output=output, source=source, step=step)


def made(config: Config, host: Host = PLAIN, account: Account | None = ANNA) -> dict[str, list[str]]:
    """The settings of the unit, each with its values."""
    text = unit_text(config, Service("darkroom", account, Path("/home/anna")), host)
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


def analyzed(tmp_path: Path, text: str, *words: str) -> subprocess.CompletedProcess[str]:
    unit = tmp_path / "darkroom.service"
    unit.write_text(text)
    return subprocess.run([analyzer(), *words, str(unit)], capture_output=True, text=True, check=False)


def exposure(tmp_path: Path, config: Config, host: Host = PLAIN) -> float:
    text = unit_text(config, Service("darkroom", ANNA, ANNA.home), host)
    done = analyzed(tmp_path, text, "security", "--offline=yes", "--no-pager")
    found = re.search(r"Overall exposure level.*: ([\d.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    return float(found[1])


def test_systemd_calls_it_safe(tmp_path: Path) -> None:
    assert exposure(tmp_path, configured(tmp_path)) <= 1.0
    home = configured(tmp_path, rule(watch="/home/anna/in"), path="/home/anna/darkroom/config.yaml")
    assert exposure(tmp_path, home) <= 1.0
    assert exposure(tmp_path, configured(tmp_path, head="runtime: {device: cuda}\n")) <= 1.5
    assert exposure(tmp_path, configured(tmp_path, head="metrics: {port: 9464}\n")) <= 1.5
    hook = f"{rule()}    on_idle: {{webhook: 'https://example.org'}}\n"
    assert exposure(tmp_path, configured(tmp_path, hook, head="runtime: {device: cuda}\n")) <= 2.0


def test_systemd_understands_every_line(tmp_path: Path) -> None:
    python = tmp_path / "a b%h $HOME é; #" / "python"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    yaml = f"'{'/srv/' + ODD.replace(chr(39), chr(39) * 2)}'"
    config = configured(tmp_path, rule(watch=yaml, source="delete"), path=f"/srv/{ODD}/config.yaml")
    host = replace(PLAIN, python=python, python_path=f"/opt/{ODD}")
    text = unit_text(config, Service("darkroom", replace(ANNA, name="daemon"), ANNA.home), host)
    done = analyzed(tmp_path, text, "verify")
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_only_what_the_rules_name_is_written(tmp_path: Path) -> None:
    rules = rule() + rule("gone", "/data/gone", "/data/done/{stem}.png", "delete")
    rules += rule("moved", "/data/moved", "/data/done/{stem}-2.png", '{move: {to: "/data/old/{name}"}}')
    found = made(configured(tmp_path, rules))["ReadWritePaths"]
    folders = "/srv/pictures", "/srv/out", "/data/gone", "/data/done", "/data/moved", "/data/old"
    assert sorted(found) == sorted(f"-{folder}" for folder in folders)
    assert "-/srv/in" not in found, "a folder that is only read"


def test_what_lies_in_a_written_folder_is_no_mount_of_its_own(tmp_path: Path) -> None:
    """A rename from one mount to another is a copy."""
    found = made(configured(tmp_path, rule(output="/srv/pictures/out/{stem}.png")))
    assert found["ReadWritePaths"] == ["-/srv/pictures"]
    assert found["ReadOnlyPaths"] == ["-/srv/pictures/config.yaml"]


@pytest.mark.parametrize("path", ["/etc/config.yaml", "/config.yaml", "/home/anna/config.yaml"])
def test_a_folder_of_much_else_is_not_opened_for_config_error_txt(tmp_path: Path, path: str) -> None:
    found = made(configured(tmp_path, path=path))["ReadWritePaths"]
    assert sorted(found) == ["-/srv/out", "-/srv/pictures/var"]


def test_its_own_code_is_read_only_even_in_a_written_folder(tmp_path: Path) -> None:
    checkout = Path(__file__).parents[2]
    found = made(configured(tmp_path, path=str(checkout / "config.yaml")))
    assert {f"-{checkout / name}" for name in ("daemon", "export", "kernels", "config.yaml")} <= set(
        found["ReadOnlyPaths"]
    )


def test_homes_are_closed_unless_something_lies_there(tmp_path: Path) -> None:
    inside = any(Path(place).resolve().is_relative_to(home) for place in (sys.prefix, sys.base_prefix, __file__) for home in ("/home", "/root"))  # fmt: skip # noqa: E501
    assert made(configured(tmp_path))["ProtectHome"] == ["read-only" if inside else "yes"]
    assert made(configured(tmp_path, rule(watch="/home/anna/in")))["ProtectHome"] == ["read-only"]


def test_folders_below_tmp_are_seen(tmp_path: Path) -> None:
    found = made(configured(tmp_path, rule(watch="/tmp/in")))
    assert "PrivateTmp" not in found and "-/tmp -/var/tmp" in found["ReadWritePaths"]


MOUNTS = """\
234 230 0:40 / /tmp rw,nosuid shared:38 - tmpfs tmpfs rw
268 234 0:40 /systemd-private-64e1-darkroom.service-yBN/tmp /tmp rw shared:39 - tmpfs tmpfs rw
285 230 0:44 /systemd/inaccessible/dir /home ro,nosuid - tmpfs tmpfs rw
269 230 0:39 /srv /srv rw - ext4 /dev/vda rw
"""


def test_what_the_unit_closes_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = rule() + rule("dropped", "/tmp/in") + rule("home", "/srv/home", "/home/anna/out/{stem}.png")
    config = configured(tmp_path, rules)
    (tmp_path / "mountinfo").write_text(MOUNTS)
    monkeypatch.setenv("DARKROOM_UNIT", "scans")
    why = "closed to the service: config.yaml did not name it when the unit was made"
    again = "`darkroom service install --name scans` again"
    assert closed(config.rules, tmp_path / "mountinfo") == {
        "dropped": f"/tmp/in: {why}; {again}",
        "home": f"/home/anna/out: {why}; {again}",
    }
    monkeypatch.delenv("DARKROOM_UNIT")
    monkeypatch.setenv("DARKROOM_USER_UNIT", "darkroom")
    assert closed(config.rules, tmp_path / "mountinfo")["dropped"].endswith("`darkroom service install --user` again")
    monkeypatch.delenv("DARKROOM_USER_UNIT")
    assert closed(config.rules, tmp_path / "mountinfo") == {}, "not a service"


def test_cards_are_open_only_where_one_is_used(tmp_path: Path) -> None:
    task = rule(step="deep_image_prior: {job: denoise}")
    cards = replace(PLAIN, cards=True)
    for config, host, used in [
        (configured(tmp_path), PLAIN, False),
        (configured(tmp_path), cards, True),
        (configured(tmp_path, head="runtime: {device: tensorrt}\n"), PLAIN, True),
        (configured(tmp_path, head="runtime: {device: cpu}\n"), cards, False),
        (configured(tmp_path, head="runtime: {device: cpu}\ntasks: {device: cuda}\n"), cards, False),
        (configured(tmp_path, task, head="runtime: {device: cpu}\ntasks: {device: cuda}\n"), PLAIN, True),
    ]:
        found = made(config, host)
        assert (found.get("DeviceAllow") == ["char-nvidia* rw"]) is used
        assert ("PrivateDevices" in found) is not used


def test_a_state_dir_below_var_lib_is_made_by_systemd(tmp_path: Path) -> None:
    config = replace(configured(tmp_path), state_dir=Path("/var/lib/darkroom/one"))
    assert made(config)["StateDirectory"] == ["darkroom/one"]
    assert "StateDirectory" not in made(replace(config, state_dir=Path("/var/lib/dark room")))


def test_back_off_where_systemd_knows_it(tmp_path: Path) -> None:
    config = configured(tmp_path)
    assert "RestartSteps" not in made(config)
    assert made(config, replace(PLAIN, version=254))["RestartMaxDelaySec"] == ["2min"]
    assert made(config)["RestartPreventExitStatus"] == ["2"]


def test_a_users_own_service_asks_for_nothing_that_is_the_machines(tmp_path: Path) -> None:
    found = made(configured(tmp_path), account=None)
    assert not {"User", "CapabilityBoundingSet", "AmbientCapabilities", "DevicePolicy", "PrivateDevices"} & set(found)
    assert found["WantedBy"] == ["default.target"] and found["NoNewPrivileges"] == ["yes"]
    assert found["PrivateUsers"] == ["yes"] and found["ProtectSystem"] == ["strict"]
    found = made(configured(tmp_path), replace(PLAIN, namespaces=False), account=None)
    assert not {"PrivateUsers", "ProtectSystem", "ReadWritePaths", "PrivateTmp"} & set(found)


def test_a_path_that_no_unit_can_hold_is_refused(tmp_path: Path) -> None:
    config = configured(tmp_path)
    for path in ("/srv/two\nlines/config.yaml", "/srv/\udcff/config.yaml"):
        with pytest.raises(DarkroomError, match="systemd unit"):
            made(replace(config, path=Path(path)))
    with pytest.raises(DarkroomError, match="install it elsewhere"):
        made(config, replace(PLAIN, python=Path('/opt/"x"/python')))


@pytest.mark.parametrize("name", ["", "a b", "../x", "-x", "x@y", "é"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(DarkroomError, match="--name"):
        unit_name(name)


def test_show_prints_what_install_would_write(box: Box) -> None:
    done = box.darkroom("service", "show")
    assert done.stdout.startswith("# Made by `darkroom service install` from ")
    assert f"-m daemon.cli run -c {box.folder}/config.yaml\n" in done.stdout
    assert box.darkroom("service").stdout == done.stdout


def test_home_in_the_configuration_is_that_of_the_services_user(box: Box) -> None:
    """`sudo darkroom service install` is run by root, whose `~` is another."""
    box.rules("output: ~/mosaics/{stem}.png")
    if os.geteuid() != 0:
        pytest.skip("only root can ask for another user's service")
    assert "ReadWritePaths=-/usr/sbin/mosaics\n" in box.darkroom("service", "show", "--run-as", "daemon").stdout


def test_a_unit_of_the_machine_is_roots_and_the_hint_keeps_every_option(
    box: Box, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    words = ["--name", "two", "--run-as", "daemon", "--no-start"]
    assert main(["service", "install", "-c", str(box.folder / "config.yaml"), *words]) == 1
    told = capsys.readouterr().err
    assert f" service install -c {box.folder}/config.yaml {' '.join(words)}`, or --user" in told
    assert told.startswith("darkroom: services of the machine are root's: `sudo ") and told.count("\n") == 1


def test_a_unit_of_ones_own_is_written_without_systemd_and_not_over_another(box: Box) -> None:
    place = {"XDG_CONFIG_HOME": str(box.folder / "xdg")}
    box.environment |= place
    unit = box.folder / "xdg/systemd/user/darkroom.service"
    words = ("service", "install", "--user", "--no-start")
    assert "`darkroom run` starts one" in box.darkroom("status", check=3).stdout
    said = box.darkroom(*words).stdout
    for command in (("status",), ("reload", "-c", f"../{box.folder.name}/config.yaml")):
        done = box.darkroom(*command, check=3)
        assert "`systemctl --user start darkroom` starts one" in done.stdout + done.stderr
    assert f"wrote {unit}" in said and "systemctl --user daemon-reload && " in said
    assert unit.read_text() == box.darkroom("service", "show", "--user").stdout
    assert f"{unit} is as it should be" in box.darkroom(*words).stdout
    other = box.folder / "other.yaml"
    other.write_text((box.folder / "config.yaml").read_text())
    assert "--name" in box.darkroom(*words, "-c", "other.yaml", check=1).stderr
    said = box.darkroom("service", "uninstall", "--user", "-c", "other.yaml", check=1).stderr
    assert f"is the service of {box.folder}/config.yaml, and not of {other}" in said and unit.exists()
    unit.write_text(unit.read_text() + "Nice=5\n")
    assert "was edited by hand; put your changes into a drop-in" in box.darkroom(*words, check=1).stderr
    unit.write_text("[Service]\nExecStart=/bin/true\n")
    assert "was not made by darkroom" in box.darkroom(*words, check=1).stderr


def test_a_user_without_a_home_is_told_how_to_start_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that is run by number."""
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    assert how_to_start(tmp_path / "config.yaml") == "`darkroom run`"


def test_without_systemd_it_says_so(box: Box) -> None:
    if Path("/run/systemd/system").is_dir():
        pytest.skip("systemd runs here")
    said = box.darkroom("service", "install", "--user", check=1).stderr
    assert said.startswith("darkroom: systemd does not run here; ") and said.count("\n") == 1


def test_a_configuration_with_faults_is_refused(box: Box) -> None:
    box.rules("colour: red")
    done = box.darkroom("service", "install", "--user", "--no-start", check=1)
    assert done.stderr.startswith("config.yaml:8:5: rules[0].colour: ")
    assert box.darkroom("service", "show", "--user", check=1).stderr == done.stderr
