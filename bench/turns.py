"""Measure how slots are shared: when small files of nine clients start beside a thousand large ones of another, and what a claim takes in a long queue."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import httpx
from sqlalchemy import text

from bench.files import make_csv
from bench.measure import Plan, RunFailed, percentile, say
from bench.report import Section, at_most, describe_run
from bench.stack import ENDED, Stack, running_stack
from shared.db.session import Database, open_database
from shared.db.turns import JOBS, choose_next
from shared.jobs import job_state

OTHERS, LARGE_FILES, SLOTS = 9, 1000, 4
SMALL = b"id,name\n1,Ada\n"
SMALL_FILES = 90
EVERY_S = 0.5
"""One of the others sends a small file so often."""
LARGE_ROWS = 0.2
"""Rows of a large file, as a share of those of the standard file: 25 MB."""
MAX_GROWTH = 2.0
MAX_CLAIM_GROWTH = 3.0
"""Of a choice in a queue a thousand times as long; what grows are misses of the processor's caches."""
FLOOD_WAIT_S = 120.0
LARGE_ROUND = 24
"""So many large files of a client who is alone are timed, with and without others who were there before."""
QUEUED, SUBMITTERS, FEW = 1_000_000, 1000, 10
CLAIMS = 100
FILL = """
INSERT INTO jobs (id, filename, file_size, file_type, sha256, submitted_by, created_at)
SELECT gen_random_uuid(), 'a.csv', CASE WHEN n % 3 = 0 THEN 9000000 ELSE 9 END, 'csv', '', 'tenant-' || n % {submitters}, now() - make_interval(secs => n)
FROM generate_series(1, {jobs}) AS n
"""


@dataclass(frozen=True, slots=True)
class _Waits:
    """What small jobs took from their insert, in ms: to their claim, and to their end."""

    starts: Sequence[float]
    ends: Sequence[float]


def _key(number: int) -> str:
    return f"key-of-tenant-number-{number}"


def measure_turns(plan: Plan) -> Section:
    """Measure small files on an idle stack and beside a flood, then claims in queues of several lengths."""
    keys = ",".join(f"tenant-{number}:{_key(number)}" for number in range(OTHERS + 1))
    file = make_csv(plan.data, rows=max(100_000, round(plan.rows * LARGE_ROWS)), bad_share=0.01)
    with running_stack(plan, API_KEYS=keys, MIN_FREE_DISK_BYTES="0", MAX_STORED_ERRORS_PER_JOB="1000") as stack:
        stack.start_worker(slots=SLOTS)
        stack.start_dispatcher()
        clients = [httpx.Client(base_url=stack.url, headers={"X-API-Key": _key(number)}, timeout=60) for number in range(OTHERS + 1)]
        say("turns: small files, without others")
        _send_small(clients[1:], OTHERS)
        idle = _send_small(clients[1:], SMALL_FILES)
        say(f"turns: small files beside {LARGE_FILES:,} large ones")
        flood = _flood(clients[0], file.path, LARGE_FILES)
        _wait_for_running(clients[0], SLOTS - 1)
        beside = _send_small(clients[1:], SMALL_FILES)
        _cancel(clients[0], flood)
        say(f"turns: {LARGE_ROUND} large files of one client, while a slot is spared and while none is")
        spared_s = _time_large(clients[0], file.path)
        stack.query("UPDATE submitter_turns SET claimed_at = claimed_at - interval '1 hour'")
        alone_s = _time_large(clients[0], file.path)
        stack.stop_worker()
        say("turns: claims")
        claims = asyncio.run(_time_claims(stack))
    rows = [
        ["small file to its claim, nobody else there", *_describe(idle.starts)],
        [f"small file to its claim, {LARGE_FILES:,} large ones of another client waiting", *_describe(beside.starts)],
        ["small file to its end, nobody else there", *_describe(idle.ends)],
        [f"small file to its end, {LARGE_FILES:,} large ones of another client waiting", *_describe(beside.ends)],
        *([f"choice among {name}", *_describe(found)] for name, found in claims.items()),
    ]
    _, wide, long = (percentile(found, 0.5) for found in claims.values())
    return Section(
        title="Turns",
        about=(
            f"A worker of {SLOTS} slots on two cores; {OTHERS} clients send a small file ({len(SMALL)} bytes), one of them every {EVERY_S:g} s,"
            f" {SMALL_FILES} in all: first alone, then while {LARGE_FILES:,} files of {file.path.stat().st_size / 1e6:.0f} MB of a tenth client wait,"
            f" of which {SLOTS - 1} are checked at a time and take both cores. Alone, {LARGE_ROUND} of these take the tenth client {alone_s:.1f} s on all"
            f" slots, and {spared_s:.1f} s while one is spared for clients who were there in the last ten minutes. A choice is the statement that"
            f" finds and locks the job that is next, between claims one after the other: among {QUEUED:,} jobs of {SUBMITTERS:,} clients, one job of each, and"
            f" {FEW} jobs of {FEW} clients."
        ),
        headings=("What", "Median", "p99", "Longest"),
        rows=rows,
        verdicts=[
            at_most(
                "Median time to the claim of a small file beside a thousand large ones, compared with none",
                percentile(beside.starts, 0.5) / percentile(idle.starts, 0.5),
                MAX_GROWTH,
            ),
            at_most(f"Choice among {QUEUED:,} jobs compared with {SUBMITTERS:,}, of as many clients", long / wide, MAX_CLAIM_GROWTH),
        ],
        conditions=describe_run(f"{SMALL_FILES} small files, {CLAIMS} claims"),
    )


def _describe(values: Sequence[float]) -> list[str]:
    return [f"{value:.1f} ms" for value in (percentile(values, 0.5), percentile(values, 0.99), max(values))]


def _send_small(clients: Sequence[httpx.Client], count: int) -> _Waits:
    """Send small files, each client in its turn, and wait until all have ended."""
    sent = []
    for number in range(count):
        due = time.monotonic() + EVERY_S
        client = clients[number % len(clients)]
        answer = client.post("/api/files/upload", files={"file": ("small.csv", SMALL)}).raise_for_status().json()
        sent.append((client, answer["job_id"]))
        time.sleep(max(0.0, due - time.monotonic()))
    jobs = [_wait_for_end(client, job_id) for client, job_id in sent]
    return _Waits(*([_ms(job["created_at"], job[name]) for job in jobs] for name in ("started_at", "completed_at")))


def _ms(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() * 1000


def _wait_for_end(client: httpx.Client, job_id: str, *, timeout_s: float = FLOOD_WAIT_S) -> Mapping[str, str]:
    deadline = time.monotonic() + timeout_s
    while (job := client.get(f"/api/jobs/{job_id}").json())["status"] not in ENDED:
        if time.monotonic() > deadline:
            raise RunFailed(f"The job {job_id} did not end within {timeout_s:g} s.")
        time.sleep(0.1)
    return dict(job)


def _flood(client: httpx.Client, path: Path, count: int) -> Sequence[str]:
    """Have the file checked so many times; it is stored once."""
    with path.open("rb") as file:
        first = client.post("/api/files/upload", files={"file": (path.name, file)}).raise_for_status().json()["job_id"]
    return [first, *(client.post(f"/api/jobs/{first}/check-again", json={}).raise_for_status().json()["job_id"] for _ in range(count - 1))]


def _wait_for_running(client: httpx.Client, count: int) -> None:
    deadline = time.monotonic() + FLOOD_WAIT_S
    while client.get("/api/jobs", params={"status": "PROCESSING"}).json()["total"] < count:
        if time.monotonic() > deadline:
            raise RunFailed("The large files are not checked.")
        time.sleep(0.1)


def _cancel(client: httpx.Client, job_ids: Sequence[str]) -> None:
    for job_id in reversed(job_ids):
        client.post(f"/api/jobs/{job_id}/cancel")
    for job_id in job_ids:
        _wait_for_end(client, job_id)


def _time_large(client: httpx.Client, path: Path) -> float:
    """Return how long a round of large files takes, from the first claim to the last end."""
    jobs = [_wait_for_end(client, job_id) for job_id in _flood(client, path, LARGE_ROUND)]
    starts, ends = ([datetime.fromisoformat(job[name]) for job in jobs] for name in ("started_at", "completed_at"))
    return (max(ends) - min(starts)).total_seconds()


async def _time_claims(stack: Stack) -> Mapping[str, Sequence[float]]:
    async def send(_: object) -> bool:
        return True

    database = open_database(stack.settings, send=send, application_name="bench", pool_size=1, max_overflow=0)
    found: dict[str, Sequence[float]] = {}
    try:
        for jobs, submitters in ((FEW, FEW), (SUBMITTERS, SUBMITTERS), (QUEUED, SUBMITTERS)):
            found[f"{jobs:,} jobs of {submitters:,} clients"] = await _time_claims_in(database, stack, jobs=jobs, submitters=submitters)
    finally:
        await database.close()
    return found


async def _time_claims_in(database: Database, stack: Stack, *, jobs: int, submitters: int) -> Sequence[float]:
    async with database.unit_of_work() as session:
        await session.execute(text("TRUNCATE jobs, submitter_turns CASCADE"))
        await session.execute(text(FILL.format(jobs=jobs, submitters=submitters)))
    for statement in ("VACUUM ANALYZE jobs", "CHECKPOINT"):
        await asyncio.to_thread(stack.query, statement)
    times, claimed = [], set[uuid.UUID]()
    for _ in range(min(CLAIMS, jobs)):
        async with database.reading() as session:
            start = time.perf_counter()
            await session.execute(choose_next(JOBS, may_be_large=True))
            times.append((time.perf_counter() - start) * 1000)
        async with database.unit_of_work() as session:
            job = await job_state.claim(session, lease_s=3600)
        if job is None or job.id in claimed:
            raise RunFailed("A claim got nothing, or what was claimed before.")
        claimed.add(job.id)
    return times
