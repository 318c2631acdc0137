"""Measure event streams: how soon changes are told on 500 of them, what they take of the processes and the database, and what others notice of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import asyncpg

from bench.measure import Plan, RunFailed, percentile, say
from bench.probe import memory_mib
from bench.prober import Probe, count_failed, probing
from bench.report import Section, Verdict, at_most, describe_conditions
from bench.stack import Stack, running_stack

PROCESSES, JOBS, STREAMS, STREAMS_OF_ALL = 4, 50, 500, 20
WARM_UP_S = 4.0
CHANGES, CHANGES_PER_S = 300, 15
QUIET_S = 10.0
"""How long the job is asked for without streams, to compare with."""
MAX_EVENT_MS, MAX_JOB_MS, MAX_IN_USE = 1000, 30, PROCESSES
CONTENT = b"id,name\n1,Ada\n"
LOOK_EVERY = 3
"""Changes between two looks at the database's connections."""
OPEN_TIMEOUT_S = 60.0


@dataclass
class _Streams:
    """What clients of open streams have received."""

    opened: int = 0
    arrivals: dict[tuple[int, str], float] = field(default_factory=dict)
    """When each change, by the stream's number and the change's name, was read."""
    doubles: int = 0
    broken: int = 0
    are_open: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when each of them has told something."""

    def note_open(self) -> None:
        """One more has."""
        self.opened += 1
        if self.opened == STREAMS:
            self.are_open.set()


@dataclass
class _Found:
    latencies_s: list[float]
    missing: int
    doubles: int
    broken: int
    connections: int
    in_transaction: int
    mib_before: float
    mib_open: float
    opened_s: float
    """How long it took until all streams, begun at once, had told something."""
    began_at: float
    ended_at: float
    """When changes began and ended (the machine's monotonic clock)."""


def measure_events(plan: Plan) -> Section:
    """Measure 500 streams on four processes, beside a client that asks for a job fifty times a second."""
    with running_stack(plan, api_processes=PROCESSES, MIN_FREE_DISK_BYTES="0") as stack:
        say("events: jobs that nobody runs")
        path = stack.uploads.parent / "job.csv"
        path.write_bytes(CONTENT)
        job_ids = [stack.upload(path) for _ in range(JOBS)]
        url = f"{stack.url}/api/jobs/{job_ids[0]}"
        say("events: a job is asked for, without streams")
        with probing(url):
            time.sleep(WARM_UP_S)
        with probing(url) as quiet:
            time.sleep(QUIET_S)
        say(f"events: the same with {STREAMS} streams, {CHANGES_PER_S} changes a second")
        found, during = _follow(stack, job_ids, url)
    slow_ms = percentile(found.latencies_s, 0.99) * 1000
    most_ms = max(found.latencies_s) * 1000
    asked_ms, quiet_ms = (percentile([probe.wall_s for probe in probes], 0.99) * 1000 for probes in (during, quiet.found))
    rows = [
        ["change to its event, of one job", _ms(percentile(found.latencies_s, 0.5) * 1000), _ms(slow_ms), _ms(most_ms)],
        [f"GET of a job beside {STREAMS} streams", _ms(percentile([probe.wall_s for probe in during], 0.5) * 1000), _ms(asked_ms), _ms(_most(during))],
        ["GET of a job without streams", _ms(percentile([probe.wall_s for probe in quiet.found], 0.5) * 1000), _ms(quiet_ms), _ms(_most(quiet.found))],
    ]
    verdicts = [
        at_most("Longest time from the commit of a change to its event", most_ms, MAX_EVENT_MS, " ms"),
        at_most(f"p99 of GET of a job beside {STREAMS} streams", asked_ms, MAX_JOB_MS, " ms"),
        at_most(f"Database connections in use at a time by {PROCESSES} processes with {STREAMS} streams", found.in_transaction, MAX_IN_USE, ""),
        Verdict("Events missed, told twice, streams broken off, requests failed", "0", str(_faults(found, during)), _faults(found, during) == 0),
    ]
    kib = (found.mib_open - found.mib_before) * 1024 / STREAMS
    return Section(
        title="Event streams",
        about=(
            f"{PROCESSES} API processes, {STREAMS} open streams: {STREAMS_OF_ALL} of all jobs, the others of one of {JOBS} jobs each. A job is changed"
            f" {CHANGES_PER_S} times a second; the time is from its commit, as the client of the database sees it, to the event at the client of the stream."
            " Another process asks for a job 50 times a second, half of the times on a new connection. All streams, begun at once, had told something after"
            f" {found.opened_s:.1f} s. With all of them open the processes had {found.connections} database connections, of which at most"
            f" {found.in_transaction} were in use at a time, and took {kib:.0f} KiB for each stream."
        ),
        headings=("What", "Median", "p99", "Longest"),
        rows=rows,
        verdicts=verdicts,
        conditions=describe_conditions(times=1, rows=JOBS),
    )


def _follow(stack: Stack, job_ids: Sequence[str], url: str) -> tuple[_Found, Sequence[Probe]]:
    pids = stack.api_child_pids()
    before = sum(map(memory_mib, pids))
    with probing(url) as during:
        found = asyncio.run(_run(stack, job_ids, pids))
    found.mib_before = before
    return found, [probe for probe in during.found if found.began_at <= probe.at <= found.ended_at]


async def _run(stack: Stack, job_ids: Sequence[str], pids: Sequence[int]) -> _Found:
    streams = _Streams()
    paths = ["/api/events"] * STREAMS_OF_ALL + [f"/api/jobs/{job_ids[number % JOBS]}/events" for number in range(STREAMS - STREAMS_OF_ALL)]
    readers = [asyncio.create_task(_read(stack.url, path, number, streams)) for number, path in enumerate(paths)]
    opening = time.perf_counter()
    await asyncio.wait_for(streams.are_open.wait(), OPEN_TIMEOUT_S)
    opened_s = time.perf_counter() - opening
    await asyncio.sleep(1)
    began_at = time.monotonic()
    connection = await asyncpg.connect(stack.database_url.replace("+asyncpg", ""))
    committed: dict[str, tuple[float, int]] = {}
    connections, in_transaction = 0, 0
    try:
        for number in range(CHANGES):
            due = time.monotonic() + 1 / CHANGES_PER_S
            place = number % JOBS
            name = f"change-{number}"
            await connection.execute("UPDATE jobs SET external_id = $2, updated_at = clock_timestamp() WHERE id = $1", job_ids[place], name)
            committed[name] = (time.perf_counter(), place)
            if number % LOOK_EVERY == 0:
                states = await connection.fetch("SELECT state FROM pg_stat_activity WHERE application_name = 'rowgate-api'")
                connections, in_transaction = max(connections, len(states)), max(in_transaction, sum(row["state"] != "idle" for row in states))
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        ended_at = time.monotonic()
        await asyncio.sleep(2)
        mib_open = sum(map(memory_mib, pids))
    finally:
        await connection.close()
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
    # A job's change is due on its own streams and on those of all jobs. Changes of a job come at least seconds apart, so none replaces another.
    latencies, missing = [], 0
    for name, (at, place) in committed.items():
        due_on = [*range(STREAMS_OF_ALL), *(STREAMS_OF_ALL + each for each in range(STREAMS - STREAMS_OF_ALL) if each % JOBS == place)]
        for stream in due_on:
            arrived = streams.arrivals.get((stream, name))
            if arrived is None:
                missing += 1
            else:
                latencies.append(arrived - at)
    if not latencies:
        raise RunFailed("No stream told anything.")
    return _Found(
        latencies_s=latencies,
        missing=missing,
        doubles=streams.doubles,
        broken=streams.broken,
        connections=connections,
        in_transaction=in_transaction,
        mib_before=0.0,
        mib_open=mib_open,
        opened_s=opened_s,
        began_at=began_at,
        ended_at=ended_at,
    )


async def _read(url: str, path: str, number: int, streams: _Streams) -> None:
    target = urlsplit(url)
    reader, writer = await asyncio.open_connection(target.hostname, target.port, limit=2**20)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {target.netloc}\r\n\r\n".encode())
        has_begun = False
        while line := await reader.readline():
            if not has_begun and line.startswith((b"data: ", b": still here")):
                has_begun = True
                streams.note_open()
            if line.startswith(b"data: "):
                name = line.partition(b'"external_id":"')[2].partition(b'"')[0].decode()  # to parse it all would take from the service's two cores
                if (number, name) in streams.arrivals:
                    streams.doubles += 1
                elif name:
                    streams.arrivals[number, name] = time.perf_counter()
        streams.broken += 1
    finally:
        writer.close()


def _faults(found: _Found, probes: Sequence[Probe]) -> int:
    return found.missing + found.doubles + found.broken + count_failed(probes)


def _most(probes: Sequence[Probe]) -> float:
    return max(probe.wall_s for probe in probes) * 1000


def _ms(value: float) -> str:
    return f"{value:.0f} ms"
