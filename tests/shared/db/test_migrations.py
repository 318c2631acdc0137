"""Error records stored before pieces existed survive the migration in both directions."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from alembic.script import ScriptDirectory

from shared.db import migration_level
from shared.db.migration_level import get_code_level
from tests.paths import ROOT
from tests.services import Servers

pytestmark = pytest.mark.slow

COLUMNS = "job_id, attempt, row_number, column_number, column_name, error_type, error_message, raw_value, created_at"
JOBS = [uuid.UUID(int=1), uuid.UUID(int=2)]
FILL = """
INSERT INTO processing_errors (job_id, attempt, row_number, column_number, column_name, error_type, error_message, raw_value, created_at)
SELECT
    CASE WHEN n % 7 = 0 THEN $1::uuid ELSE $2::uuid END, n % 2, n / 3, column_number,
    CASE WHEN column_number < 4 THEN 'column ' || column_number END,
    (ARRAY['type-error', 'enum-error'])[1 + n % 2], 'No more than ' || n % 5 || '.',
    CASE WHEN n % 11 = 0 THEN NULL WHEN n % 500 = 0 THEN repeat('é', 1000) ELSE 'value ' || n END, '2026-01-01Z'::timestamptz
FROM generate_series(1, 30000) AS n, LATERAL (SELECT nullif(n * 31 % 6, 0) AS column_number) AS of_row
"""
LONG_VALUES = """
INSERT INTO processing_errors (job_id, attempt, row_number, column_number, column_name, error_type, error_message, raw_value)
SELECT $1, 9, n, 1, 'a', 'type-error', 'No.', repeat('x', 1000) FROM generate_series(1, 3000) AS n
"""


def test_levels_are_the_revisions_that_alembic_walks() -> None:
    revisions = [script.revision for script in ScriptDirectory(str(migration_level.MIGRATIONS)).walk_revisions()]
    assert list(migration_level._list_levels()) == revisions  # all of them, not the newest alone


@pytest.fixture
async def empty_database(servers: Servers) -> AsyncIterator[str]:
    name = f"migrated_{uuid.uuid4().hex}"
    main = await asyncpg.connect(servers.database_url.replace("+asyncpg", ""))
    await main.execute(f"CREATE DATABASE {name}")
    yield servers.database_url.rpartition("/")[0] + f"/{name}"
    await main.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await main.close()


def alembic(url: str, *arguments: str) -> None:
    environment = {**os.environ, "DATABASE_URL": url, "REDIS_URL": "redis://127.0.0.1:1/0", "UPLOAD_DIR": os.devnull}
    subprocess.run([sys.executable, "-m", "alembic", *arguments], cwd=ROOT, env=environment, check=True, timeout=60, capture_output=True)


async def read(connection: Any) -> list[tuple[Any, ...]]:
    order = "job_id, attempt, row_number, coalesce(column_number, 0), error_type, error_message, raw_value"
    return [tuple(row) for row in await connection.fetch(f"SELECT {COLUMNS} FROM processing_errors ORDER BY {order}")]


async def test_error_records_become_pieces_and_records_again(empty_database: str) -> None:
    alembic(empty_database, "upgrade", "0001")
    connection = await asyncpg.connect(empty_database.replace("+asyncpg", ""))
    try:
        for job_id in JOBS:
            await connection.execute("INSERT INTO jobs (id, filename, file_size, file_type, sha256) VALUES ($1, 'a.csv', 1, 'csv', '')", job_id)
        await connection.execute(FILL, *JOBS)
        await connection.execute(LONG_VALUES, JOBS[0])
        before = await read(connection)
        assert len(before) == 33_000
        alembic(empty_database, "upgrade", "0005")  # from 0006 on, the view shows only the present attempt
        assert await read(connection) == before
        assert await connection.fetchval("SELECT count(DISTINCT id) FROM processing_errors") == 33_000
        await assert_well_formed(connection)
        alembic(empty_database, "upgrade", "head")
        alembic(empty_database, "downgrade", "0001")
        assert await read(connection) == before
        assert await connection.fetchval("SELECT relkind FROM pg_class WHERE relname = 'processing_errors'") == b"r"
    finally:
        await connection.close()


async def assert_well_formed(connection: Any) -> None:
    pieces = await connection.fetch("SELECT * FROM error_pieces ORDER BY job_id, attempt, first_row, first_column")
    assert all(piece["record_count"] == len(piece["row_numbers"]) <= 5_100 for piece in pieces)
    assert all(sum(len(value.encode()) for value in piece["raw_values"] if value) <= 2**20 + 3_000 for piece in pieces)
    assert all(piece["id"].int & 0xFFFFFFFF == 0 for piece in pieces)
    overlaps = await connection.fetchval(
        "WITH bounds AS (SELECT p.job_id, p.attempt, p.first_row, p.first_column, p.row_numbers[p.record_count] AS last_row,"
        " coalesce((SELECT max(r.column_number) FROM jsonb_to_recordset(p.rules) AS r (number int, column_number bigint)"
        "  WHERE r.number = p.rule_numbers[p.record_count]), 0) AS last_column FROM error_pieces p)"
        " SELECT count(*) FROM (SELECT *, lag((last_row, last_column)) OVER (PARTITION BY job_id, attempt ORDER BY first_row, first_column) AS before"
        " FROM bounds) AS b WHERE before >= (first_row, first_column)"
    )
    assert overlaps == 0
    counted = await connection.fetchval(
        "SELECT count(*) FROM error_pieces p CROSS JOIN LATERAL jsonb_to_recordset(p.rules) AS r (number int, count int)"
        " WHERE r.count <> cardinality(array_positions(p.rule_numbers, r.number::smallint))"
    )
    assert counted == 0


def test_migration_takes_the_parameters_of_a_url_as_the_service_does(servers: Servers) -> None:
    environment = {**os.environ, "DATABASE_URL": f"{servers.database_url}?sslmode=prefer", "REDIS_URL": servers.redis_url, "UPLOAD_DIR": os.devnull}
    command = [sys.executable, "-m", "alembic", "current"]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stderr
    assert "(head)" in result.stdout


def upgrade(url: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "DATABASE_URL": url, "REDIS_URL": "redis://127.0.0.1:1/0", "UPLOAD_DIR": os.devnull, "LOG_FORMAT": "json"}
    command = [sys.executable, "-m", "alembic", "upgrade", "head"]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


async def finish(process: subprocess.Popen[str]) -> tuple[int, list[dict[str, Any]]]:
    said, _ = await asyncio.to_thread(process.communicate, timeout=60)
    return process.returncode, [json.loads(line) for line in said.splitlines()]


async def test_each_migration_is_a_line_of_the_log_and_many_at_once_run_once(empty_database: str) -> None:
    outcomes = await asyncio.gather(*(finish(upgrade(empty_database)) for _ in range(3)))
    assert [code for code, _ in outcomes] == [0, 0, 0]
    lines = [line for _, said in outcomes for line in said]
    run = [line["event"] for line in lines if line["event"].startswith("Running upgrade")]
    assert len(run) == len(list((ROOT / "shared/migrations/versions").glob("*.py")))
    [done] = [line for line in lines if line["event"] == "the database was migrated"]
    assert (done["from_level"], done["to_level"]) == (None, get_code_level())


async def test_database_that_newer_code_has_migrated_is_left_as_it_is(empty_database: str) -> None:
    alembic(empty_database, "upgrade", "head")
    connection = await asyncpg.connect(empty_database.replace("+asyncpg", ""))
    try:
        await connection.execute("UPDATE alembic_version SET version_num = '9999'")
        code, lines = await finish(upgrade(empty_database))
        assert code == 0
        assert "newer code has migrated the database: there is nothing to do" in [line["event"] for line in lines]
        assert await connection.fetchval("SELECT version_num FROM alembic_version") == "9999"
        with pytest.raises(subprocess.CalledProcessError):
            alembic(empty_database, "downgrade", "-1")
    finally:
        await connection.close()


async def test_upgrade_lets_requests_through_while_it_waits_for_a_table(empty_database: str) -> None:
    alembic(empty_database, "upgrade", "0009")
    dsn = empty_database.replace("+asyncpg", "")
    worker, client = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    try:
        transaction = worker.transaction()
        await transaction.start()
        await worker.execute("SELECT * FROM jobs FOR KEY SHARE")
        migration = upgrade(empty_database)
        longest_s, until = 0.0, time.monotonic() + 7
        while time.monotonic() < until:
            start = time.monotonic()
            await client.fetch("SELECT * FROM jobs")
            longest_s = max(longest_s, time.monotonic() - start)
            await asyncio.sleep(0.02)
        assert migration.poll() is None
        await transaction.commit()
        code, lines = await finish(migration)
        assert code == 0, lines
        assert longest_s < 6  # the table is in use for 7
        assert "a table is in use: the migration begins again in a moment" in [line["event"] for line in lines]
        assert await client.fetchval("SELECT version_num FROM alembic_version") == get_code_level()
    finally:
        await worker.close()
        await client.close()
