"""Measure uploads compared with a sink that drops the body, and with `UploadFile`; each has one server process, and another process sends the load."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from bench.measure import Plan, Run, alternate, run_json, say, to_run, warm
from bench.report import Section, Verdict, at_least, at_most, describe_conditions
from bench.sink_process import running_sinks
from bench.stack import running_stack
from bench.upload_files import make_upload
from compose.local import API_DEFAULTS

OURS, FLOOR, PEER = "Rowgate, fsync included", "Read and drop", "UploadFile, 8 KB chunks, aiofiles"
SIZES_MB = (200, 500)
MAX_TIMES_FLOOR = 3.0
MIN_TIMES_FASTER = 20.0
MAX_ANSWER_S = 0.5


def measure_upload(plan: Plan) -> Section:
    """Measure whole requests of each size."""
    rows: list[list[str]] = []
    verdicts: list[Verdict] = []
    with running_stack(plan) as stack, running_sinks(plan) as sink:
        for size_mb in SIZES_MB:
            size_bytes = round(size_mb * 1e6 * plan.rows / Plan.rows)
            path = make_upload(plan, size_bytes)
            warm(path)
            say(f"uploads of {size_bytes / 1e6:g} MB")
            answers: dict[str, list[float]] = {OURS: [], FLOOR: [], PEER: []}
            contestants: Mapping[str, Callable[[], Run]] = {
                OURS: partial(_upload, f"{stack.url}/api/files/upload", path, stack.uploads, answers[OURS]),
                FLOOR: partial(_upload, f"{sink.url}/drop", path, sink.folder, answers[FLOOR]),
                PEER: partial(_upload, f"{sink.url}/uploadfile", path, sink.folder, answers[PEER]),
            }
            for contestant in contestants.values():
                contestant()
            runs = alternate(contestants, times=plan.times)
            name = f"{size_bytes / 1e6:g} MB"
            rows += [
                [f"{who}, {name}", f"{run.wall_s:.2f}", f"{size_bytes / run.wall_s / 1e6:,.0f}", f"{max(answers[who]) * 1000:,.0f}"]
                for who, run in runs.items()
            ]
            verdicts.append(at_most(f"Slowest answer after the last byte of {name}", max(answers[OURS]) * 1000, MAX_ANSWER_S * 1000, " ms"))
            if size_mb == max(SIZES_MB):
                floor, peer = runs[FLOOR].wall_s, runs[PEER].wall_s
                verdicts.append(at_most(f"Upload of {name} compared with reading and dropping it", runs[OURS].wall_s / floor, MAX_TIMES_FLOOR))
                verdicts.append(at_least(f"Upload of {name} compared with UploadFile", peer / runs[OURS].wall_s, MIN_TIMES_FASTER))
    return Section(
        title="Uploads",
        about=(
            "The whole multipart request over loopback, from its first byte to the whole answer; one uvicorn process each, all with glibc's malloc thresholds"
            f" pinned ({', '.join(f'`{key}={value}`' for key, value in API_DEFAULTS.items())})."
            " Rowgate's answer is sent when file and job are durable; the others sync nothing, and run on uvicorn's own HTTP protocol."
        ),
        headings=("What", "Wall s", "MB/s", "Slowest answer after the last byte, ms"),
        rows=rows,
        verdicts=verdicts,
        conditions=describe_conditions(times=plan.times, rows=plan.rows),
    )


def _upload(url: str, path: Path, written: Path, answers: list[float]) -> Run:
    """Measure one upload; the files it left are removed, so that every run finds the disk in the same state."""
    facts = run_json("bench.run_upload", url, str(path))
    answers.append(facts["after_last_byte_s"])
    for left in written.iterdir():
        left.unlink()
    return to_run(facts)
