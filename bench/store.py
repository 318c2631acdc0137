"""Measure files in an S3 store on loopback: whole jobs compared with a folder, uploads compared with a bare multipart put of the same bytes, memory."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

from bench.files import TABLE_SCHEMA, BenchFile, make_csv
from bench.measure import ROOT, Plan, Run, alternate, run_child, say, warm
from bench.report import Section, Verdict, at_most, describe_conditions
from bench.stack import Stack, running_stack
from compose.object_store import Store

MAX_JOB, MAX_UPLOAD, MAX_SPREAD = 1.25, 2.0, 1.1
LARGE_FILE = 4


def measure_store(plan: Plan) -> Section:
    """Measure a file of about 128 MB, and one of four times its size."""
    rows: list[list[str]] = []
    verdicts: list[Verdict] = []
    peaks: list[float] = []
    with running_stack(plan) as folder_stack, running_stack(plan, has_store=True) as store_stack:
        assert store_stack.store is not None
        for scale in (1, LARGE_FILE):
            file = make_csv(plan.data, rows=plan.rows * scale, bad_share=0.0, keep_truth=False)
            name = f"{file.path.stat().st_size / 1e6:,.0f} MB"
            warm(file.path)
            say(f"store: {name}")
            jobs = dict(alternate({"folder": partial(_run_job, folder_stack, file), "store": partial(_run_job, store_stack, file)}, times=plan.times))
            rows += [[f"Whole job from a {where}, {name}", f"{run.wall_s:.2f}", f"{run.cpu_s:.2f}", f"{run.peak_mib:.0f}"] for where, run in jobs.items()]
            peaks.append(jobs["store"].peak_mib)
            verdicts.append(at_most(f"Whole job from an S3 store compared with a folder, {name}", jobs["store"].wall_s / jobs["folder"].wall_s, MAX_JOB))
            cpu = f"CPU time of a worker for a file from an S3 store compared with a folder, {name}"
            verdicts.append(at_most(cpu, jobs["store"].cpu_s / jobs["folder"].cpu_s, MAX_JOB))
            uploads = dict(
                alternate(
                    {"put": partial(_put, store_stack.store, file.path), "upload": partial(_upload, store_stack, file.path)},
                    times=plan.times,
                )
            )
            rows += [
                [f"Bare multipart put by obstore, {name}", f"{uploads['put'].wall_s:.2f}", "-", "-"],
                [f"Upload to the answer, {name}", f"{uploads['upload'].wall_s:.2f}", "-", "-"],
            ]
            ratio = uploads["upload"].wall_s / uploads["put"].wall_s
            verdicts.append(at_most(f"Upload to an S3 store compared with a bare multipart put, {name}", ratio, MAX_UPLOAD))
    verdicts.append(at_most("Peak memory of a worker child for the large file from a store compared with the small one", peaks[1] / peaks[0], MAX_SPREAD))
    return Section(
        title="Files in an S3 store",
        about=(
            "The store is SeaweedFS on the same machine, which shares its processors: where jobs use all of them, the CPU time of the worker"
            " says what a job takes that has them for itself. Whole jobs: `started_at` to `completed_at`, fetching included."
            " It is asked to encrypt, since it compresses text that it does not encrypt."
            " An upload is hashed, parsed and stored in parts; the bare put sends the same bytes from a file."
        ),
        headings=("What", "Wall s", "CPU s", "Peak MiB"),
        rows=rows,
        verdicts=verdicts,
        conditions=describe_conditions(times=plan.times, rows=plan.rows),
        peers=[],
    )


def _run_job(stack: Stack, file: BenchFile) -> Run:
    stack.clear()
    stack.start_worker()
    return stack.run_job(file.path, table_schema=json.dumps(TABLE_SCHEMA))[1]


def _put(store: Store, path: Path) -> Run:
    return run_child("bench.run_put", store.url, store.bucket, store.access_key_id, store.secret_access_key, str(path))


def _upload(stack: Stack, path: Path) -> Run:
    stack.clear()
    command = [sys.executable, "-m", "bench.run_upload", f"{stack.url}/api/files/upload", str(path)]
    result = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return Run(wall_s=json.loads(result.stdout)["wall_s"])
