"""Measure when webhooks arrive if a thousand are sent at once, a hundred of them to receivers that hang.

The dispatcher is the real one; the receivers run in a separate process.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, text

from bench.measure import ROOT, Plan, RunFailed, say
from bench.report import Section, Verdict, describe_conditions
from bench.stack import Stack, running_stack
from shared import slices
from shared.db.models import Job
from shared.db.session import Database, open_database
from shared.jobs import job_state
from shared.jobs.job_state import Progress
from shared.messages.broker import Broker

BATCH = 50
"""Number of jobs that end in one transaction."""
MAX_FIRST_ATTEMPT_S = 2.0
MAX_ROUND_S = 10.0
ATTEMPTS = 4
LONGEST_WAIT_S = 60
PROGRESS = Progress(percent=100, rows_processed=1, rows_failed=0, total_rows=1, error_count=0, errors_stored=0, error_tally=[])


@dataclass(frozen=True, kw_only=True)
class Case:
    """How many deliveries go to how many receivers of each kind."""

    name: str
    answered: int
    hanging: int = 0
    answering_receivers: int = 90
    hanging_receivers: int = 0


CASES = (
    Case(name="1,000 answered", answered=1000),
    Case(name="900 answered, 100 receivers that hang", answered=900, hanging=100, hanging_receivers=100),
    Case(name="900 answered, 100 for one that hangs", answered=900, hanging=100, hanging_receivers=1),
    Case(name="900 answered, 1,000 receivers that hang", answered=900, hanging=1000, hanging_receivers=1000),
    Case(name="900 for one that answers", answered=900, answering_receivers=1),
)


def measure_webhooks(plan: Plan) -> Section:
    """Measure the time from a job's end to its first attempt, for jobs whose receiver answers."""
    rows: list[list[str]] = []
    verdicts: list[Verdict] = []
    with running_stack(plan, WEBHOOK_ALLOW_PRIVATE_ADDRESSES="true") as stack:
        stack.start_dispatcher()
        for case in CASES:
            say(f"webhooks: {case.name}")
            runs = [_run(stack, case) for _ in range(plan.times)]
            run = sorted(runs, key=max)[(len(runs) - 1) // 2]
            in_time = sum(delay_s <= MAX_FIRST_ATTEMPT_S for delay_s in run)
            rows.append([case.name, str(len(run)), f"{statistics.median(run):.2f}", f"{max(run):.2f}", f"{in_time / case.answered:.0%}"])
            is_met = len(run) == case.answered and max(run) <= MAX_ROUND_S
            measured = f"{len(run)} within {max(run):.1f} s"
            verdicts.append(Verdict(f"Webhooks: {case.name}", f"{case.answered} within {MAX_ROUND_S:g} s", measured, is_met))
    return Section(
        title="Webhooks",
        about=(
            f"Jobs end at about the same time, {BATCH} in a transaction, those with hanging receivers first; one dispatcher, receivers in another process on"
            f" loopback. For jobs whose receiver answers: the time from `completed_at` until the request arrived. A receiver that hangs gets up to {ATTEMPTS}"
            " attempts of 1.5 s each."
        ),
        headings=("What", "Delivered", "Median s", "Last s", f"Within {MAX_FIRST_ATTEMPT_S:g} s"),
        rows=rows,
        verdicts=verdicts,
        conditions=describe_conditions(times=plan.times, rows=plan.rows),
    )


def _run(stack: Stack, case: Case) -> Sequence[float]:
    """Return the seconds from each job's end to its first request, for jobs whose receiver answers."""
    command = [sys.executable, "-m", "bench.run_receiver", str(case.answering_receivers), str(case.hanging_receivers)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as receivers:
        assert receivers.stdin is not None
        assert receivers.stdout is not None
        ports: Mapping[str, Sequence[int]] = json.loads(receivers.stdout.readline())
        stack.clear()
        ended = asyncio.run(_end_jobs(stack, case, ports))
        receivers.stdin.close()
        heard: Mapping[str, float] = json.loads(receivers.stdout.readline())
    return [heard[job_id] - completed_at.timestamp() for job_id, completed_at in ended.items() if job_id in heard]


async def _end_jobs(stack: Stack, case: Case, ports: Mapping[str, Sequence[int]]) -> Mapping[str, datetime]:
    """End all jobs and wait until every delivery is over; return when each job ended, for jobs whose receiver answers."""
    slices.load_declarations("features")
    broker = Broker(stack.settings)
    database = open_database(stack.settings, send=broker.send, application_name="rowgate-bench", pool_size=2, max_overflow=2)
    try:
        places = [ports["hanging"][n % case.hanging_receivers] for n in range(case.hanging)]
        places += [ports["answering"][n % case.answering_receivers] for n in range(case.answered)]
        jobs = {uuid.uuid4(): port for port in places}
        await _insert_jobs(database, jobs)
        await _finish_jobs(database, list(jobs))
        await _wait_for_deliveries(database)
        answering = set(ports["answering"])
        async with database.unit_of_work() as session:
            ended = (await session.execute(select(Job.id, Job.completed_at))).all()
        return {str(row.id): row.completed_at for row in ended if jobs[row.id] in answering}
    finally:
        await database.close()
        await broker.aclose()


async def _insert_jobs(database: Database, jobs: Mapping[uuid.UUID, int]) -> None:
    async with database.unit_of_work() as session:
        await session.execute(
            text(
                "INSERT INTO jobs (id, filename, file_size, file_type, sha256, status, attempt, webhook_url, lease_expires_at)"
                " VALUES (:id, 'a.csv', 1, 'csv', repeat('0', 64), 'PROCESSING', 1, :url, now() + interval '1 hour')"
            ),
            [{"id": job_id, "url": f"http://127.0.0.1:{port}/hook"} for job_id, port in jobs.items()],
        )


async def _finish_jobs(database: Database, jobs: Sequence[uuid.UUID]) -> None:
    """End the jobs in order: those with hanging receivers come first, so that the others wait behind them."""
    for first in range(0, len(jobs), BATCH):
        async with database.unit_of_work() as session:
            for job_id in jobs[first : first + BATCH]:
                await job_state.finish(session, job_id=job_id, attempt=1, progress=PROGRESS)


async def _wait_for_deliveries(database: Database) -> None:
    for _ in range(LONGEST_WAIT_S):
        await asyncio.sleep(1)
        async with database.unit_of_work() as session:
            if not await session.scalar(text("SELECT count(*) FROM webhook_deliveries WHERE status = 'PENDING'")):
                return
    raise RunFailed(f"After {LONGEST_WAIT_S} s some deliveries are still under way.")
