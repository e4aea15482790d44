"""config.yaml → Config: read once, checked whole, every fault told at once with its place in the file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from daemon.config.explain import apart_from_echoes, fault_at, faults_of
from daemon.config.faults import Fault, Place, Where, place_of
from daemon.config.shapes import ConfigShape, RuleShape
from daemon.config.types import DEFAULT_STATE_DIR
from daemon.config.yaml_source import Data, Document, read_yaml
from daemon.config.yaml_words import YamlError
from daemon.errors import ConfigError
from daemon.model import Config
from daemon.options import MetricsOptions
from daemon.unfit import UnfitError, absolute

MAX_BYTES = 1 << 20  # of the file; also bounds reading from a pipe or a device


def load_config(path: Path) -> Config:
    """The configuration in the file at `path`, every default filled in and every path absolute.

    Raises ConfigError with all faults of the file, sorted by place, each one line
    `FILE:LINE:COL: dotted.path: what is wrong; what would be right`. Whether the folders exist is not looked at.
    """
    config, faults = _read(path, warn=False)
    if config is None:
        raise ConfigError([fault.text(str(path)) for fault in faults])
    return config


def check_config(path: Path) -> tuple[Config | None, list[Fault]]:
    """The configuration, None if it has faults; and its faults and warnings, sorted by place.

    For the warnings, the folders are looked at. Beside faults they are about the rules that have none.
    """
    return _read(path, warn=True)


def _read(path: Path, *, warn: bool) -> tuple[Config | None, list[Fault]]:
    try:
        document = read_yaml(_text(path))
    except YamlError as error:
        return None, [error.fault]
    # A path is made absolute as it was written: behind a symbolic link, relative folders are those beside the link.
    absolute_path = Path(os.path.abspath(path))
    shape, faults = _checked(document, absolute_path.parent)
    config = None if shape is None or faults else _build(shape, absolute_path)
    warnings = _warnings(document, absolute_path.parent) if warn else ()
    return config, sorted({*faults, *warnings})


def _warnings(document: Document, base: Path) -> Iterator[Fault]:
    """What is doubtful about the rules that can be read, each taken alone."""
    from daemon.config.warnings import Subject, warnings_of  # `darkroom check` alone pays for it

    data, rules = document.root.plain(), list[Subject]()
    for index, raw in _rules(data) if isinstance(data, dict) else ():
        with contextlib.suppress(ValidationError):
            rules.append(Subject(index, RuleShape.model_validate(raw, context={"base": base}).build()))
    if rules:
        yield from warnings_of(document, rules, base, _absolute(data.get("state_dir", DEFAULT_STATE_DIR), base))


def _text(path: Path) -> str:
    """The text of the file. Raises YamlError where there is none."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise YamlError(_unreadable(error)) from None
    if len(raw) > MAX_BYTES:
        raise YamlError(Fault(Place(), "file", f"it is larger than {MAX_BYTES >> 10} KiB", "give a configuration file"))
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8-sig")
        problem = f"the byte 0x{raw[error.start]:02X} is not UTF-8"
        raise YamlError(Fault(place_of(before, len(before)), "file", problem, "save the file as UTF-8")) from None


def _unreadable(error: OSError | ValueError) -> Fault:
    if isinstance(error, FileNotFoundError):
        words = "there is no such file", "name another one with -c FILE"
    elif isinstance(error, IsADirectoryError):
        words = "this is a folder", "name the file in it, such as config.yaml"
    elif isinstance(error, PermissionError):
        words = "this user may not read it", "grant it with chmod a+r"
    else:
        words = f"it cannot be read ({getattr(error, 'strerror', None) or error})", "name another one with -c FILE"
    return Fault(Place(), "file", *words)


def _checked(document: Document, base: Path) -> tuple[ConfigShape | None, list[Fault]]:
    data = document.root.plain()
    if data is None:
        return None, [Fault(Place(), "file", "it is empty", "start from the config.yaml that comes with darkroom")]
    if not isinstance(data, dict):
        return None, [Fault(document.root.place, "file", "it is not a mapping", "write key: value, as in version: 1")]
    faults = [*document.faults, *_shared_names(document, data), *_shared_reports(document, data, base)]
    faults += _watched(document, data, base)
    try:
        return ConfigShape.model_validate(data, context={"base": base}), faults
    except ValidationError as error:
        details = error.errors(include_url=False)
        found = [fault for detail in details for fault in faults_of(detail, document)]
        return None, [*faults, *apart_from_echoes(found, details)]


def _rules(data: Data) -> Iterator[tuple[int, dict[str, Data]]]:
    """What looks like a rule. The checks across rules read plain data, so that they speak up beside other faults."""
    rules = data.get("rules")
    for index, rule in enumerate(rules if isinstance(rules, list) else []):
        if isinstance(rule, dict):
            yield index, rule


def _shared_names(document: Document, data: Data) -> Iterator[Fault]:
    first: dict[str, int] = {}
    for index, rule in _rules(data):
        name = rule.get("name")
        if isinstance(name, str) and first.setdefault(name, index) != index:
            where = ("rules", index, "name")
            # A rule repeated by an alias has its name written elsewhere: point at the alias.
            same = document.place(where) == document.place(("rules", first[name], "name"))
            place = document.place(where[:2] if same else where)
            problem = f"rules[{first[name]}] has the same name"
            yield fault_at(document, where, (problem, "give each rule its own"))._replace(place=place)


def _shared_reports(document: Document, data: Data, base: Path) -> Iterator[Fault]:
    first: dict[Path, int] = {}
    for index, rule in _rules(data):
        folder = _absolute(rule.get("report"), base)
        if folder and first.setdefault(folder, index) != index:
            problem = f"rules[{first[folder]}] has its report in the same folder"
            yield fault_at(document, ("rules", index, "report"), (problem, "give each report a folder of its own"))


def _watched(document: Document, data: Data, base: Path) -> Iterator[Fault]:
    """Faults in which folders are watched: one twice in a rule, or darkroom's own."""
    state_dir = _absolute(data.get("state_dir", DEFAULT_STATE_DIR), base)
    for index, rule in _rules(data):
        seen: set[Path] = set()
        for where, folder in _folders(("rules", index, "watch"), rule.get("watch"), base):
            if state_dir and folder.is_relative_to(state_dir):
                problem = "the folder lies inside state_dir, where darkroom keeps files of its own"
                yield fault_at(document, where, (problem, "watch another folder"))
            if folder in seen:
                yield fault_at(document, where, ("the same folder is listed twice", "remove one of the two"))
            elif rule.get("recursive", True) is True and any(_nested(folder, other) for other in seen):
                problem = "it and another folder of this rule lie in one another: pictures would be taken twice"
                yield fault_at(document, where, (problem, "remove the inner one, or write recursive: false"))
            seen.add(folder)


def _nested(one: Path, other: Path) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)


def _folders(where: Where, watch: Data, base: Path) -> Iterator[tuple[Where, Path]]:
    entries = [((*where, item), folder) for item, folder in enumerate(watch)] if isinstance(watch, list) else []
    for place, folder in entries or [(where, watch)]:
        if path := _absolute(folder, base):
            yield place, path


def _absolute(raw: object, base: Path) -> Path | None:
    try:
        return Path(absolute(raw, base)) if isinstance(raw, str) else None
    except UnfitError:
        return None


def _build(shape: ConfigShape, path: Path) -> Config:
    return Config(
        path=path,
        state_dir=shape.state_dir,
        rules=tuple(rule.build() for rule in shape.rules),
        runtime=shape.runtime.build(),
        settle=shape.settle,
        rescan=shape.rescan,
        tasks=shape.tasks.build(),
        log=shape.log.build(),
        metrics=MetricsOptions() if shape.metrics is None else shape.metrics.build(),
    )
