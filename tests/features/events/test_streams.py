"""What event streams tell, and that they tell all of it: each test runs a real feed against a real database, with a short pause between its looks."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import asyncpg
import pytest

from features.errors.tasks import purge_job
from features.events import feed as feed_module
from features.events import queries, streams
from features.events.feed import Feed
from features.events.streams import JobsStream, JobStream
from features.events.types import Snapshot, Version
from shared.contracts import PurgeJob
from shared.db.errors import DatabaseUnavailable
from shared.db.models import Job, JobStatus
from shared.db.session import Database
from shared.jobs import job_state, output_state
from shared.messages.tasks import TaskContext
from shared.settings import Settings
from shared.web.auth import ANYONE, Viewer
from tests.factories import Factory

ADA, BOB = Viewer(name="ada", sees_all=False), Viewer(name="bob", sees_all=False)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "POLL_S", 0.02)
    monkeypatch.setattr(streams, "COMMENT_EVERY_S", 0.2)


@pytest.fixture
async def feed(database: Database) -> AsyncIterator[Feed]:
    opened = Feed(database, max_streams=100)
    yield opened
    await opened.aclose()


class Reader:
    """Reads a stream in a task, and keeps its events: (name, data, id)."""

    def __init__(self, source: JobStream | JobsStream) -> None:
        self.source = source
        self.events: list[tuple[str, dict[str, Any], str]] = []
        self.comments = 0
        self.last_id = ""
        self.task: asyncio.Task[None] | None = None

    async def read(self) -> None:
        async for block in self.source:
            lines = dict(line.split(": ", 1) for line in block.decode().splitlines() if line)
            self.last_id = lines.get("id", self.last_id)
            if "event" in lines:
                self.events.append((lines["event"], json.loads(lines["data"]), lines["id"]))
            else:
                self.comments += 1

    async def wait(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                assert self.task is not None
                if self.task.done():
                    await self.task
                    assert condition(), self.events
                await asyncio.sleep(0.01)

    async def wait_for(self, count: int) -> None:
        await self.wait(lambda: len(self.events) >= count)
        assert len(self.events) == count

    async def wait_quiet(self) -> None:
        """Wait until the stream has been told that there is nothing more."""
        before = self.comments
        await self.wait(lambda: self.comments > before + 1)

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(data["id"], data.get("status", name)) for name, data, _ in self.events]


@asynccontextmanager
async def reading(source: JobStream | JobsStream) -> AsyncIterator[Reader]:
    reader = Reader(source)
    source.open()
    reader.task = asyncio.create_task(reader.read())
    try:
        yield reader
    finally:
        reader.task.cancel()
        await asyncio.gather(reader.task, return_exceptions=True)
        source.close()


def follow(feed: Feed, database: Database, job: Job, *, seen: Version | None = None) -> JobStream:
    return JobStream(feed, viewer=ANYONE, job_id=job.id, seen=seen)


def follow_all(feed: Feed, database: Database, *, viewer: Viewer = ANYONE, seen: Snapshot | None = None) -> JobsStream:
    return JobsStream(feed, database, viewer=viewer, seen=seen)


async def test_job_is_told_at_once_at_each_change_and_at_its_end(feed: Feed, database: Database, factory: Factory) -> None:
    job = await factory.job()
    async with reading(follow(feed, database, job)) as reader:
        await reader.wait_for(1)
        async with database.unit_of_work() as session:
            claimed = await job_state.claim(session, lease_s=30)
            assert claimed is not None
        await reader.wait_for(2)
        figures: dict[str, Any] = {"rows_failed": 0, "total_rows": 10, "error_count": 0, "errors_stored": 0, "error_tally": []}
        async with database.unit_of_work() as session:
            assert await job_state.checkpoint(
                session, job_id=job.id, attempt=1, progress=job_state.Progress(percent=40, rows_processed=4, **figures), lease_s=30
            )
        await reader.wait_for(3)
        async with database.unit_of_work() as session:
            assert await job_state.finish(session, job_id=job.id, attempt=1, progress=job_state.Progress(percent=99, rows_processed=10, **figures))
        await reader.wait_for(4)
        assert reader.task is not None
        await asyncio.wait_for(reader.task, 30)
    assert [(data["status"], data["progress"], data["queue_position"]) for _, data, _ in reader.events] == [
        ("QUEUED", 0, 1),
        ("PROCESSING", 0, None),
        ("PROCESSING", 40, None),
        ("COMPLETED", 100, None),
    ]
    versions = [Version.parse(each) for _, _, each in reader.events]
    assert None not in versions
    assert versions == sorted(versions)  # type: ignore[type-var]  # none of them is None
    assert "schema" not in reader.events[0][1]


async def test_what_clients_do_not_see_is_told_to_nobody(feed: Feed, database: Database, factory: Factory) -> None:
    job = await factory.job(status=JobStatus.PROCESSING, attempt=1)
    async with reading(follow(feed, database, job)) as reader, reading(follow_all(feed, database)) as all_of_them:
        await reader.wait_for(1)
        async with database.unit_of_work() as session:
            assert await job_state.renew(session, job_id=job.id, attempt=1, lease_s=30)
        await reader.wait_quiet()
        await all_of_them.wait_quiet()
        assert (len(reader.events), len(all_of_them.events)) == (1, 1)


async def test_stream_holds_no_connection(feed: Feed, database: Database, factory: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "POLL_S", 0.3)
    job = await factory.job()
    async with reading(follow(feed, database, job)) as reader, reading(follow_all(feed, database)) as all_of_them:
        await reader.wait_for(1)
        await all_of_them.wait_for(1)
        out = []
        for _ in range(20):
            out.append(database.engine.sync_engine.pool.checkedout())  # type: ignore[attr-defined]  # of a queue pool
            await asyncio.sleep(0.01)
        assert 0 in out
        assert max(out) <= 1  # the feed's own look


async def test_client_goes_on_where_it_was(feed: Feed, database: Database, factory: Factory) -> None:
    job = await factory.job()
    async with reading(follow(feed, database, job)) as reader:
        await reader.wait_for(1)
        seen = Version.parse(reader.last_id)
    async with reading(follow(feed, database, job, seen=seen)) as again:
        await again.wait_quiet()
        assert again.events == []
        async with database.unit_of_work() as session:
            assert await job_state.cancel(session, job_id=job.id, even_if_queued=True)
        await again.wait_for(1)
    assert again.told == [(str(job.id), "CANCELLED")]


async def test_outputs_that_are_made_keep_the_stream_open(feed: Feed, database: Database, factory: Factory) -> None:
    job = await factory.ended_job()
    async with database.unit_of_work() as session:
        output = await output_state.ask(session, job_id=job.id, attempt=1, name="valid.csv")
    async with reading(follow(feed, database, job)) as reader:
        await reader.wait_for(1)
        async with database.unit_of_work() as session:
            claimed = await output_state.claim(session, lease_s=30)
            assert claimed is not None
        await reader.wait_for(2)
        async with database.unit_of_work() as session:
            assert await output_state.advance(session, output_id=output.id, claim=claimed.claim, percent=50, lease_s=30)
        await reader.wait_for(3)
        async with database.unit_of_work() as session:
            assert await output_state.renew(session, output_id=output.id, claim=claimed.claim, lease_s=30)
        await reader.wait_quiet()
        async with database.unit_of_work() as session:
            assert await output_state.fail(session, output_id=output.id, claim=claimed.claim, message="No.")
        await reader.wait_for(4)
        assert reader.task is not None
        await asyncio.wait_for(reader.task, 30)


async def test_deleted_job_ends_its_stream_and_is_told_on_that_of_all_even_if_its_row_is_gone(
    feed: Feed, database: Database, factory: Factory, context: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await factory.ended_job()
    kept = await factory.job()
    monkeypatch.setattr(feed_module, "POLL_S", 0.5)
    async with reading(follow(feed, database, kept)) as reader, reading(follow_all(feed, database)) as all_of_them:
        await reader.wait_for(1)
        await all_of_them.wait_for(1)
        async with database.unit_of_work() as session:
            assert await job_state.hide(session, job_id=job.id)
            assert await job_state.hide(session, job_id=kept.id)
        for each in (job, kept):
            await purge_job(context, PurgeJob(job_id=each.id))
            assert await factory.get(each.id) is None
        await reader.wait_for(2)
        await all_of_them.wait_for(3)
    assert reader.events[1][:2] == ("deleted", {"id": str(kept.id)})
    assert sorted(all_of_them.told[1:]) == sorted([(str(job.id), "deleted"), (str(kept.id), "deleted")])


async def test_viewer_is_told_of_own_jobs_only(feed: Feed, database: Database, factory: Factory) -> None:
    async with reading(follow_all(feed, database, viewer=ADA)) as ada, reading(follow_all(feed, database, viewer=BOB)) as bob:
        await ada.wait_quiet()
        await bob.wait_quiet()
        hers, his = await factory.job(submitted_by="ada"), await factory.job(submitted_by="bob")
        nobodys = await factory.job()
        await factory.set(hers.id, external_id="changed")
        async with database.unit_of_work() as session:
            assert await job_state.hide(session, job_id=his.id)
        await ada.wait(lambda: any(data.get("external_id") for _, data, _ in ada.events))
        await bob.wait(lambda: any(name == "deleted" for name, _, _ in bob.events))
    assert {data["id"] for _, data, _ in ada.events} == {str(hers.id)}
    assert {data["id"] for _, data, _ in bob.events} == {str(his.id)}
    assert str(nobodys.id) not in {data["id"] for _, data, _ in (*ada.events, *bob.events)}


async def test_new_stream_of_all_begins_with_jobs_that_have_not_ended(feed: Feed, database: Database, factory: Factory) -> None:
    first, _ended, second = await factory.job(), await factory.ended_job(), await factory.job(status=JobStatus.PROCESSING)
    async with reading(follow_all(feed, database)) as reader:
        await reader.wait_for(2)
        await reader.wait_quiet()
    assert reader.told == [(str(first.id), "QUEUED"), (str(second.id), "PROCESSING")]


async def test_transaction_that_commits_late_is_told_all_the_same(feed: Feed, database: Database, factory: Factory, settings: Settings) -> None:
    """Its id is lower than those of transactions that were told before; a client that keeps only the highest would miss it."""
    late, early = await factory.job(), await factory.job()
    change = "UPDATE jobs SET external_id = $2, updated_at = clock_timestamp() WHERE id = $1"
    slow = await asyncpg.connect(settings.database_url.replace("+asyncpg", ""))
    try:
        async with reading(follow_all(feed, database)) as reader, reading(follow(feed, database, late)) as of_late:
            await reader.wait_for(2)
            transaction = slow.transaction()
            await transaction.start()
            await slow.execute(change, late.id, "late")
            await factory.set(early.id, external_id="early")
            await reader.wait_for(3)
            await reader.wait_quiet()
            seen = Snapshot.parse(reader.last_id)
            assert seen is not None
            assert seen.running
            await transaction.commit()
            await reader.wait_for(4)
            await of_late.wait_for(2)
            assert reader.events[3][1]["external_id"] == of_late.events[1][1]["external_id"] == "late"
        # A client that had seen all but the late one and comes back gets just that.
        async with reading(follow_all(feed, database, seen=seen)) as again:
            await again.wait_for(1)
            await again.wait_quiet()
        assert [data["external_id"] for _, data, _ in again.events] == ["late"]
    finally:
        await slow.close()


async def test_client_that_was_away_is_told_each_change_once(feed: Feed, database: Database, factory: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "STATES_AT_ONCE", 3)
    before = [await factory.job() for _ in range(3)]
    async with reading(follow_all(feed, database)) as reader:
        await reader.wait_for(3)
        await reader.wait_quiet()
        seen = Snapshot.parse(reader.last_id)
    after = [await factory.job() for _ in range(10)]
    await factory.set(before[0].id, external_id="x")
    async with database.unit_of_work() as session:
        assert await job_state.hide(session, job_id=before[1].id)
    async with reading(follow_all(feed, database, seen=seen)) as again:
        await again.wait_for(12)
        last = await factory.job()
        await again.wait_for(13)
        await again.wait_quiet()
    told = again.told
    assert len({each for each, _ in told}) == 13
    assert {each for each, status in told if status == "QUEUED"} == {str(job.id) for job in (before[0], *after, last)}
    assert (str(before[1].id), "deleted") in told


async def test_every_event_of_all_jobs_has_an_id_from_which_nothing_is_missed(feed: Feed, database: Database, factory: Factory) -> None:
    """A client may lose its connection after any event, also in the middle of what one look of the feed has found."""
    async with reading(follow_all(feed, database)) as reader:
        await reader.wait_quiet()
        async with database.unit_of_work() as session:
            session.add_all(Job(id=uuid.uuid4(), filename="a.csv", file_type="csv", file_size=1, sha256="0" * 64) for _ in range(5))
        await reader.wait_for(5)
    everything = {data["id"] for _, data, _ in reader.events}
    for place, (_, _, event_id) in enumerate(reader.events):
        seen = Snapshot.parse(event_id)
        assert seen is not None
        had = {data["id"] for _, data, _ in reader.events[: place + 1]}
        async with reading(follow_all(feed, database, seen=seen)) as again:
            await again.wait_quiet()
        assert had | {data["id"] for _, data, _ in again.events} == everything


async def test_id_of_another_database_begins_anew(feed: Feed, database: Database, factory: Factory) -> None:
    """After a restore into a new database its transactions begin at low ids again."""
    job = await factory.job()
    async with reading(follow_all(feed, database, seen=Snapshot(2**50, 2**50, frozenset()))) as reader:
        await reader.wait_for(1)
        await reader.wait_quiet()
        assert reader.task is not None
        async with asyncio.timeout(30):
            while not reader.task.done():  # a look that is under way would put its own in place of it
                feed._snapshot = Snapshot(2**50, 2**50, frozenset())
                await asyncio.sleep(0.001)
    assert reader.told == [(str(job.id), "QUEUED")]


async def test_client_that_falls_behind_is_ended_and_misses_nothing(feed: Feed, database: Database, factory: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "MAX_PENDING", 4)
    async with reading(follow_all(feed, database)) as reader:
        await reader.wait_quiet()
        async with database.unit_of_work() as session:
            session.add_all(Job(id=uuid.uuid4(), filename="a.csv", file_type="csv", file_size=1, sha256="0" * 64) for _ in range(5))
        assert reader.task is not None
        await asyncio.wait_for(reader.task, 30)
    assert reader.events == []
    seen = Snapshot.parse(reader.last_id)  # as it came last, also with the end
    assert seen is not None
    async with reading(follow_all(feed, database, seen=seen)) as again:
        await again.wait_for(5)


async def test_stream_that_begins_in_the_middle_of_a_look_misses_nothing(
    feed: Feed, database: Database, factory: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look has found what has changed and for whom, and reads it still, when somebody else comes."""
    job = await factory.job()
    is_held, goes_on = asyncio.Event(), asyncio.Event()
    original = queries.list_states

    async def hold(session: Any, *, job_ids: Any) -> Any:
        if any(each.external_id == "changed" for each in [await factory.get(job.id)] if each):
            is_held.set()
            await goes_on.wait()
        return await original(session, job_ids=job_ids)

    async with reading(follow_all(feed, database)) as first:
        await first.wait_for(1)
        await first.wait_quiet()
        seen = Snapshot.parse(first.last_id)
        monkeypatch.setattr(queries, "list_states", hold)
        await factory.set(job.id, external_id="changed")
        await asyncio.wait_for(is_held.wait(), 30)
        monkeypatch.setattr(queries, "list_states", original)
        async with reading(follow_all(feed, database, seen=seen)) as second:
            await asyncio.sleep(0.05)
            goes_on.set()
            await second.wait(lambda: any(data.get("external_id") == "changed" for _, data, _ in second.events))
            await second.wait_quiet()
            assert len([data for _, data, _ in second.events if data.get("external_id") == "changed"]) == 1


async def test_database_that_is_away_ends_no_stream(feed: Feed, database: Database, factory: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    job = await factory.job()
    is_away, looks = False, 0
    original = queries.read_snapshot

    async def read(session: Any) -> Snapshot:
        nonlocal looks
        if is_away:
            looks += 1
            raise DatabaseUnavailable("away")
        return await original(session)

    monkeypatch.setattr(queries, "read_snapshot", read)
    async with reading(follow(feed, database, job)) as reader:
        await reader.wait_for(1)
        is_away = True
        await factory.set(job.id, external_id="while away")
        await reader.wait(lambda: looks >= 3)
        is_away = False
        await reader.wait_for(2)
    assert reader.events[1][1]["external_id"] == "while away"


async def test_stream_that_begins_while_the_database_is_away_waits_for_it(
    feed: Feed, database: Database, factory: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await factory.job()
    is_away = True
    original = queries.read_snapshot

    async def read(session: Any) -> Snapshot:
        if is_away:
            raise DatabaseUnavailable("away")
        return await original(session)

    monkeypatch.setattr(queries, "read_snapshot", read)
    monkeypatch.setattr(streams, "COMMENT_EVERY_S", 600)
    async with reading(follow_all(feed, database)) as ended:
        await asyncio.sleep(0.1)
        monkeypatch.setattr(streams, "COMMENT_EVERY_S", 0.2)
        async with reading(follow(feed, database, job)) as reader, reading(follow_all(feed, database)) as of_all:
            await reader.wait_quiet()  # comments come all the same
            assert reader.events == []
            ended.source.end()
            assert ended.task is not None
            await asyncio.wait_for(ended.task, 30)  # long before its next comment
            is_away = False
            await reader.wait_for(1)
            await of_all.wait_for(1)


async def test_streams_that_begin_at_the_same_time_read_together(feed: Feed, database: Database, factory: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a process ends, all its clients come back at once; a connection for each would be more than there are."""
    jobs = [await factory.job() for _ in range(5)]
    reads = 0
    original = Database.snapshot

    def count(self: Database) -> Any:
        nonlocal reads
        reads += 1
        return original(self)

    monkeypatch.setattr(feed_module, "POLL_S", 30)
    monkeypatch.setattr(Database, "snapshot", count)
    async with AsyncExitStack() as stack:
        readers = [await stack.enter_async_context(reading(follow(feed, database, jobs[number % 5]))) for number in range(60)]
        readers += [await stack.enter_async_context(reading(follow_all(feed, database))) for _ in range(20)]
        for reader in readers[:60]:
            await reader.wait_for(1)
        for reader in readers[60:]:
            await reader.wait_for(5)
    assert reads <= 8


async def test_stream_that_cannot_read_its_job_ends_without_an_error(feed: Feed, database: Database, factory: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    job = await factory.job()

    async def read(*_: Any, **__: Any) -> None:
        raise DatabaseUnavailable("away")

    monkeypatch.setattr(queries, "list_states", read)
    async with reading(follow(feed, database, job)) as reader:
        assert reader.task is not None
        await asyncio.wait_for(reader.task, 30)
    assert reader.events == []


async def test_feed_rests_while_there_are_no_streams(feed: Feed, database: Database, factory: Factory) -> None:
    job = await factory.job()
    async with reading(follow(feed, database, job)) as reader:
        await reader.wait_for(1)
    async with asyncio.timeout(30):
        while feed._task is not None:
            await asyncio.sleep(0.01)
    async with reading(follow(feed, database, job)) as again:
        await again.wait_for(1)


async def test_process_that_stops_ends_its_streams(feed: Feed, database: Database, factory: Factory) -> None:
    job = await factory.job()
    async with reading(follow(feed, database, job)) as one, reading(follow_all(feed, database)) as other:
        await one.wait_for(1)
        await other.wait_for(1)
        for reader in (one, other):
            reader.source.end()
            assert reader.task is not None
            await asyncio.wait_for(reader.task, 30)
