"""Spans of one process: when there are any, what is in them, and that a collector that is away costs no time."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from compose.processes import wait_until
from shared.observing import open_telemetry, tracing
from shared.observing.logging import make_formatter
from shared.settings import Settings
from tests.collector import Collector, running_collector, stop_tracing
from tests.paths import ROOT

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    yield
    stop_tracing()


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {ENDPOINT: ""},
        {ENDPOINT: "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "TRUE"},
        {ENDPOINT: "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_SERVICE_NAME": "rowgate", "OTEL_TRACES_SAMPLER": "always_on"},
    ],
)
def test_without_a_collector_there_are_no_spans(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    tracing.prepare("rowgate-tests")
    assert not tracing.is_on()
    with tracing.span("work", parent=f"00-{TRACE}-{SPAN}-01", attributes={"a": 1}) as span:
        span.set({"b": 2})
        span.rename("other")
        span.fail("bad")
        span.end()
        assert tracing.get_traceparent() is None
    assert span is tracing.NO_SPAN
    tracing.record_error(ValueError("secret"))
    assert tracing.name_span(None, "info", {"event": "x"}) == {"event": "x"}


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({ENDPOINT: "collector:4318"}, ENDPOINT),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "grpc://collector:4317"}, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
        ({ENDPOINT: "http://collector:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL"),
    ],
)
def test_collector_that_cannot_be_sent_to_is_told_and_nothing_is_sent(variables: dict[str, str], named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (tracing.find_mistake(variables) or "").startswith(named)
    assert tracing.find_mistake({**variables, "OTEL_SDK_DISABLED": "true"}) is None
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    tracing.prepare("rowgate-tests")
    assert not tracing.is_on()


def test_variables_may_stand_in_the_file_of_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "settings").write_text(f"{ENDPOINT}=http://127.0.0.1:1\nOTEL_SERVICE_NAME=from-file\nAPI_KEYS=a-key-of-16-letters\n")
    monkeypatch.setenv("ENV_FILE", str(tmp_path / "settings"))
    monkeypatch.setenv("OTEL_SERVICE_NAME", "from-environment")
    assert tracing.read_variables() == {ENDPOINT: "http://127.0.0.1:1", "OTEL_SERVICE_NAME": "from-environment"}


@pytest.mark.slow
def test_programs_that_send_no_traces_load_nothing_of_the_sdk(settings: Settings) -> None:
    program = """
import sys
import main, celery_app
from shared.web.serve import load_application
import features.processing.run, features.processing.make_output
load_application()
heavy = ("opentelemetry.sdk", "opentelemetry.exporter", "google.protobuf", "requests", "shared.observing.open_telemetry")
loaded = [name for name in sys.modules if name.startswith(heavy)]
assert not loaded, loaded
"""
    environment = {"DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url, "UPLOAD_DIR": str(settings.upload_dir)}
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, env={**os.environ, **environment}, check=True, timeout=60)


def test_span_has_what_it_was_given_and_no_more(collector: Collector) -> None:
    with tracing.span("outer", kind="server", parent=f"00-{TRACE}-{SPAN}-01", attributes={"a": 1, "b": None}) as outer:
        with tracing.span("inner") as inner:
            inner.set({"c": "x", "d": None})
        outer.rename("renamed")
    collector.wait_for("renamed", "inner")
    outside, inside = collector.get("renamed"), collector.get("inner")
    assert (outside.service, outside.kind, outside.trace_id, outside.parent_id) == ("rowgate-tests", "server", TRACE, SPAN)
    assert (inside.kind, inside.trace_id, inside.parent_id) == ("internal", TRACE, outside.span_id)
    assert (outside.attributes, inside.attributes) == ({"a": 1}, {"c": "x"})
    assert not outside.has_failed


def test_span_that_has_ended_stays_the_current_one_and_changes_no_more(collector: Collector) -> None:
    with tracing.span("opening") as opening:
        opening.end()
        opening.set({"late": True})
        opening.rename("late")
        opening.fail("late")
        assert tracing.name_span(None, "info", {}).keys() == {"trace_id", "span_id"}
    collector.wait_for("opening")
    assert collector.get("opening").attributes == {}


@pytest.mark.parametrize(
    "parent",
    ["", "nonsense", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01", f"ff-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01-{'x' * 10_000}", "00-é-é-01"],
)
def test_traceparent_that_is_none_begins_a_trace_of_its_own(parent: str, collector: Collector) -> None:
    with tracing.span("work", parent=parent):
        pass
    collector.wait_for("work")
    assert collector.get("work").parent_id == ""
    assert collector.get("work").trace_id != TRACE


def test_caller_that_samples_nothing_is_heard(collector: Collector) -> None:
    with tracing.span("unseen", parent=f"00-{TRACE}-{SPAN}-00"):
        traceparent = tracing.get_traceparent()
        with tracing.span("unseen"):
            pass
    with tracing.span("seen"):
        pass
    collector.wait_for("seen")
    assert [each.name for each in collector.spans] == ["seen"]
    assert traceparent is not None
    assert traceparent.startswith(f"00-{TRACE}-")
    assert traceparent.endswith("-00")


def test_sampler_of_the_variables_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    with running_collector() as collector:
        monkeypatch.setenv(ENDPOINT, collector.url)
        tracing.prepare("rowgate-tests")
        with tracing.span("work"):
            assert tracing.get_traceparent() is not None
        tracing.stop()
        assert collector.requests == 0


def test_exception_is_recorded_by_its_type_and_frames_and_not_by_its_message(collector: Collector) -> None:
    cell = "cell 4711"
    with tracing.span("work") as work:
        try:
            int(cell)
        except ValueError as error:
            tracing.record_error(error)
        work.fail("500")
    with pytest.raises(ValueError, match=cell), tracing.span("passed through"):
        int(cell)
    collector.wait_for("passed through")
    failed, passed = collector.get("work"), collector.get("passed through")
    [(name, about)] = failed.events
    assert (name, about["exception.type"]) == ("exception", "builtins.ValueError")
    assert "test_tracing.py" in about["exception.stacktrace"]
    assert about.keys() == {"exception.type", "exception.stacktrace"}
    assert (failed.has_failed, failed.attributes) == (True, {"error.type": "builtins.ValueError"})
    assert (passed.has_failed, passed.events, passed.attributes) == (False, [], {})
    assert cell.encode() not in collector.raw


def test_lines_of_the_log_name_the_span(collector: Collector, settings: Settings) -> None:
    formatter = make_formatter(settings.model_copy(update={"log_format": "json"}))
    record = logging.LogRecord("library", logging.INFO, __file__, 1, "something", None, None)
    assert "trace_id" not in json.loads(formatter.format(record))
    with tracing.span("work", parent=f"00-{TRACE}-{SPAN}-01"):
        line = json.loads(formatter.format(record))
    collector.wait_for("work")
    assert (line["trace_id"], line["span_id"]) == (TRACE, collector.get("work").span_id)


def test_variables_of_the_sdk_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20token")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "files")
    with running_collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{collector.url}/v1/traces")
        tracing.prepare("rowgate-tests")
        with tracing.span("work"):
            pass
        tracing.stop()
        assert collector.get("work").service == "files"
        assert collector.headers[0]["authorization"] == "Bearer token"


@pytest.mark.parametrize(
    ("variable", "value"), [("OTEL_EXPORTER_OTLP_TIMEOUT", "long"), ("OTEL_BSP_MAX_QUEUE_SIZE", "-1"), ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "many")]
)
def test_variable_that_makes_no_sense_fails_no_work(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:1")
    monkeypatch.setenv(variable, value)
    tracing.prepare("rowgate-tests")
    with tracing.span("work", parent=f"00-{TRACE}-{SPAN}-01") as span:
        span.set({"a": 1})
        tracing.record_error(ValueError())


FORKING = """
import os, time
from shared.observing import tracing
tracing.prepare("rowgate-tests")
children = []
for name in ("first", "second"):
    if (pid := os.fork()) == 0:
        with tracing.span(name):
            pass
        tracing.stop()
        os._exit(0)
    children.append(pid)
for pid in children:
    assert os.waitpid(pid, 0)[1] == 0
"""


@pytest.mark.slow
def test_processes_that_are_forked_send_their_spans_before_they_end() -> None:
    with running_collector() as collector:
        run(FORKING, {ENDPOINT: collector.url, "OTEL_BSP_SCHEDULE_DELAY": "60000"})
        assert {each.name for each in collector.spans} == {"first", "second"}
        assert len({each.trace_id for each in collector.spans}) == 2


MANY = """
import json, time
from shared.observing import tracing
from shared.observing.logging import configure_logging, log_whatever_is_written
from shared.settings import get_settings
log_whatever_is_written()
configure_logging(get_settings())
tracing.prepare("rowgate-tests")
began = time.monotonic()
for _ in range(6):
    for _ in range(600):
        with tracing.span("work"):
            pass
    time.sleep(0.1)
worked, began = time.monotonic() - began, time.monotonic()
tracing.stop()
print(json.dumps({"timestamp": "", "level": "", "event": "times", "logger": "", "worked": worked, "stopped": time.monotonic() - began}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["away", "hangs", "refuses"])
def test_collector_that_does_not_take_spans_costs_no_time_and_one_line(how: str) -> None:
    with running_collector(delay_s=60.0 if how == "hangs" else 0.0, status=503 if how == "refuses" else 200) as collector:
        lines = [json.loads(line) for line in run(MANY, {ENDPOINT: "http://user:geheim@127.0.0.1:1" if how == "away" else collector.url})]
    [complaint] = [line for line in lines if line["event"] == "traces could not be sent"]
    assert complaint["level"] == "warning"
    assert [line["event"] for line in lines] == ["traces are sent", "traces could not be sent", "times"]
    assert "geheim" not in str(lines)
    assert lines[-1]["worked"] < 20.0
    assert lines[-1]["stopped"] < 20.0


def test_end_waits_less_if_the_collector_has_not_taken_spans_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.01")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    monkeypatch.setattr(open_telemetry, "END_S", 60.0)
    tracing.prepare("rowgate-tests")
    with tracing.span("work"):
        pass
    started = tracing._tracing
    assert started is not None
    assert wait_until(started._outages.is_failing, timeout_s=10)
    began = time.monotonic()
    tracing.stop()
    assert time.monotonic() - began < 30


@pytest.mark.slow
def test_headers_that_are_no_headers_are_not_quoted() -> None:
    program = MANY.replace("range(6)", "range(1)")
    lines = run(program, {ENDPOINT: "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_HEADERS": "geheim-4711"})
    assert "geheim-4711" not in "".join(lines)
    assert any("traces could not be sent" in line for line in lines)


def run(program: str, variables: dict[str, str]) -> list[str]:
    """Run a program, and return what it wrote, by lines."""
    own = {"LOG_FORMAT": "json", "DATABASE_URL": "postgresql://127.0.0.1/", "REDIS_URL": "redis://127.0.0.1", "UPLOAD_DIR": os.devnull}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env={**os.environ, **own, **variables}, capture_output=True, text=True, timeout=60, check=True
    )
    return (done.stderr + done.stdout).splitlines()
