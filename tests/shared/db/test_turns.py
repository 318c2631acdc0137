"""Whose turn it is: submitters take turns, small files need not wait for more than one large one, and no claim waits for another."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.models import MAX_SMALL_BYTES, Job, JobStatus, Output, SubmitterTurn
from shared.db.session import Database
from shared.db.turns import ACTIVE_S, JOBS, OUTPUTS, Line, choose_next, find_places, forget_turns
from shared.jobs import job_state, output_state
from tests.factories import Factory

START = datetime.now(UTC) - timedelta(hours=1)
LARGE = MAX_SMALL_BYTES + 1
QUEUED_ROWS = 50_000
FILL = """
INSERT INTO jobs (id, filename, file_size, file_type, sha256, submitted_by, created_at)
SELECT gen_random_uuid(), 'a.csv', CASE WHEN n % 3 = 0 THEN 9000000 ELSE 9 END, 'csv', '', 'tenant' || n % 500, now() - make_interval(secs => n)
FROM generate_series(1, $1::int) AS n
"""


class Queue:
    """Jobs that wait, in the order in which they came, by names such as `a1`; those of capital letters, `A1`, are large."""

    def __init__(self, database: Database, factory: Factory) -> None:
        self._database = database
        self._factory = factory
        self._came = 0
        self._names: dict[uuid.UUID, str] = {}

    async def add(self, *names: str, **values: Any) -> None:
        """Add jobs; the first letter of a name is its submitter, `-` that of a job without a key."""
        for name in names:
            self._came += 1
            submitter = None if name[0] == "-" else name[0].lower()
            size = LARGE if name[0].isupper() else MAX_SMALL_BYTES
            came = START + timedelta(seconds=self._came)
            job = await self._factory.job(content=None, **{"submitted_by": submitter, "file_size": size, "created_at": came, **values})
            self._names[job.id] = name

    async def claim(self, *, may_be_large: bool = True) -> str | None:
        async with self._database.unit_of_work() as session:
            job = await job_state.claim(session, lease_s=30, may_be_large=may_be_large)
        return None if job is None else self._names[job.id]

    async def claim_all(self, *, ends: bool = False) -> list[str]:
        """Claim until nothing is left, and return the names in the order of claims; `ends`: each job ends before the next is claimed."""
        claimed = []
        while (name := await self.claim()) is not None:
            claimed.append(name)
            if ends:
                await self.end(name)
        return claimed

    async def end(self, name: str) -> None:
        await self._factory.set(self.id_of(name), status=JobStatus.COMPLETED)

    def id_of(self, name: str) -> uuid.UUID:
        return next(job_id for job_id, known in self._names.items() if known == name)


@pytest.fixture
def queue(database: Database, factory: Factory) -> Queue:
    return Queue(database, factory)


@pytest.mark.parametrize("ends", [False, True])
async def test_submitters_take_turns_however_many_jobs_one_of_them_sent_before(queue: Queue, *, ends: bool) -> None:
    await queue.add("a1", "a2", "a3", "a4", "a5", "b1", "b2", "c1", "-1")
    assert await queue.claim_all(ends=ends) == ["-1", "a1", "b1", "c1", "a2", "b2", "a3", "a4", "a5"]


async def test_submitter_with_fewest_running_jobs_is_next(queue: Queue) -> None:
    await queue.add("a1", "a2", "a3")
    assert [await queue.claim() for _ in range(2)] == ["a1", "a2"]
    await queue.add("b1", "b2", "b3", "b4")
    assert [await queue.claim(), await queue.claim()] == ["b1", "b2"]
    await queue.end("b1")
    await queue.end("b2")
    assert [await queue.claim(), await queue.claim()] == ["b3", "b4"]
    assert await queue.claim() == "a3"


async def test_small_file_waits_for_no_more_than_one_large_one_of_its_submitter(queue: Queue) -> None:
    await queue.add("A1", "A2", "A3", "A4", "a5", "a6")
    assert await queue.claim_all() == ["A1", "a5", "A2", "a6", "A3", "A4"]


async def test_large_file_is_not_overtaken_by_every_small_one(queue: Queue) -> None:
    await queue.add("a1", "A2", "a3", "a4")
    assert await queue.claim_all() == ["a1", "A2", "a3", "a4"]


async def test_nobody_waits_for_ever_whoever_else_keeps_sending(queue: Queue) -> None:
    others = "bcdefghij"
    await queue.add(*(f"{other}0" for other in others), "A1", "a2")
    claimed: list[str] = []
    for number in range(3 * (len(others) + 1)):
        name = await queue.claim()
        assert name is not None
        claimed.append(name)
        await queue.end(name)
        if name[0] in others:
            await queue.add(f"{name[0]}{number + 1}")
    assert claimed.index("A1") < len(others) + 1
    assert claimed.index("a2") - claimed.index("A1") <= len(others) + 1
    assert all(2 <= sum(name[0] == other for name in claimed) <= 4 for other in others)


async def test_paused_and_deleted_jobs_are_passed_over_and_keep_nobody(queue: Queue) -> None:
    await queue.add("a1", not_before=datetime.now(UTC) + timedelta(minutes=9))
    await queue.add("b1", deleted_at=START)
    await queue.add("a2", "c1")
    await queue.add("A3", not_before=datetime.now(UTC) - timedelta(minutes=9))
    assert await queue.claim_all() == ["a2", "c1", "A3"]


async def test_nothing_waits_while_the_only_job_is_paused(database: Database, queue: Queue) -> None:
    await queue.add("a1", not_before=datetime.now(UTC) + timedelta(minutes=9))
    await queue.add("b1", deleted_at=START)
    async with database.reading() as session:
        assert not await job_state.is_any_waiting(session)
    await queue.add("b2")
    async with database.reading() as session:
        assert await job_state.is_any_waiting(session)


@pytest.mark.parametrize("names", ["a", "ab", "aA", "abcdefghij", "aAbBcC"])
async def test_claims_at_the_same_moment_get_a_different_job_each_and_none_comes_back_empty(database: Database, queue: Queue, names: str) -> None:
    for _ in range(3):
        await queue.add(*(f"{names[number % len(names)]}{number}" for number in range(40)))
        claimed = await asyncio.gather(*(queue.claim() for _ in range(40)))
        assert None not in claimed
        assert len(set(claimed)) == 40
        assert await queue.claim() is None


async def test_claim_waits_for_no_other_claim_and_leaves_it_its_turn(database: Database, queue: Queue) -> None:
    await queue.add("A1", "A2", "a3", "B1")
    ids = []
    async with asyncio.timeout(20), database.sessions() as first, database.sessions() as second, database.sessions() as third, database.sessions() as fourth:
        for session in (first, second, third, fourth):
            claimed = await job_state.claim(session, lease_s=30)
            assert claimed is not None
            ids.append(claimed.id)
        # None of them has committed: the others' turn comes before a second job of the same, and then a small one before a large one.
        assert ids == [queue.id_of(name) for name in ("A1", "B1", "a3", "A2")]
        async with database.sessions() as fifth:
            assert await job_state.claim(fifth, lease_s=30) is None
            assert await job_state.is_any_waiting(fifth)
        await first.rollback()
    assert await queue.claim() == "A1"


async def test_slot_is_spared_from_large_files_while_several_submitters_are_active(database: Database, queue: Queue, factory: Factory) -> None:
    await queue.add("A1", "A2", "A3", "A4", "A5")
    assert await queue.claim(may_be_large=False) == "A1"  # nobody else is there
    await queue.add("b1")
    assert await queue.claim(may_be_large=False) == "b1"
    assert await queue.claim(may_be_large=False) is None  # the other's runs
    assert await queue.claim() == "A2"
    await queue.end("b1")
    assert await queue.claim(may_be_large=False) is None  # the other's has just been claimed, so it may send more
    await age_turns(database, timedelta(seconds=ACTIVE_S + 1))
    assert await queue.claim(may_be_large=False) == "A3"
    await queue.add("C1")
    assert await queue.claim(may_be_large=False) is None  # the other's waits
    assert [await queue.claim(), await queue.claim()] == ["C1", "A4"]


async def test_spared_slot_goes_to_the_small_file_behind_the_large_ones(queue: Queue) -> None:
    await queue.add("A1", "A2", "a3", "B1")
    assert await queue.claim(may_be_large=False) == "a3"
    assert await queue.claim(may_be_large=False) is None


async def age_turns(database: Database, by: timedelta) -> None:
    async with database.unit_of_work() as session:
        for turn in await session.scalars(select(SubmitterTurn)):
            turn.claimed_at -= by


async def test_superseded_turns_are_forgotten_and_the_order_is_the_same(database: Database, queue: Queue) -> None:
    await queue.add("a1", "b1", "a2", "b2", "A3", "a4")
    assert [await queue.claim() for _ in range(5)] == ["a1", "b1", "a2", "b2", "A3"]
    async with database.unit_of_work() as session:
        await forget_turns(session)
    async with database.reading() as session:
        rows = await session.execute(select(SubmitterTurn.submitted_by, SubmitterTurn.is_large).order_by(SubmitterTurn.submitted_by))
        assert [tuple(row) for row in rows] == [("a", True), ("b", False)]
    await queue.add("A0", "b3")
    for name in ("a1", "b1", "a2", "b2", "A3"):
        await queue.end(name)
    assert [await queue.claim() for _ in range(3)] == ["b3", "a4", "A0"]


async def test_places_are_those_among_the_submitters_own_jobs_that_wait(database: Database, queue: Queue) -> None:
    await queue.add("b1", "a1", "A2", "a3", "-1")
    await queue.add("a4", not_before=datetime.now(UTC) + timedelta(minutes=9))
    await queue.add("a5", status=JobStatus.PROCESSING)
    await queue.add("a6", "b2")
    names = ["a1", "A2", "a3", "a4", "a5", "a6", "b2", "-1"]
    async with database.reading() as session:
        places = await find_places(session, job_ids=[queue.id_of(name) for name in names], limit=10)
        few = await find_places(session, job_ids=[queue.id_of(name) for name in names], limit=2)
    assert {name: places.get(queue.id_of(name)) for name in names} == {"a1": 1, "A2": 2, "a3": 3, "a4": None, "a5": None, "a6": 4, "b2": 2, "-1": 1}
    assert {name for name in names if queue.id_of(name) in few} == {"a1", "A2", "b2", "-1"}


async def test_outputs_of_submitters_take_turns_too(database: Database, factory: Factory) -> None:
    async def ask(submitter: str, names: Sequence[str], **values: Any) -> None:
        job = await factory.ended_job(submitted_by=submitter, **values)
        async with database.unit_of_work() as session:
            for name in names:
                await output_state.ask(session, job_id=job.id, attempt=1, name=name)

    async def claim(*, may_be_large: bool = True) -> str | None:
        async with database.unit_of_work() as session:
            output = await output_state.claim(session, lease_s=30, may_be_large=may_be_large)
            return None if output is None else f"{(await session.get_one(Job, output.job_id)).submitted_by} {output.name}"

    await ask("a", ["valid.csv", "rejected.csv", "errors.csv"])
    await ask("b", ["valid.csv"], file_size=LARGE)
    await ask("c", ["valid.csv"])
    first = await claim()
    assert first is not None
    assert first.startswith("a ")
    claimed = [await claim(may_be_large=False) for _ in range(4)]
    assert [each and each[0] for each in claimed] == ["c", "a", "a", None]
    assert await claim() == "b valid.csv"
    async with database.reading() as session:
        assert (await session.scalars(select(func.count()).select_from(Output).where(Output.status == "RUNNING"))).one() == 5


def list_nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from list_nodes(part)


async def explain(connection: AsyncConnection, line: Line) -> list[dict[str, Any]]:
    """Return the nodes of the plan by which the claim chooses, as it was carried out."""
    chosen = choose_next(line, may_be_large=True).compile(connection.sync_engine, compile_kwargs={"literal_binds": True})
    [[answer]] = (await connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {chosen}")).all()
    return list(list_nodes(answer[0]["Plan"]))


async def test_claim_reads_a_few_rows_of_a_long_queue(database: Database) -> None:
    async with database.engine.connect() as connection:
        await connection.exec_driver_sql(FILL, (QUEUED_ROWS,))
        await connection.exec_driver_sql("ANALYZE jobs")
        nodes = await explain(connection, JOBS)
        assert {node["Node Type"] for node in nodes if node.get("Relation Name") == "jobs"} <= {"Index Scan", "Index Only Scan", "LockRows"}
        assert "ix_jobs_in_turn" in {node.get("Index Name") for node in nodes}
        assert max(node["Actual Rows"] for node in nodes if node.get("Relation Name") == "jobs") <= 1
        # The greatest is the line of submitters, three times; no step reads more of the jobs.
        assert max(node["Actual Rows"] * node["Actual Loops"] for node in nodes) < QUEUED_ROWS / 20
        assert sum(node["Actual Rows"] for node in nodes if node["Node Type"] == "LockRows") == 1
        await connection.exec_driver_sql("DROP INDEX ix_jobs_in_turn")
        without = await explain_briefly(connection)
        assert max(node["Plan Rows"] for node in without) > QUEUED_ROWS / 20
        await connection.rollback()


async def explain_briefly(connection: AsyncConnection) -> list[dict[str, Any]]:
    """Return the nodes of the plan, which without the index takes too long to be carried out."""
    chosen = choose_next(JOBS, may_be_large=True).compile(connection.sync_engine, compile_kwargs={"literal_binds": True})
    [[answer]] = (await connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {chosen}")).all()
    return [node for node in list_nodes(answer[0]["Plan"]) if node["Node Type"] in {"Seq Scan", "Sort"} or "Scan" in node["Node Type"]]


async def test_statement_of_outputs_is_carried_out_by_its_index(database: Database, factory: Factory) -> None:
    job = await factory.ended_job()
    async with database.engine.connect() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO jobs (id, filename, file_size, file_type, sha256, status, attempt) "
            "SELECT gen_random_uuid(), 'a.csv', 9, 'csv', '', 'COMPLETED', 1 FROM generate_series(1, 5000)"
        )
        await connection.exec_driver_sql(
            "INSERT INTO outputs (id, job_id, attempt, name, submitted_by, file_size) "
            "SELECT gen_random_uuid(), id, 1, 'valid.csv', 'tenant' || substr(id::text, 1, 1), 9 FROM jobs WHERE id <> $1",
            (job.id,),
        )
        await connection.exec_driver_sql("ANALYZE jobs")
        await connection.exec_driver_sql("ANALYZE outputs")
        nodes = await explain(connection, OUTPUTS)
        assert "ix_outputs_in_turn" in {node.get("Index Name") for node in nodes}
        assert max(node["Actual Rows"] * node["Actual Loops"] for node in nodes) < 500
        await connection.rollback()
