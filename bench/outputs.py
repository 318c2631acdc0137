"""Measure outputs: the time of making them beside the engine's own pass and beside XlsxWriter, memory, rows in context, and sending them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import httpx

from bench.engine import run_engine
from bench.files import TABLE_SCHEMA, make_csv
from bench.measure import Plan, Run, RunFailed, alternate, percentile, run_child, say, warm
from bench.probe import memory_mib, peak_memory_mib
from bench.report import Section, Verdict, at_most, describe_conditions
from bench.stack import Stack, running_stack

VALID_CSV, PARQUET, WORKBOOK = 1.6, 3.0, 1.5
"""Targets: times of the engine's own pass, and of XlsxWriter's."""
WORKBOOK_FILE, LARGE_FILE = 0.1, 4
"""As shares of the standard file's rows."""
MAX_PEAK_MIB, MAX_ROWS_MS, MAX_JOB_MS, MAX_GROWTH_MB = 384, 100, 100, 32
KINDS = ("valid.csv", "rejected.csv", "annotated.csv", "valid.parquet", "valid.ndjson", "valid.xlsx", "annotated.xlsx", "errors.csv", "errors.parquet")
LARGE_KINDS = ("valid.csv", "annotated.csv", "valid.parquet", "errors.parquet")
"""Kinds that are also made of the large file; a workbook of four million rows takes a quarter of an hour."""
ASKED_ROWS, ASKED_PER_S, SENT = 300, 50, 3
OUTPUT_TIMEOUT_S = 900.0


def measure_outputs(plan: Plan) -> Section:
    """Measure all of it; what takes longest is measured once."""
    rows: list[list[str]] = []
    verdicts: list[Verdict] = []
    for share in (0.0, 0.01):
        _measure_beside_engine(plan, share, rows, verdicts)
    _measure_workbook(plan, rows, verdicts)
    with running_stack(plan, MIN_FREE_DISK_BYTES="0", MAX_STORED_ERRORS_PER_JOB="1000000") as stack:
        _measure_memory(plan, stack, rows, verdicts)
        _measure_rows(plan, stack, rows, verdicts)
        _measure_sending(plan, stack, rows, verdicts)
    return Section(
        title="Outputs",
        about=(
            "Time: one process for each run, from opening the file to the synced and hashed output, beside the engine's own pass over the same file, which"
            " writes nothing; XlsxWriter alone writes the cells and comments of our `annotated.xlsx`, which it has in memory. Peak: `VmHWM` of the Celery child"
            " that made the output, a fresh one for each. Rows in context: one client asks for the rows around random rows. Sending: one client fetches an"
            f" output again and again while another asks for a job {ASKED_PER_S} times a second, both from one API process."
        ),
        headings=("What", "Wall s", "CPU s", "Peak MiB", "Beside"),
        rows=rows,
        verdicts=verdicts,
        conditions=describe_conditions(times=plan.times, rows=plan.rows),
    )


def _measure_beside_engine(plan: Plan, share: float, rows: list[list[str]], verdicts: list[Verdict]) -> None:
    file, name = make_csv(plan.data, rows=plan.rows, bad_share=share), f"{share:.0%} bad" if share else "clean"
    warm(file.path)
    say(f"outputs compared with the engine, {name}")
    targets = {"valid.csv": VALID_CSV, "valid.parquet": PARQUET, "valid.ndjson": None}
    contestants: dict[str, Callable[[], Run]] = {"engine": partial(run_engine, file.path)}
    contestants |= {kind: partial(run_child, "bench.run_output", str(file.path), kind) for kind in targets}
    runs = alternate(contestants, times=plan.times)
    engine = runs["engine"]
    rows.append([f"engine's own pass, {name}", f"{engine.wall_s:.2f}", f"{engine.cpu_s:.2f}", f"{engine.peak_mib:.0f}", "-"])
    for kind, target in targets.items():
        ratio = runs[kind].wall_s / engine.wall_s
        rows.append([f"{kind}, {name}", f"{runs[kind].wall_s:.2f}", f"{runs[kind].cpu_s:.2f}", f"{runs[kind].peak_mib:.0f}", f"{ratio:.2f}x engine"])
        if target is not None:
            verdicts.append(at_most(f"{kind} compared with the engine's own pass, {name}", ratio, target))


def _measure_workbook(plan: Plan, rows: list[list[str]], verdicts: list[Verdict]) -> None:
    count = round(plan.rows * WORKBOOK_FILE)
    file = make_csv(plan.data, rows=count, bad_share=0.01)
    sample = plan.data / "annotated.xlsx"
    run_child("bench.run_output", str(file.path), "annotated.xlsx", str(sample))
    warm(file.path)
    say("annotated.xlsx compared with XlsxWriter")
    ours, bare = "annotated.xlsx", "XlsxWriter, bare loop"
    runs = alternate(
        {
            ours: partial(run_child, "bench.run_output", str(file.path), "annotated.xlsx"),
            bare: partial(run_child, "bench.run_xlsxwriter", str(sample)),
        },
        times=min(plan.times, 3),
    )
    ratio = runs[ours].wall_s / runs[bare].wall_s
    beside = {ours: f"{ratio:.2f}x XlsxWriter", bare: "-"}
    rows += [[f"{name}, {count:,} rows, 1% bad", f"{run.wall_s:.2f}", f"{run.cpu_s:.2f}", f"{run.peak_mib:.0f}", beside[name]] for name, run in runs.items()]
    verdicts.append(at_most(f"annotated.xlsx of {count:,} rows compared with XlsxWriter", ratio, WORKBOOK))


def _measure_memory(plan: Plan, stack: Stack, rows: list[list[str]], verdicts: list[Verdict]) -> None:
    peaks: dict[str, list[float]] = {}
    for scale, kinds in ((1, KINDS), (LARGE_FILE, LARGE_KINDS)):
        for share in (0.0, 1.0):
            file = make_csv(plan.data, rows=plan.rows * scale, bad_share=share, keep_truth=False)
            stack.start_worker()
            job_id, _ = stack.run_job(file.path, table_schema=json.dumps(TABLE_SCHEMA))
            for kind in kinds:
                if kind.startswith("errors") and not share:
                    continue  # there are none
                say(f"memory: {kind}, {scale}x, {share:.0%} bad")
                run = _make_output(stack, job_id, kind)
                peaks.setdefault(kind, []).append(run.peak_mib)
                name = f"{kind}, {file.path.stat().st_size / 1e6:,.0f} MB, {share:.0%} bad"
                rows.append([f"service: {name}", f"{run.wall_s:.1f}", "-", f"{run.peak_mib:.0f}", "-"])
            stack.clear()
    verdicts.append(at_most("Peak memory of a worker child, any output", max(max(each) for each in peaks.values()), MAX_PEAK_MIB, " MiB"))


def _make_output(stack: Stack, job_id: str, name: str) -> Run:
    """Make an output in a fresh child, and return its time and its peak."""
    stack.start_worker()
    url = f"{stack.url}/api/jobs/{job_id}/outputs"
    begun = time.monotonic()
    httpx.put(f"{url}/{name}", timeout=60).raise_for_status()
    while True:
        output = next(each for each in httpx.get(url, timeout=60).json()["outputs"] if each["name"] == name)
        if output["status"] in {"READY", "FAILED"}:
            break
        if time.monotonic() - begun > OUTPUT_TIMEOUT_S:
            raise RunFailed(f"{name} was not made within {OUTPUT_TIMEOUT_S:g} s.")
        time.sleep(0.2)
    if output["status"] == "FAILED":
        raise RunFailed(f"{name}: {output['error_message']}")
    return Run(wall_s=time.monotonic() - begun, peak_mib=max((peak_memory_mib(pid) for pid in stack.child_pids()), default=0.0), rows=output["row_count"] or 0)


def _measure_rows(plan: Plan, stack: Stack, rows: list[list[str]], verdicts: list[Verdict]) -> None:
    file = make_csv(plan.data, rows=plan.rows, bad_share=0.01, keep_truth=False)
    stack.start_worker()
    job_id, _ = stack.run_job(file.path, table_schema=json.dumps(TABLE_SCHEMA))
    say("rows in context")
    with httpx.Client(base_url=stack.url, timeout=60) as client:
        begun = time.monotonic()
        while client.get(f"/api/jobs/{job_id}/rows", params={"from_row": 1}).status_code == 202:
            if time.monotonic() - begun > OUTPUT_TIMEOUT_S:
                raise RunFailed("The rows were not made ready in time.")
            time.sleep(0.2)
        ready_s = time.monotonic() - begun
        for what, parameters in (("around a row", {"context": "3"}), ("200 rows", {"limit": "200"}), ("200 failed rows", {"limit": "200", "only": "failed"})):
            walls = []
            for number in range(ASKED_ROWS):
                place = 2 + (number * 7_919_993) % plan.rows
                wanted = {"around_row" if what == "around a row" else "from_row": str(place), **parameters}
                start = time.perf_counter()
                client.get(f"/api/jobs/{job_id}/rows", params=wanted).raise_for_status()
                walls.append(time.perf_counter() - start)
            slow_ms = percentile(walls, 0.99) * 1000
            rows.append([f"rows: {what}, any of {plan.rows:,} (ready after {ready_s:.1f} s)", f"{slow_ms / 1000:.3f} (p99)", "-", "-", "-"])
            verdicts.append(at_most(f"p99 of rows in context, {what}", slow_ms, MAX_ROWS_MS, " ms"))
    stack.clear()


def _measure_sending(plan: Plan, stack: Stack, rows: list[list[str]], verdicts: list[Verdict]) -> None:
    file = make_csv(plan.data, rows=plan.rows * LARGE_FILE, bad_share=0.0, keep_truth=False)
    stack.start_worker()
    job_id, _ = stack.run_job(file.path, table_schema=json.dumps(TABLE_SCHEMA))
    _make_output(stack, job_id, "valid.csv")
    say("sending an output while a job is asked for")
    path = f"{stack.url}/api/jobs/{job_id}/outputs/valid.csv"
    walls: list[float] = []
    before = memory_mib(stack.api_pid)
    peak = before
    with _fetching(path) as speed, httpx.Client(base_url=stack.url, timeout=60) as client:
        while not speed.is_over.is_set():
            start = time.perf_counter()
            client.get(f"/api/jobs/{job_id}").raise_for_status()
            walls.append(time.perf_counter() - start)
            peak = max(peak, memory_mib(stack.api_pid))
            time.sleep(max(0.0, 1 / ASKED_PER_S - walls[-1]))
    slow_ms, growth_mb = percentile(walls, 0.99) * 1000, (peak - before) * 2**20 / 1e6
    size_mb = file.path.stat().st_size / 1e6
    rows.append([f"GET of a job while {size_mb:,.0f} MB are sent {SENT} times ({speed.mb_per_s:,.0f} MB/s)", f"{slow_ms / 1000:.3f} (p99)", "-", "-", "-"])
    verdicts.append(at_most("p99 of GET of a job while an output is sent", slow_ms, MAX_JOB_MS, " ms"))
    verdicts.append(at_most("Growth of the API process while an output is sent", growth_mb, MAX_GROWTH_MB, " MB"))


class _Speed:
    def __init__(self) -> None:
        self.is_over = threading.Event()
        self.mb_per_s = 0.0


@contextmanager
def _fetching(url: str) -> Iterator[_Speed]:
    """Fetch the output `SENT` times in a thread, and throw it away."""
    speed = _Speed()

    def fetch() -> None:
        begun, size = time.perf_counter(), 0
        try:
            for _ in range(SENT):
                with httpx.stream("GET", url, timeout=60) as answer:
                    size += sum(map(len, answer.iter_raw()))
        finally:
            speed.mb_per_s = size / 1e6 / (time.perf_counter() - begun)
            speed.is_over.set()

    fetching = threading.Thread(target=fetch, name="fetch")
    fetching.start()
    try:
        yield speed
    finally:
        fetching.join()
