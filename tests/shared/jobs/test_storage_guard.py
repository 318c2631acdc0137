"""Whose the upload folder is: every way in which it can be the wrong one, and when a folder without a marker is taken for the right one."""

from __future__ import annotations

import asyncio
import os
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from shared.db.errors import DatabaseUnavailable
from shared.db.session import Database, open_database
from shared.jobs import storage_guard
from shared.jobs.storage_guard import StorageGuard
from shared.settings import Settings
from shared.storage.base import Storage
from shared.storage.location import open_storage
from shared.storage.names import MARKER
from shared.web.problems import StorageUnavailable
from tests.factories import Factory
from tests.paths import list_stored, read_mark, write_mark


@pytest.fixture
async def guard(database: Database, storage: Storage) -> StorageGuard:
    return StorageGuard(database, storage)


@pytest.fixture
async def adopting(database: Database, settings: Settings, storage: Storage) -> StorageGuard:
    """A guard that may mark its folder, which has no marker."""
    (settings.upload_folder / MARKER).unlink()
    return StorageGuard(database, storage, may_adopt=True)


async def get_id(database: Database) -> uuid.UUID:
    async with database.reading() as session:
        found: uuid.UUID = await session.scalar(text("SELECT storage_id FROM storage"))
        return found


async def test_marked_folder_is_fine_and_nothing_is_left_of_the_look(guard: StorageGuard, settings: Settings) -> None:
    assert await guard.find_problem() is None
    await guard.require()
    assert list_stored(settings.upload_folder) == []


def unmount(folder: Path) -> None:
    folder.rename(folder.with_name("away"))
    folder.mkdir()


def remove(folder: Path) -> None:
    folder.rename(folder.with_name("away"))


def replace_by_a_file(folder: Path) -> None:
    folder.rename(folder.with_name("away"))
    folder.write_text("")


def give_away(folder: Path) -> None:
    write_mark(folder, uuid.uuid4())


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
    spoil(settings.upload_folder)
    problem = await guard.find_problem(fresh=True)
    assert problem is not None
    assert words in problem
    with pytest.raises(StorageUnavailable):
        await guard.require()
    if (away := settings.upload_folder.with_name("away")).exists():
        settings.upload_folder.rename(settings.upload_folder.with_name("wrong")) if settings.upload_folder.exists() else None
        away.rename(settings.upload_folder)
    else:
        marker = settings.upload_folder / MARKER
        marker.rmdir() if marker.is_dir() else None
        write_mark(settings.upload_folder, await get_id(database))
    assert await guard.find_problem(fresh=True) is None


async def test_folder_that_cannot_be_written_is_refused(guard: StorageGuard, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse() -> None:
        raise OSError(30, os.strerror(30))

    monkeypatch.setattr(storage, "require_writable", refuse)
    assert await guard.find_problem(fresh=True) == "UPLOAD_DIR cannot be written: Read-only file system."


async def test_full_disk_is_no_fault_of_the_folder(guard: StorageGuard, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse() -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(storage, "require_writable", refuse)
    assert await guard.find_problem(fresh=True) is None


async def test_folder_that_hangs_is_refused_in_time_and_asked_once(guard: StorageGuard, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "look_timeout_s", 0.05)
    monkeypatch.setattr(storage_guard, "SLOW_S", 0.0)
    hanging, looks = threading.Event(), []
    real = Path.open

    def hang(path: Path, *arguments: Any) -> Any:
        looks.append(path)
        hanging.wait(10)
        return real(path, *arguments)

    monkeypatch.setattr(Path, "open", hang)
    for _ in range(3):
        problem = await guard.find_problem(fresh=True)
        assert problem is not None
        assert "does not answer" in problem
    assert len(looks) == 1
    hanging.set()
    monkeypatch.setattr(storage, "look_timeout_s", 5)
    assert await guard.find_problem(fresh=True) is None


async def test_folder_that_is_slow_for_a_while_is_not_lost(guard: StorageGuard, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "look_timeout_s", 0.05)
    assert await guard.find_problem() is None
    slow = threading.Event()

    real = Path.open

    def wait(path: Path, *arguments: Any) -> Any:
        slow.wait(10)
        return real(path, *arguments)

    monkeypatch.setattr(Path, "open", wait)
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
    database: Database, guard: StorageGuard, settings: Settings, storage: Storage, monkeypatch: pytest.MonkeyPatch
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
    (settings.upload_folder / MARKER).unlink()
    assert await guard.find_problem(fresh=True) is not None
    other = StorageGuard(away, storage)
    with pytest.raises(DatabaseUnavailable):
        await other.find_problem()
    await away.close()


async def test_new_folder_of_a_new_database_is_marked_once_by_many(database: Database, adopting: StorageGuard, settings: Settings) -> None:
    others = [StorageGuard(database, open_storage(settings), may_adopt=True) for _ in range(4)]
    settings.upload_folder.rmdir()
    assert await asyncio.gather(*(each.find_problem() for each in (adopting, *others))) == [None] * 5
    assert read_mark(settings.upload_folder) == await get_id(database)
    assert [path.name for path in settings.upload_folder.iterdir()] == [MARKER]


async def test_folder_from_before_there_were_markers_is_marked_if_a_file_is_a_jobs(
    database: Database, adopting: StorageGuard, settings: Settings, factory: Factory
) -> None:
    await factory.ended_job()
    (settings.upload_folder / f"{uuid.uuid4()}_left_over.csv").write_text("a")
    assert await adopting.find_problem() is None
    assert read_mark(settings.upload_folder) == await get_id(database)


async def test_files_of_jobs_that_the_database_does_not_know_are_not_adopted(adopting: StorageGuard, settings: Settings) -> None:
    for _ in range(3):
        (settings.upload_folder / f"{uuid.uuid4()}_a.csv").write_text("a")
    problem = await adopting.find_problem()
    assert problem is not None
    assert "the database knows none of them" in problem
    assert read_mark(settings.upload_folder) is None


async def test_empty_folder_beside_a_database_with_jobs_is_not_adopted(adopting: StorageGuard, settings: Settings, factory: Factory) -> None:
    await factory.job(content=None)
    problem = await adopting.find_problem()
    assert problem is not None
    assert "mounted?" in problem
    assert read_mark(settings.upload_folder) is None


async def test_worker_marks_no_folder(database: Database, adopting: StorageGuard, storage: Storage) -> None:
    worker = StorageGuard(database, storage)
    problem = await worker.find_problem()
    assert problem is not None
    assert "not been marked by an API" in problem


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
        await asyncio.wait_for(looked.wait(), 30)
        watching.cancel()
    assert [(line["log_level"], line["event"]) for line in lines] == [("error", "the stored files could not be looked at")]
