"""Run DuckDB once over a file, in a separate process and environment: types and widths by `store_rejects`, constraints counted in SQL."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import duckdb

from bench.probe import report_run

TYPES = {
    "id": "BIGINT",
    "name": "VARCHAR",
    "email": "VARCHAR",
    "country": "VARCHAR",
    "joined": "DATE",
    "balance": "DECIMAL(18, 2)",
    "score": "DOUBLE",
    "active": "BOOLEAN",
    "phone": "VARCHAR",
    "comment": "VARCHAR",
}
BROKEN = {
    "id required": "id IS NULL",
    "id minimum": "id < 1",
    "name required": "name IS NULL OR trim(name) = ''",
    "name length": "length(name) > 40",
    "email required": "email IS NULL",
    "email pattern": r"NOT regexp_full_match(email, '[a-z0-9.]+@[a-z0-9.]+\.[a-z]{2,6}')",
    "country required": "country IS NULL",
    "country enum": "country NOT IN ('AT','BE','CH','CZ','DE','DK','ES','FI','FR','GB','IE','IT','NL','NO','PL','PT','SE','SK','UA','US')",
    "joined required": "joined IS NULL",
    "joined minimum": "joined < DATE '2000-01-01'",
    "balance required": "balance IS NULL",
    "balance minimum": "balance < 0",
    "score required": "score IS NULL",
    "active required": "active IS NULL",
    "phone required": "phone IS NULL",
    "phone pattern": r"NOT regexp_full_match(phone, '\+[0-9]{9,15}')",
    "comment length": "length(comment) > 60",
}
"""SQL conditions for violations of the constraints in `bench.files.TABLE_SCHEMA`."""


def count_errors(path: str) -> Mapping[str, Any]:
    """Count the rows and the errors that DuckDB finds."""
    database = duckdb.connect()
    database.execute("SET threads = 1")
    counts = ", ".join(f"count(*) FILTER (WHERE {condition})" for condition in BROKEN.values())
    (row,) = database.execute(
        f"SELECT count(*), count(id) - count(DISTINCT id), {counts} FROM read_csv(?, header = true, auto_detect = false, delim = ',', quote = '\"',"
        f" escape = '\"', new_line = '\\n', columns = {TYPES}, store_rejects = true, rejects_limit = 0, parallel = false)",
        [path],
    ).fetchall()
    ((rejected,),) = database.execute("SELECT count(*) FROM reject_errors").fetchall()
    return {"rows": row[0], "errors": sum(row[1:]) + rejected}


if __name__ == "__main__":
    report_run(lambda: count_errors(sys.argv[1]))
