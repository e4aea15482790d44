"""The unit file, line by line. Sections and settings are systemd's; the reasons are in docs/decisions/027-unit.md."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from daemon.model import Config
from daemon.unit import escape
from daemon.unit.devices import needs_card, needs_network
from daemon.unit.folders import HOMES, TEMPORARY, Folders, below, code, folders_of
from daemon.unit.values import Host, Service

BACK_OFF = 254
"""The version of systemd that first knows RestartSteps= and RestartMaxDelaySec=."""
CONFIG_FAULTS = 2
"""The exit status of a configuration with faults: trying again cannot help."""
_STATE = re.compile(r"/var/lib/([\w.-]+(?:/[\w.-]+)*)", re.ASCII)


def unit_text(config: Config, service: Service, host: Host) -> str:
    """The whole unit. Raises DarkroomError for a path that cannot stand in one."""
    folders = folders_of(config, service.home)
    sections: dict[str, list[str]] = {
        "Unit": [*_unit(config, service)],
        "Service": [
            *_running(config, service, host),
            *_restarting(host),
            *_limits(config),
            *(_writing(config, service, folders) if host.namespaces or not service.of_the_user else _ANYWHERE),
            *_hardening(service),
            *_cut_off(config, service, host),
        ],
        "Install": [f"WantedBy={'default' if service.of_the_user else 'multi-user'}.target"],
    }
    parts = (f"[{name}]\n" + "\n".join(lines) + "\n" for name, lines in sections.items())
    return "\n".join(parts)


def _unit(config: Config, service: Service) -> Iterator[str]:
    yield f"Description=darkroom, by the rules of {escape.line(str(config.path))}"
    if not service.of_the_user:
        yield "After=remote-fs.target nvidia-persistenced.service"
        yield f"RequiresMountsFor={escape.words([config.path, config.state_dir])}"
    yield "# More failures than this, and somebody has to look."
    yield "StartLimitIntervalSec=1h"
    yield "StartLimitBurst=60"


def _running(config: Config, service: Service, host: Host) -> Iterator[str]:
    yield "Type=notify"
    yield "NotifyAccess=main"
    yield f"ExecStart={_command(host, config, 'run')}"
    yield f"ExecReload={_command(host, config, 'reload')}"
    if service.account is not None:
        yield f"User={service.account.name}"
    yield f"SyslogIdentifier={service.name}"
    yield f"Environment={'DARKROOM_USER_UNIT' if service.of_the_user else 'DARKROOM_UNIT'}={service.name}"
    if host.python_path:
        yield f"Environment={escape.word(f'PYTHONPATH={host.python_path}')}"


def _command(host: Host, config: Config, command: str) -> str:
    return escape.command(host.python, "-P", "-m", "daemon.cli", command, "-c", config.path)


def _restarting(host: Host) -> Iterator[str]:
    yield "Restart=on-failure"
    yield f"RestartPreventExitStatus={CONFIG_FAULTS}"
    if host.version >= BACK_OFF:
        yield "RestartSec=1s"
        yield "RestartSteps=8"
        yield "RestartMaxDelaySec=2min"
    else:
        yield "RestartSec=5s"
    yield "WatchdogSec=1min"
    yield "TimeoutStartSec=5min"
    yield "TimeoutStopSec=30s"
    yield "TimeoutAbortSec=15s"
    yield "# Only darkroom itself is asked to stop: it ends its workers in good order."
    yield "KillMode=mixed"


def _limits(config: Config) -> Iterator[str]:
    watched = sum(len(rule.watch) for rule in config.rules)
    yield "# Bounds for the machine's sake; darkroom's own are runtime.memory and tasks.memory in config.yaml."
    yield "MemoryHigh=80%"
    yield "MemoryMax=90%"
    yield "# A task's worker that the kernel ends is darkroom's to start again."
    yield "OOMPolicy=continue"
    yield f"TasksMax={1024 + 4 * watched + 64 * config.tasks.concurrency}"
    yield f"LimitNOFILE={4096 + 4 * watched}"
    yield "LimitCORE=0"
    yield "CPUWeight=50"
    yield "IOWeight=50"


_ANYWHERE = ["# Users may make no namespaces on this machine: what may be written cannot be bounded."]


def _writing(config: Config, service: Service, folders: Folders) -> Iterator[str]:
    yield "# The folders that config.yaml names. One that is added later: `darkroom service install` again."
    if state := _state_directory(config, service):
        yield f"StateDirectory={state}"
    if service.of_the_user:
        yield "PrivateUsers=yes"  # or the settings that follow have no effect
    yield "ProtectSystem=strict"
    for path in folders.opened:
        yield f"ReadWritePaths=-{escape.word(str(path))}"
    for path in folders.read_only:
        yield f"ReadOnlyPaths=-{escape.word(str(path))}"
    places = [*folders.named, config.path, *code()]
    yield f"ProtectHome={'read-only' if below(HOMES, places) or service.of_the_user else 'yes'}"
    if below(TEMPORARY, places):  # a private one would hide them
        yield f"ReadWritePaths={' '.join(f'-{place}' for place in TEMPORARY)}"
    else:
        yield "PrivateTmp=yes"
    yield "UMask=0022"


def _state_directory(config: Config, service: Service) -> str:
    """What systemd itself makes and gives to the user: a state_dir below /var/lib; "" for any other."""
    found = _STATE.fullmatch(str(config.state_dir))
    return found[1] if found and not service.of_the_user else ""


def _hardening(service: Service) -> Sequence[str]:
    """What darkroom can do without, whatever config.yaml says."""
    leases = [] if service.of_the_user else _LEASES
    return [*leases, *_EVERYWHERE, *([] if service.of_the_user else _OF_THE_MACHINE)]


_LEASES = [
    "# It may ask of files of other users whether somebody still writes them (fcntl(2), F_SETLEASE).",
    "CapabilityBoundingSet=CAP_LEASE",
    "AmbientCapabilities=CAP_LEASE",
]
_EVERYWHERE = [
    "NoNewPrivileges=yes",
    "LockPersonality=yes",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged @resources",
    "# Tasks yield to everything else, and ONNX Runtime places its threads.",
    "SystemCallFilter=setpriority sched_setaffinity",
    "SystemCallErrorNumber=EPERM",
]
_OF_THE_MACHINE = [
    "KeyringMode=private",
    "PrivateIPC=yes",
    "PrivateMounts=yes",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectProc=invisible",
    "RemoveIPC=yes",
]


def _cut_off(config: Config, service: Service, host: Host) -> Iterator[str]:
    """Devices and network: only what the configuration uses."""
    if service.of_the_user:  # a user's manager has no say over devices
        inet = needs_network(config) or config.metrics.port
        yield f"RestrictAddressFamilies=AF_UNIX{' AF_INET AF_INET6' if inet else ''}"
        return
    yield "DevicePolicy=closed"
    if needs_card(config, host):
        yield "DeviceAllow=char-nvidia* rw"
    else:
        yield "PrivateDevices=yes"
    if needs_network(config):
        yield "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6"
    elif config.metrics.port:  # Prometheus asks on the loopback interface, and nobody is asked elsewhere
        yield "RestrictAddressFamilies=AF_UNIX AF_INET"
        yield "IPAddressDeny=any"
        yield "IPAddressAllow=localhost"
    else:
        yield "RestrictAddressFamilies=AF_UNIX"
        yield "PrivateNetwork=yes"
        yield "IPAddressDeny=any"
