"""The dashboard and the alerts query only metrics that exist; each alert states its severity and its runbook, and is tested."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from compose.check_alerts import MONITORING, list_dashboard_expressions
from compose.local import ROOT
from shared import slices
from shared.db.models import JobStatus
from shared.observing import metrics
from tests.factories import Factory

OF_PROMETHEUS = {"job", "instance", "pid", "le"}
"""Labels that Prometheus and its client add."""
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
OPERATIONS = ROOT / "docs" / "operations.md"

ALERTS: list[dict[str, Any]] = [rule for group in yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
DASHBOARD: dict[str, Any] = json.loads((MONITORING / "dashboard.json").read_text())
EXPRESSIONS = [*list_dashboard_expressions(), *(alert["expr"] for alert in ALERTS)]
ALERT_TESTS: list[dict[str, Any]] = yaml.safe_load((MONITORING / "alerts_test.yml").read_text())["tests"]


@pytest.fixture
async def known(client: httpx.AsyncClient, factory: Factory) -> dict[str, set[str]]:
    """The labels of every series that the service exposes, by name."""
    await factory.ended_job(JobStatus.COMPLETED)
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families((await client.get("/metrics")).text):
        for suffix in SUFFIXES.get(family.type, ()):
            found.setdefault(f"{family.name}{suffix}", set()).update(*(sample.labels for sample in family.samples))
    for metric in declared_metrics():
        for suffix in SUFFIXES[metric._type]:
            found[f"{metric._name}{suffix}"].update(metric._labelnames)
    return found


def declared_metrics() -> list[Any]:
    """Return every metric that `shared` or a slice declares."""
    modules = [metrics, *slices.load("features", "metrics")]
    return [metric for module in modules for metric in vars(module).values() if hasattr(metric, "_labelnames") and not isinstance(metric, type)]


def find_selectors(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Yield each metric named in an expression, with the labels that it is selected by."""
    for match in re.finditer(r"\b(rowgate_\w+)(?:\{((?:[^}\"]|\"[^\"]*\")*)\})?", expression):
        yield match[1], set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", match[2] or ""))


def test_every_series_that_is_asked_for_exists(known: dict[str, set[str]]) -> None:
    asked = [selector for expression in EXPRESSIONS for selector in find_selectors(expression)]
    assert len(asked) > 50
    for name, labels in asked:
        assert name in known, name
        assert labels <= known[name] | OF_PROMETHEUS, (name, labels)


def test_labels_that_are_grouped_by_exist(known: dict[str, set[str]]) -> None:
    for expression in EXPRESSIONS:
        available = set.union(OF_PROMETHEUS, *(known[name] for name, _ in find_selectors(expression)))
        for labels in re.findall(r"\bby \(([^)]*)\)", expression):
            assert {label.strip() for label in labels.split(",")} <= available, expression


def test_metrics_that_nobody_watches_are_few(known: dict[str, set[str]]) -> None:
    watched = {name for expression in EXPRESSIONS for name, _ in find_selectors(expression)}
    families = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in watched}
    declared = {metric._name for metric in declared_metrics()}
    assert declared <= families


def test_names_are_ours_and_say_their_unit() -> None:
    for family in REGISTRY.collect():
        if not family.name.startswith(("python_", "process_")):
            assert re.fullmatch(r"rowgate_[a-z0-9_]+", family.name), family.name
            assert not family.name.endswith(("_ms", "_mb", "_minutes")), family.name
            assert family.documentation


@pytest.mark.parametrize("alert", ALERTS, ids=[alert["alert"] for alert in ALERTS])
def test_alert_says_how_bad_it_is_and_where_to_read_on(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert alert["annotations"]["summary"]
    base, _, anchor = alert["annotations"]["runbook_url"].partition("#")
    assert base == "{{ $externalLabels.rowgate_runbooks }}"
    assert anchor == alert["alert"].lower()
    headings = re.findall(r"^#+ (.+)$", OPERATIONS.read_text(), re.MULTILINE)
    assert [heading.lower() for heading in headings].count(anchor) == 1


def test_links_of_alerts_are_absolute() -> None:
    base = yaml.safe_load((MONITORING / "prometheus.yml").read_text())["global"]["external_labels"]["rowgate_runbooks"]
    assert re.fullmatch(r"https://\S+/docs/operations\.md", base)
    links = [alert["exp_annotations"]["runbook_url"] for test in ALERT_TESTS for check in test["alert_rule_test"] for alert in check["exp_alerts"]]
    assert all(link.startswith(f"{base}#rowgate") for link in links)


@pytest.mark.parametrize("name", [alert["alert"] for alert in ALERTS])
def test_alert_is_tested_to_fire_and_to_be_quiet(name: str) -> None:
    of_alert = [check for test in ALERT_TESTS for check in test["alert_rule_test"] if check["alertname"] == name]
    assert any(check["exp_alerts"] for check in of_alert)
    assert len([check for check in of_alert if not check["exp_alerts"]]) >= 2


def test_page_explains_no_alert_that_is_not_there() -> None:
    explained = set(re.findall(r"^#+ (Rowgate\w+)$", OPERATIONS.read_text(), re.MULTILINE))
    assert explained == {alert["alert"] for alert in ALERTS}


def test_dashboard_can_be_imported() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    [variable] = DASHBOARD["templating"]["list"]
    assert (variable["name"], variable["type"], variable["query"]) == ("datasource", "datasource", "prometheus")
    for panel in panels:
        assert panel["title"]
        if panel["type"] != "row":
            assert panel["targets"]
            assert panel["datasource"]["uid"] == "${datasource}"
    for one, other in combinations([panel["gridPos"] for panel in panels], 2):
        apart_x = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        apart_y = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert apart_x or apart_y, (one, other)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)
