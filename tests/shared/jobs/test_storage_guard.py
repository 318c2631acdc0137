"""Whose the upload folder is: every way in which it can be the wrong one, and when a folder without a marker is taken for the right one."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from shared.db.errors import DatabaseUnavailable
from shared.db.session import Database, open_database
from shared.jobs import storage_guard, storage_marker
from shared.jobs.storage_guard import StorageGuard
from shared.jobs.storage_marker import MARKER, MarkerUnreadable, read_marker, write_marker
from shared.settings import Settings
from shared.web.problems import StorageUnavailable
from tests.factories import Factory
from tests.paths import list_stored


@pytest.fixture
async def guard(database: Database, settings: Settings) -> AsyncIterator[StorageGuard]:
    made = StorageGuard(database, settings.upload_dir)
    yield made
    made.close()


@pytest.fixture
async def adopting(database: Database, settings: Settings) -> AsyncIterator[StorageGuard]:
    """A guard that may mark its folder, which has no marker."""
    (settings.upload_dir / MARKER).unlink()
    made = StorageGuard(database, settings.upload_dir, may_adopt=True)
    yield made
    made.close()


async def get_id(database: Database) -> uuid.UUID:
    async with database.reading() as session:
        found: uuid.UUID = await session.scalar(text("SELECT storage_id FROM storage"))
        return found


async def test_marked_folder_is_fine_and_nothing_is_left_of_the_look(guard: StorageGuard, settings: Settings) -> None:
    assert await guard.find_problem() is None
    await guard.require()
    assert list_stored(settings.upload_dir) == []


def unmount(folder: Path) -> None:
    folder.rename(folder.with_name("away"))
    folder.mkdir()


def remove(folder: Path) -> None:
    folder.rename(folder.with_name("away"))


def replace_by_a_file(folder: Path) -> None:
    folder.rename(folder.with_name("away"))
    folder.write_text("")


def give_away(folder: Path) -> None:
    write_marker(folder, uuid.uuid4(), replace=True)


def damage(folder: Path) -> None:
    (folder / MARKER).write_bytes(b"\xff{")


def replace_marker_by_a_folder(folder: Path) -> None:
    (folder / MARKER).unlink()
    (folder / MARKER).mkdir()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (unmount, "Is the disk or share mounted?"),
        (remove, "Is the disk or share mounted?"),
        (replace_by_a_file, "cannot be read: Not a directory"),
        (give_away, "belongs to another database"),
        (damage, "is damaged"),
        (replace_marker_by_a_folder, "cannot be"),
    ],
)
async def test_folder_that_is_not_this_databases_is_refused_until_it_is(
    database: Database, guard: StorageGuard, settings: Settings, spoil: Callable[[Path], None], words: str
) -> None:
    assert await guard.find_problem(fresh=True) is None  # from now on the database knows that it has a folder
    spoil(settings.upload_dir)
    problem = await guard.find_problem(fresh=True)
    assert problem is not None
    assert words in problem
    with pytest.raises(StorageUnavailable):
        await guard.require()
    if (away := settings.upload_dir.with_name("away")).exists():
        settings.upload_dir.rename(settings.upload_dir.with_name("wrong")) if settings.upload_dir.exists() else None
        away.rename(settings.upload_dir)
    else:
        marker = settings.upload_dir / MARKER
        marker.rmdir() if marker.is_dir() else None
        write_marker(settings.upload_dir, await get_id(database), replace=True)
    assert await guard.find_problem(fresh=True) is None


async def test_folder_that_cannot_be_written_is_refused(guard: StorageGuard, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_folder: Path) -> None:
        raise OSError(30, os.strerror(30))

    monkeypatch.setattr(storage_guard, "require_writable", refuse)
    assert await guard.find_problem(fresh=True) == "UPLOAD_DIR cannot be written: Read-only file system."


async def test_full_disk_is_no_fault_of_the_folder(guard: StorageGuard, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_folder: Path) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(storage_guard, "require_writable", refuse)
    assert await guard.find_problem(fresh=True) is None


async def test_folder_that_hangs_is_refused_in_time_and_asked_once(guard: StorageGuard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_guard, "TIMEOUT_S", 0.05)
    monkeypatch.setattr(storage_guard, "SLOW_S", 0.0)
    hanging, looks = threading.Event(), []

    def hang(folder: Path) -> uuid.UUID | None:
        looks.append(folder)
        hanging.wait(10)
        return storage_marker.read_marker(folder)

    monkeypatch.setattr(storage_guard, "read_marker", hang)
    for _ in range(3):
        problem = await guard.find_problem(fresh=True)
        assert problem is not None
        assert "does not answer" in problem
    assert len(looks) == 1
    hanging.set()
    monkeypatch.setattr(storage_guard, "TIMEOUT_S", 5)
    assert await guard.find_problem(fresh=True) is None


async def test_folder_that_is_slow_for_a_while_is_not_lost(guard: StorageGuard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_guard, "TIMEOUT_S", 0.05)
    assert await guard.find_problem() is None
    slow = threading.Event()

    def wait(folder: Path) -> uuid.UUID | None:
        slow.wait(10)
        return storage_marker.read_marker(folder)

    monkeypatch.setattr(storage_guard, "read_marker", wait)
    assert await guard.find_problem(fresh=True) is None
    monkeypatch.setattr(storage_guard, "SLOW_S", 0.0)
    assert await guard.find_problem(fresh=True) is not None
    slow.set()


async def test_other_database_in_the_same_place_is_noticed(database: Database, guard: StorageGuard, settings: Settings) -> None:
    assert await guard.find_problem() is None
    before = await get_id(database)
    async with database.unit_of_work() as session:
        await session.execute(text("UPDATE storage SET storage_id = gen_random_uuid()"))
    try:
        problem = await guard.find_problem(fresh=True)
        assert problem is not None
        assert str(before) in problem
    finally:
        async with database.unit_of_work() as session:
            await session.execute(text("UPDATE storage SET storage_id = :id"), {"id": before})
    assert await guard.find_problem(fresh=True) is None


async def test_database_that_is_away_changes_nothing_once_its_id_is_known(
    database: Database, guard: StorageGuard, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await guard.find_problem() is None
    away = open_database(
        settings.model_copy(update={"database_url": "postgresql+asyncpg://x@127.0.0.1:1/x"}),
        send=database.send,
        application_name="t",
        pool_size=1,
        max_overflow=0,
    )
    monkeypatch.setattr(guard, "_database", away)
    assert await guard.find_problem(fresh=True) is None
    (settings.upload_dir / MARKER).unlink()
    assert await guard.find_problem(fresh=True) is not None
    other = StorageGuard(away, settings.upload_dir)
    with pytest.raises(DatabaseUnavailable):
        await other.find_problem()
    other.close()
    await away.close()


async def test_new_folder_of_a_new_database_is_marked_once_by_many(database: Database, adopting: StorageGuard, settings: Settings) -> None:
    others = [StorageGuard(database, settings.upload_dir, may_adopt=True) for _ in range(4)]
    settings.upload_dir.rmdir()
    assert await asyncio.gather(*(each.find_problem() for each in (adopting, *others))) == [None] * 5
    assert read_marker(settings.upload_dir) == await get_id(database)
    assert [path.name for path in settings.upload_dir.iterdir()] == [MARKER]
    for each in others:
        each.close()


async def test_folder_from_before_there_were_markers_is_marked_if_a_file_is_a_jobs(
    database: Database, adopting: StorageGuard, settings: Settings, factory: Factory
) -> None:
    await factory.ended_job()
    (settings.upload_dir / f"{uuid.uuid4()}_left_over.csv").write_text("a")
    assert await adopting.find_problem() is None
    assert read_marker(settings.upload_dir) == await get_id(database)


async def test_files_of_jobs_that_the_database_does_not_know_are_not_adopted(adopting: StorageGuard, settings: Settings) -> None:
    for _ in range(3):
        (settings.upload_dir / f"{uuid.uuid4()}_a.csv").write_text("a")
    problem = await adopting.find_problem()
    assert problem is not None
    assert "the database knows none of them" in problem
    assert read_marker(settings.upload_dir) is None


async def test_empty_folder_beside_a_database_with_jobs_is_not_adopted(adopting: StorageGuard, settings: Settings, factory: Factory) -> None:
    await factory.job(content=None)
    problem = await adopting.find_problem()
    assert problem is not None
    assert "mounted?" in problem
    assert read_marker(settings.upload_dir) is None


async def test_worker_marks_no_folder(database: Database, adopting: StorageGuard, settings: Settings) -> None:
    worker = StorageGuard(database, settings.upload_dir)
    problem = await worker.find_problem()
    assert problem is not None
    assert "not been marked by an API" in problem
    worker.close()


async def test_database_that_is_not_migrated_yet_is_told(guard: StorageGuard, monkeypatch: pytest.MonkeyPatch) -> None:
    async def get_none(_session: object) -> None:
        return None

    monkeypatch.setattr("shared.db.storage_identity.get_identity", get_none)
    assert await guard.find_problem() == "The database has not been migrated to this version yet."


async def test_watch_survives_and_tells_what_nobody_expected(guard: StorageGuard, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([ZeroDivisionError(), TimeoutError(), None])
    looked = asyncio.Event()

    async def find_problem(**_: object) -> None:
        answer = next(answers, None)
        if answer is not None:
            raise answer
        looked.set()

    monkeypatch.setattr(guard, "_find_problem", find_problem)
    with capture_logs() as lines:
        watching = asyncio.create_task(guard.watch(every_s=0.0))
        await asyncio.wait_for(looked.wait(), 5)
        watching.cancel()
    assert [(line["log_level"], line["event"]) for line in lines] == [("error", "the upload folder could not be looked at")]


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"null", b'{"storage_id": 1}', b'{"storage_id": "x"}', b"\x00" * 10_000])
def test_marker_with_anything_else_in_it_is_called_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / MARKER).write_bytes(content)
    with pytest.raises(MarkerUnreadable):
        read_marker(tmp_path)


def test_marker_says_what_it_is_for_and_stays_unless_replaced(tmp_path: Path) -> None:
    first, second = uuid.uuid4(), uuid.uuid4()
    write_marker(tmp_path, first)
    write_marker(tmp_path, second)
    assert read_marker(tmp_path) == first
    assert "Rowgate" in json.loads((tmp_path / MARKER).read_text())["about"]
    write_marker(tmp_path, second, replace=True)
    assert read_marker(tmp_path) == second
    assert [path.name for path in tmp_path.iterdir()] == [MARKER]
