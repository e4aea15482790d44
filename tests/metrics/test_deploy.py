"""The dashboard, the alert rules and docs/metrics.md name what a daemon really tells, and no more."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.model import State
from daemon.pipeline.meters import Stage
from tests.box import REPOSITORY, Box, Pixels, wait_until
from tests.metrics.scrape import Scrape, free_port, of_port

DEPLOY = REPOSITORY / "deploy"
ALERTS = DEPLOY / "prometheus" / "alerts.yml"
DASHBOARD = DEPLOY / "grafana" / "darkroom.json"
PROMTOOL = shutil.which("promtool")
PROMETHEUS_OWN = {"up": set[str]()}
"""What Prometheus makes itself, and of every metric the labels `instance` and `job`."""
EVERYWHERE = {"instance", "job"}
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("_total",)}

needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian: package prometheus)")


@pytest.fixture(scope="module")
def scrape(tmp_path_factory: pytest.TempPathFactory, graphs: Path, small: Pixels) -> Iterator[Scrape]:
    """What a daemon tells that has done a picture."""
    box, port = Box(tmp_path_factory.mktemp("metrics"), graphs), free_port()
    box.rules(head=f"settle: 100ms\nmetrics: {{port: {port}}}")
    box.drop("in/cat.png", small)
    box.start()
    wait_until(lambda: box.states() == {"cat.png": "done"})
    yield of_port(port)
    box.close()


def documented() -> dict[str, tuple[str, set[str], str]]:
    """The table of docs/metrics.md: type, labels and meaning by name."""
    page = (REPOSITORY / "docs" / "metrics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \| (.*) \|$", page, re.MULTILINE)
    return {name: (kind, set(re.findall(r"`(\w+)`", labels)), told) for name, kind, labels, told in rows}


def expressions() -> Iterator[tuple[str, str]]:
    """Every PromQL expression of the dashboard and the alerts, with where it is used."""
    for group in yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]:
        for rule in group["rules"]:
            yield rule.get("alert", rule.get("record")), rule["expr"]
    board = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
    for annotation in board["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]


def series() -> dict[str, set[str]]:
    """The names that an expression may use, with their labels."""
    found = dict(PROMETHEUS_OWN)
    for name, (kind, labels, _) in documented().items():
        for suffix in SUFFIXES.get(kind, ("",)):
            of = labels | ({"le"} if suffix == "_bucket" else set())
            found[name if kind == "counter" else f"{name}{suffix}"] = of
    found["darkroom:backlog_jobs"] = {"rule"}
    return found


# -- the page --------------------------------------------------------------------------------------------------------


def test_every_metric_is_documented_as_it_is_told(scrape: Scrape) -> None:
    """Name, type and meaning; and labels, as far as there is anything to label."""
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", scrape.text, re.MULTILINE))
    told = dict(re.findall(r"^# HELP (\S+) (.+)$", scrape.text, re.MULTILINE))
    labels = {name: set[str]() for name in kinds}
    for family in scrape.families.values():
        name = next(each for each in (family.name, f"{family.name}_total") if each in kinds)
        for sample in family.samples:
            labels[name] |= set(sample.labels) - {"le"}
    page = documented()
    assert set(page) == set(kinds)
    assert {name: (kind, meaning) for name, (kind, _, meaning) in page.items()} == {
        name: (kinds[name], told[name]) for name in kinds
    }
    of_tasks = {name for name in page if "_task_" in name}
    assert {name: names for name, (_, names, _) in page.items() if name not in of_tasks} == {
        name: names for name, names in labels.items() if name not in of_tasks
    }


# -- dashboard and alerts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("place", "text"), [pytest.param(*each, id=each[0]) for each in expressions()])
def test_an_expression_names_what_there_is(place: str, text: str) -> None:
    known, bare = series(), re.sub(r'"[^"]*"', '""', text)
    names = set(re.findall(r"\b(?:darkroom_\w+|process_\w+|darkroom:\w+|up)\b", bare))
    assert names and names <= set(known), f"{place}: {names - set(known)} is told by nobody"
    allowed = EVERYWHERE.union(*(known[name] for name in names))
    listed = re.findall(r"\b(?:by|without|on|ignoring) \(([^)]*)\)", bare)
    used = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", bare)) | {
        each.strip() for names in listed for each in names.split(",")
    }
    assert used <= allowed, f"{place}: no such label: {used - allowed}"
    for label, values in (("state", list(State)), ("stage", list(Stage))):
        for given in re.findall(rf'\b{label}=~?"([^"$]+)"', text):
            assert set(given.split("|")) <= {str(value) for value in values}, f"{place}: {given}"


def test_words_of_alerts_and_panels_name_labels_that_there_are() -> None:
    labels = EVERYWHERE.union(*series().values())
    used = set(re.findall(r"\$labels\.(\w+)", ALERTS.read_text())) | set(
        re.findall(r"\{\{(\w+)\}\}", DASHBOARD.read_text())
    )
    assert used and used <= labels


def test_the_dashboard_can_be_imported() -> None:
    """It names no data source of anybody's: it asks for one. Its panels do not lie on one another."""
    board = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    assert board["templating"]["list"][0]["type"] == "datasource"
    panels: list[dict[str, Any]] = board["panels"]
    assert {each["datasource"]["uid"] for each in panels if each["type"] != "row"} == {"${datasource}"}
    assert len({each["id"] for each in panels}) == len(panels)
    taken = set[tuple[int, int]]()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken and at["x"] + at["w"] <= 24, panel["title"]
        taken |= cells


@needs_promtool
def test_prometheus_takes_them(tmp_path: Path, scrape: Scrape) -> None:
    """The files as they are; what the dashboard asks, as rules; and the metrics, by its own rules for names."""
    shown = [re.sub(r"\[\$\w+\]", "[1m]", text) for _, text in expressions()]
    rules = [{"record": f"panel:{number}", "expr": text} for number, text in enumerate(shown)]
    panels = tmp_path / "panels.yml"
    panels.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    for words in (["rules", ALERTS], ["rules", panels], ["config", DEPLOY / "prometheus" / "scrape.yml"]):
        promtool("check", *map(str, words))
    promtool("check", "metrics", given=scrape.text)


def promtool(*words: str, given: str | None = None) -> None:
    assert PROMTOOL is not None
    done = subprocess.run([PROMTOOL, *words], input=given, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


CASES: dict[str, tuple[dict[str, str], dict[str, int]]] = {
    "DarkroomDown": ({'up{job="darkroom"}': "1x4 0x20"}, {"4m": 0, "8m": 1}),
    "DarkroomRuleBlocked": ({'darkroom_rule_blocked{rule="a"}': "0x2 1x30"}, {"11m": 0, "14m": 1}),
    "DarkroomFailuresRising": (
        {
            'darkroom_jobs_ended_total{rule="a", state="failed"}': "0x20 0+1x40",
            'darkroom_jobs_ended_total{rule="a", state="done"}': "0+2x60",
            'darkroom_jobs_ended_total{rule="b", state="failed"}': "0+1x60",
            'darkroom_jobs_ended_total{rule="b", state="done"}': "0+100x60",
        },
        {"20m": 0, "40m": 1},
    ),
    "DarkroomBacklogNotShrinking": (
        {
            'darkroom_jobs{rule="still", state="waiting"}': "5x60",
            'darkroom_jobs{rule="grows", state="waiting"}': "0+1x60",
            'darkroom_jobs{rule="shrinks", state="waiting"}': "600-5x60",
            'darkroom_jobs{rule="task", state="running"}': "1x60",
            'darkroom_jobs{rule="groups", state="waiting"}': "3x60",
            'darkroom_task_step{rule="task", job_id="7"}': "0+10x60",
        },
        {"25m": 0, "45m": 2},
    ),
    "DarkroomTaskHung": (
        {
            'darkroom_task_step{rule="a", job_id="7"}': "0+5x10 50x20",
            'darkroom_task_step{rule="a", job_id="8"}': "0+5x30",
        },
        {"12m": 0, "20m": 1},
    ),
    "DarkroomConfigFaults": ({"darkroom_config_faults": "0x3 2x20"}, {"5m": 0, "10m": 1}),
    "DarkroomLedgerUnreadable": ({"darkroom_ledger_readable": "1x3 0x20"}, {"4m": 0, "8m": 1}),
    "DarkroomLedgerDiskFull": ({"darkroom_ledger_disk_free_bytes": "9e9-60e6x100"}, {"10m": 0, "60m": 1}),
    "DarkroomEventsLost": ({"darkroom_events_lost_total": "0x5 40x20"}, {"4m": 0, "10m": 1}),
}
INCOMPLETE = {"still": 0, "grows": 0, "shrinks": 0, "task": 0, "groups": 3}


@needs_promtool
def test_alerts_fire_when_they_should(tmp_path: Path) -> None:
    tests = []
    for alert, (given, when) in CASES.items():
        lines = [{"series": name, "values": values} for name, values in given.items()]
        lines += [
            {"series": f'darkroom_jobs_incomplete{{rule="{rule}"}}', "values": f"{number}x60"}
            for rule, number in INCOMPLETE.items()
        ]
        count = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}}) or vector(0)'
        samples = [
            {"expr": count, "eval_time": at, "exp_samples": [{"labels": "{}", "value": number}]}
            for at, number in when.items()
        ]
        tests.append({"interval": "1m", "input_series": lines, "promql_expr_test": samples, "name": alert})
    file = tmp_path / "tests.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": tests}))
    promtool("test", "rules", str(file))
