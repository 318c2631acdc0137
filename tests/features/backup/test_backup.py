"""A backup that is restored into an empty service is the same service to the row; anything else is refused, and changes nothing."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import IO, Any

import asyncpg
import pytest
from sqlalchemy import text

from features.backup import programs, queries
from features.backup.create import create_backup
from features.backup.restore import restore_backup, verify_backup
from features.backup.types import BackupFailed, Manifest
from shared.contracts import ProcessJob
from shared.db.models import Job, JobStatus, Output, OutputStatus
from shared.db.session import Database, open_database
from shared.jobs.storage_guard import StorageGuard
from shared.messages.tasks import TaskContext
from shared.settings import Settings
from shared.storage.location import open_storage
from shared.storage.names import MARKER, name_file, name_output
from tests.factories import CSV, Factory
from tests.paths import ROOT, list_stored


@pytest.fixture
async def target(settings: Settings, database: Database, tmp_path: Path) -> AsyncIterator[tuple[Database, Settings]]:
    """Another service with a database that has nothing in it and a folder that is not there yet."""
    url = settings.database_url.replace("+asyncpg", "")
    name = f"restored_{uuid.uuid4().hex}"
    connection = await asyncpg.connect(url)
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    other = settings.model_copy(
        update={"database_url": f"{url.rpartition('/')[0].replace('postgresql', 'postgresql+asyncpg', 1)}/{name}", "upload_dir": tmp_path / "restored"}
    )
    opened = open_database(other, send=database.send, application_name="rowgate-backup", pool_size=2, max_overflow=0)
    yield opened, other
    await opened.close()
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()


async def fill(factory: Factory, settings: Settings, database: Database) -> list[Job]:
    """Make jobs of every status with their errors, files and an output, as they are after real work."""
    jobs = []
    for number, status in enumerate(JobStatus):
        content = CSV + b"%d,x\n" % number
        job = await factory.job(status=status, content=content, sha256=hashlib.sha256(content).hexdigest(), attempt=1, webhook_url="http://127.0.0.1:1/")
        await factory.errors(job, [(2, 1, "type-error"), (3, None, "blank-row")])
        jobs.append(job)
    await add_output(database, settings, jobs[0])
    return jobs


async def add_output(database: Database, settings: Settings, job: Job) -> Path:
    output = Output(id=uuid.uuid4(), job_id=job.id, attempt=1, name="valid.csv", status=OutputStatus.READY, claim=3, sha256=hashlib.sha256(CSV).hexdigest())
    async with database.unit_of_work() as session:
        session.add(output)
    path = settings.upload_folder / name_output(job_id=job.id, output_id=output.id, claim=3, name="valid.csv")
    path.parent.mkdir(parents=True)
    path.write_bytes(CSV)
    return path


async def read_tables(database: Database) -> dict[str, list[str]]:
    """Return all rows of all tables as text, in one order."""
    async with database.reading() as session:
        names = (await session.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))).all()
        return {name: sorted((await session.scalars(text(f"SELECT t::text FROM {name} AS t"))).all()) for name in names}


def read_files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != MARKER}


async def end_others(database: Database) -> None:
    """End the connections that processes of other tests have left: a restore would refuse them first."""
    async with asyncio.timeout(20), database.reading() as session:
        while await queries.list_others(session):
            condition = "datname = current_database() AND application_name ~ '^rowgate-(api|tasks)'"
            await session.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {condition}"))
            await session.rollback()  # what is seen of others is kept until the transaction ends


async def make_backup(database: Database, settings: Settings) -> tuple[bytes, Manifest]:
    stream = io.BytesIO()
    manifest = await create_backup(database, open_storage(settings), settings, stream)
    return stream.getvalue(), manifest


async def test_restored_service_is_the_same_to_the_row(
    context: TaskContext, database: Database, settings: Settings, factory: Factory, target: tuple[Database, Settings]
) -> None:
    jobs = await fill(factory, settings, database)
    async with database.unit_of_work() as session:
        await session.execute(text("UPDATE storage SET marked_at = now()"))
    backup, manifest = await make_backup(database, settings)
    assert (manifest.files, manifest.deleted_jobs, manifest.jobs_without_file, manifest.lost_outputs, manifest.damaged) == (len(jobs) + 1, [], [], [], [])
    assert verify_backup(io.BytesIO(backup)) == manifest
    restored, other = target
    assert await restore_backup(restored, open_storage(other), other, io.BytesIO(backup)) == manifest
    assert await read_tables(restored) == await read_tables(database)
    assert read_files(other.upload_folder) == read_files(settings.upload_folder)
    guard = StorageGuard(restored, open_storage(other))
    assert await guard.find_problem() is None
    # It works: triggers are there, and a job that waited runs.
    from features.processing import tasks

    worker = TaskContext(settings=other, database=restored, redis=context.redis)
    await tasks.process_job(worker, ProcessJob(job_id=next(job.id for job in jobs if job.status is JobStatus.QUEUED)))
    done = await Factory(restored, other).get(next(job.id for job in jobs if job.status is JobStatus.QUEUED))
    assert done is not None
    assert done.status is JobStatus.COMPLETED
    assert {path.stat().st_mode & 0o777 for path in list_stored(other.upload_folder) if path.is_file()} == {0o600}


async def test_job_deleted_while_files_are_copied_is_not_restored_and_its_neighbours_are(
    database: Database, settings: Settings, factory: Factory, target: tuple[Database, Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = await fill(factory, settings, database)
    deleted, missing, without_output = jobs[1], jobs[2], jobs[3]
    lost = await add_output(database, settings, without_output)
    real = programs.dump

    async def dump_and_delete(*arguments: Any, **named: Any) -> None:
        await real(*arguments, **named)
        await factory.set(deleted.id, deleted_at=deleted.created_at)
        for job in (deleted, missing):
            (settings.upload_folder / name_file(job.id, job.filename)).unlink()
        lost.unlink()

    monkeypatch.setattr(programs, "dump", dump_and_delete)
    damaged = jobs[4]
    path = settings.upload_folder / name_file(damaged.id, damaged.filename)
    path.write_bytes(path.read_bytes().replace(b"Ada", b"Eve"))
    backup, manifest = await make_backup(database, settings)
    assert (manifest.deleted_jobs, manifest.jobs_without_file, manifest.damaged) == ([deleted.id], [missing.id], [path.name])
    assert len(manifest.lost_outputs) == 1
    restored, other = target
    await restore_backup(restored, open_storage(other), other, io.BytesIO(backup))
    there = Factory(restored, other)
    assert await there.get(deleted.id) is None
    for job in (*jobs[:1], *jobs[2:]):
        assert await there.get(job.id) is not None
    async with restored.reading() as session:
        assert (await session.scalar(text("SELECT sum(count) FROM job_counts"))) == len(jobs) - 1


async def test_dump_from_before_there_were_markers_is_adopted_when_it_is_migrated(
    database: Database, settings: Settings, factory: Factory, target: tuple[Database, Settings]
) -> None:
    await fill(factory, settings, database)
    restored, other = target
    backup, _ = await make_backup(database, settings)
    await restore_backup(restored, open_storage(other), other, io.BytesIO(backup))
    (other.upload_folder / MARKER).unlink()
    await asyncio.to_thread(alembic, other, "downgrade", "0009")
    await asyncio.to_thread(alembic, other, "upgrade", "head")
    guard = StorageGuard(restored, open_storage(other), may_adopt=True)
    assert await guard.find_problem() is None


async def assert_refused(target: tuple[Database, Settings], backup: bytes, words: str) -> None:
    restored, other = target
    before = await read_tables(restored), read_files(other.upload_folder) if other.upload_folder.exists() else {}
    with pytest.raises(BackupFailed, match=words):
        await restore_backup(restored, open_storage(other), other, io.BytesIO(backup))
    assert (await read_tables(restored), read_files(other.upload_folder)) == before


async def test_target_that_is_not_empty_is_refused_and_left_as_it_is(
    database: Database, settings: Settings, factory: Factory, target: tuple[Database, Settings]
) -> None:
    await fill(factory, settings, database)
    backup, _ = await make_backup(database, settings)
    restored, other = target
    other.upload_folder.mkdir()
    (other.upload_folder / "notes.txt").write_text("mine")
    await assert_refused(target, backup, r"UPLOAD_DIR is not empty \(notes.txt\)")
    (other.upload_folder / "notes.txt").unlink()
    await end_others(database)
    await assert_refused((database, other), backup, "The database has jobs")
    running = open_database(other, send=database.send, application_name="rowgate-api", pool_size=1, max_overflow=0)
    async with running.reading() as session:
        await session.execute(text("SELECT 1"))
        await assert_refused(target, backup, "stop api, worker and dispatcher")
    await running.close()
    # An API that was started once has made tables, outputs' folder and marker: that is still empty.
    await asyncio.to_thread(alembic, other, "upgrade", "head")
    (other.upload_folder / "outputs").mkdir()
    guard = StorageGuard(restored, open_storage(other), may_adopt=True)
    assert await guard.find_problem() is None
    await restore_backup(restored, open_storage(other), other, io.BytesIO(backup))
    assert {table: len(rows) for table, rows in (await read_tables(restored)).items()} == {
        table: len(rows) for table, rows in (await read_tables(database)).items()
    }


def rewrite(backup: bytes, change: Callable[[tarfile.TarInfo, bytes], tuple[tarfile.TarInfo, bytes] | None]) -> bytes:
    """Return the backup with its members changed, or left out."""
    written = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(backup)) as old, tarfile.open(fileobj=written, mode="w") as new:
        for member in old:
            file: IO[bytes] | None = old.extractfile(member)
            assert file is not None
            changed = change(member, file.read())
            if changed is not None:
                changed[0].size = len(changed[1])
                new.addfile(changed[0], io.BytesIO(changed[1]))
    return written.getvalue()


def rename(member: tarfile.TarInfo, name: str) -> tarfile.TarInfo:
    member.name = name
    return member


def drop_first_file(backup: bytes) -> bytes:
    files: list[str] = []

    def change(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes] | None:
        if member.name.startswith("uploads/"):
            files.append(member.name)
        return None if files == [member.name] else (member, content)

    return rewrite(backup, change)


def alembic(settings: Settings, *arguments: str) -> None:
    environment = {**os.environ, "DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url, "UPLOAD_DIR": str(settings.upload_folder)}
    subprocess.run([sys.executable, "-m", "alembic", *arguments], cwd=ROOT, env=environment, check=True, timeout=60)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda backup: b"", "no whole backup|no backup"),
        (lambda backup: b"id,name\n1,Ada\n" * 1000, "no backup"),
        (lambda backup: backup[: len(backup) // 2], "breaks off|only a part"),
        (lambda backup: backup[:700], "breaks off|only a part"),
        (lambda backup: rewrite(backup, lambda m, b: None if m.name == "manifest.json" else (m, b)), "breaks off before its manifest"),
        (lambda backup: rewrite(backup, lambda m, b: (m, b.replace(b"Ada", b"Eve")) if m.name.startswith("uploads/") else (m, b)), "is not what it was"),
        (lambda backup: rewrite(backup, lambda m, b: (m, b[:-9] + b"x" * 9) if m.name == "database.dump" else (m, b)), "dump is not what it was"),
        (drop_first_file, "damaged"),
        (lambda backup: rewrite(backup, lambda m, b: None if m.name == "SHA256SUMS" else (m, b)), "damaged"),
        (lambda backup: rewrite(backup, lambda m, b: (rename(m, "uploads/../../etc/x"), b) if m.name.startswith("uploads/") else (m, b)), "not have stored"),
        (lambda backup: rewrite(backup, lambda m, b: (m, b.replace(b'"level": "0', b'"level": "9')) if m.name == "rowgate-backup.json" else (m, b)), "newer"),
        (lambda backup: rewrite(backup, lambda m, b: (rename(m, "x"), b)), "first member is 'x'"),
    ],
)
async def test_backup_that_is_not_what_it_was_is_refused_and_nothing_is_left_of_it(
    database: Database, settings: Settings, factory: Factory, target: tuple[Database, Settings], spoil: Callable[[bytes], bytes], words: str
) -> None:
    await fill(factory, settings, database)
    backup, _ = await make_backup(database, settings)
    spoiled = spoil(backup)
    await assert_refused(target, spoiled, words)
    with pytest.raises(BackupFailed, match=words):
        verify_backup(io.BytesIO(spoiled))
    assert list_stored(target[1].upload_folder) == []


async def test_dump_that_cannot_be_restored_leaves_nothing(
    database: Database, settings: Settings, factory: Factory, target: tuple[Database, Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(factory, settings, database)
    real = queries.count_rows

    async def miscount(session: Any) -> dict[str, int]:
        return {**await real(session), "jobs": 1}

    monkeypatch.setattr(queries, "count_rows", miscount)
    backup, _ = await make_backup(database, settings)
    restored, other = target
    with pytest.raises(BackupFailed, match="it has not the rows that it should have, in: jobs"):
        await restore_backup(restored, open_storage(other), other, io.BytesIO(backup))
    assert await read_tables(restored) == {}
    assert list_stored(other.upload_folder) == []


def run(settings: Settings, *arguments: str, **changed: str) -> subprocess.CompletedProcess[bytes]:
    places = {"DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url, "UPLOAD_DIR": str(settings.upload_folder)}
    environment = {**os.environ, **places, **changed}
    return subprocess.run([sys.executable, "-m", "features.backup", *arguments], cwd=ROOT, env=environment, check=False, capture_output=True, timeout=60)


async def test_database_with_tables_of_something_else_is_left_alone(
    database: Database, settings: Settings, factory: Factory, target: tuple[Database, Settings]
) -> None:
    await fill(factory, settings, database)
    backup, _ = await make_backup(database, settings)
    async with target[0].unit_of_work() as session:
        await session.execute(text("CREATE TABLE customers AS SELECT generate_series(1, 10) AS id"))
    await assert_refused(target, backup, r"tables of something else \(customers\)")
    async with target[0].unit_of_work() as session:
        await session.execute(text("DROP TABLE customers"))
        await session.execute(text("CREATE FUNCTION double(integer) RETURNS integer LANGUAGE sql AS 'SELECT 2 * $1'"))
        await session.execute(text("CREATE TYPE colour AS ENUM ('red')"))
    await asyncio.to_thread(alembic, target[1], "upgrade", "head")
    await restore_backup(target[0], open_storage(target[1]), target[1], io.BytesIO(backup))
    async with target[0].reading() as session:
        assert await session.scalar(text("SELECT double(4)")) == 8
        assert await session.scalar(text("SELECT 'red'::colour::text")) == "red"


async def test_restore_that_is_cut_off_commits_nothing(
    database: Database, settings: Settings, factory: Factory, target: tuple[Database, Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(factory, settings, database)
    backup, _ = await make_backup(database, settings)

    def cut_off(_manifest: Manifest) -> str:
        raise KeyError("killed")

    monkeypatch.setattr(queries, "write_settlement", cut_off)
    with pytest.raises(KeyError):
        await restore_backup(target[0], open_storage(target[1]), target[1], io.BytesIO(backup))
    assert await read_tables(target[0]) == {}
    dump = target[1].upload_folder / "dump"
    with tarfile.open(fileobj=io.BytesIO(backup)) as tar:
        file = tar.extractfile("database.dump")
        assert file is not None
        dump.write_bytes(file.read())
    real = asyncio.subprocess.Process.wait

    async def wait(process: asyncio.subprocess.Process) -> int:
        """Be killed when the whole dump has been written, and its end has not."""
        await real(process)
        raise KeyError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(asyncio.subprocess.Process, "wait", wait)
        with pytest.raises(KeyError):
            await programs.restore(target[1], dump, before="", after="")
    assert await read_tables(target[0]) == {}


async def test_restore_into_tables_without_jobs_that_fails_leaves_them_as_they_are(
    database: Database, settings: Settings, factory: Factory, target: tuple[Database, Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(factory, settings, database)
    backup, _ = await make_backup(database, settings)
    restored, other = target
    await asyncio.to_thread(alembic, other, "upgrade", "head")
    guard = StorageGuard(restored, open_storage(other), may_adopt=True)
    assert await guard.find_problem() is None
    before = await read_tables(restored)
    with monkeypatch.context() as patch:
        patch.setattr(queries, "write_settlement", lambda _manifest: "SELECT 1 / 0;")
        with pytest.raises(BackupFailed, match="division by zero"):
            await restore_backup(restored, open_storage(other), other, io.BytesIO(backup))
    assert await read_tables(restored) == before
    assert await guard.find_problem(fresh=True) is None
    await restore_backup(restored, open_storage(other), other, io.BytesIO(backup))
    assert await guard.find_problem(fresh=True) is None


async def test_restore_waits_for_nobody_and_api_that_starts_waits_for_it(
    database: Database, settings: Settings, factory: Factory, target: tuple[Database, Settings]
) -> None:
    await fill(factory, settings, database)
    backup, _ = await make_backup(database, settings)
    restored, other = target
    async with restored.sole_migration() as sole:
        assert sole
        migrating = asyncio.create_task(asyncio.to_thread(alembic, other, "upgrade", "head"))
        await assert_refused(target, backup, "being migrated, or restored")
        await asyncio.sleep(3)
        assert not migrating.done()
    await migrating


@pytest.mark.parametrize(
    ("url", "place", "password"),
    [
        ("postgresql+asyncpg://u:p%40ss@h:1/d", "postgresql://u@h:1/d", "p@ss"),
        ("postgresql+asyncpg://h/d?user=u&password=secret&sslmode=require", "postgresql://h/d?user=u&sslmode=require", "secret"),
        ("postgresql+asyncpg://u@h/d", "postgresql://u@h/d", None),
    ],
)
def test_password_is_on_no_command_line(url: str, place: str, password: str | None) -> None:
    assert programs.split_password(url) == (place, {} if password is None else {"PGPASSWORD": password})


def test_oldest_program_that_the_server_accepts_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def find_path(name: str) -> str:
        return str(tmp_path / name)

    versions = {str(tmp_path / "pg_dump"): (15, 9)}
    monkeypatch.setattr("shutil.which", find_path)
    monkeypatch.setattr(programs, "_get_version", lambda path: versions.get(str(path), (18, 6)))
    assert programs.find_program("pg_dump", server_version=15) == str(tmp_path / "pg_dump")
    assert programs.find_program("pg_dump", server_version=16) != str(tmp_path / "pg_dump")
    with pytest.raises(BackupFailed, match="in version 99 or later"):
        programs.find_program("pg_dump", server_version=99)


async def test_command_line_says_what_it_did_in_a_line_and_why_not_in_another(
    database: Database, settings: Settings, factory: Factory, target: tuple[Database, Settings], tmp_path: Path
) -> None:
    await fill(factory, settings, database)
    file = tmp_path / "b.tar"
    made = run(settings, "create", str(file))
    assert (made.returncode, made.stderr.decode()) == (
        0,
        f"rowgate: backed up: 5 jobs, 6 files of {sum(map(len, read_files(settings.upload_folder).values())):,} bytes\n",
    )
    assert file.stat().st_mode & 0o777 == 0o600
    again = run(settings, "create", str(file))
    assert (again.returncode, again.stderr.decode()) == (1, f"rowgate: failed: {file} is there already; name another file.\n")
    assert run(settings, "verify", str(file)).returncode == 0
    piped = run(settings, "create")
    assert verify_backup(io.BytesIO(piped.stdout)).files == 6
    refused = run(settings, "restore", str(file))
    assert refused.returncode == 1
    assert b"UPLOAD_DIR is not empty" in refused.stderr
    _, other = target
    restored = run(other, "restore", str(file))
    assert restored.returncode == 0, restored.stderr
    assert restored.stderr.startswith(b"rowgate: restored: 5 jobs, 6 files")
    away = run(settings, "create", str(tmp_path / "c.tar"), DATABASE_URL="postgresql://x@127.0.0.1:1/x")
    assert away.returncode == 1
    assert b"database does not answer" in away.stderr
    assert not (tmp_path / "c.tar").exists()
    assert not (tmp_path / "c.tar.part").exists()
    gone = run(settings, "verify", str(tmp_path / "none.tar"))
    assert (gone.returncode, gone.stderr.decode()) == (1, f"rowgate: failed: {tmp_path / 'none.tar'}: No such file or directory.\n")


async def test_folder_of_another_database_is_not_backed_up_until_it_is_adopted(database: Database, settings: Settings, tmp_path: Path) -> None:
    async with database.unit_of_work() as session:
        await session.execute(text("UPDATE storage SET marked_at = now()"))
    (settings.upload_folder / MARKER).unlink()
    refused = run(settings, "create", str(tmp_path / "b.tar"))
    assert refused.returncode == 1
    assert b"mounted?" in refused.stderr
    adopted = run(settings, "adopt")
    assert adopted.returncode == 0, adopted.stderr
    assert run(settings, "create", str(tmp_path / "b.tar")).returncode == 0


async def test_backup_through_a_pooler_is_refused_with_the_way_out(settings: Settings) -> None:
    result = await asyncio.to_thread(run, settings, "create", DATABASE_POOLER="transaction")
    assert (result.returncode, result.stdout) == (1, b"")
    assert b"set DATABASE_URL to the server itself and DATABASE_POOLER=none" in result.stderr
