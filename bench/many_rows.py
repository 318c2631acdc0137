"""Fill the tables with a job that has very many errors, and with very many jobs, as the service would have written them."""

from __future__ import annotations

import json
import uuid
from collections import Counter

from bench.stack import Stack
from features.jobs.queries import FOLD_COUNTS
from features.processing.recording.pieces import RECORDS_PER_PIECE

COLUMNS = 10
RARE_EVERY = 1_000
"""One record in this many has another type and is in a column of its own."""
COMMON_TYPE, RARE_TYPE, COMMON_COLUMN, RARE_COLUMN = "type-error", "enum-error", "column1", "rare"
FILL_ERRORS = """
INSERT INTO error_pieces (job_id, attempt, first_row, first_column, record_count, id, rules, row_numbers, rule_numbers, raw_values)
SELECT
    $1, 1, piece * $2 + 2, 1, $2, CAST(left(gen_random_uuid()::text, 28) || '00000000' AS uuid), $4,
    (SELECT array_agg(piece * $2 + 1 + n ORDER BY n) FROM generate_series(1, $2) AS n),
    (SELECT array_agg((CASE n % $5 WHEN 0 THEN $6 ELSE n % $6 END)::smallint ORDER BY n) FROM generate_series(1, $2) AS n),
    (SELECT array_agg('value ' || piece * $2 + n ORDER BY n) FROM generate_series(1, $2) AS n)
FROM generate_series(CAST(0 AS bigint), $3 - 1) AS piece
"""
FILL_JOBS = """
INSERT INTO jobs (id, filename, file_size, file_type, sha256, status, progress, rows_processed, attempt, next_ring_at, created_at, started_at, completed_at)
SELECT
    gen_random_uuid(), 'people-' || n || '.csv', 1000, 'csv', repeat('0', 64),
    (CASE WHEN n % 100 = 0 THEN 'FAILED' WHEN n % 100 = 1 THEN 'CANCELLED' WHEN n % 1000 = 2 THEN 'QUEUED' ELSE 'COMPLETED' END)::job_status,
    100, 10, 1, NULL, moment, moment, moment
FROM generate_series(CAST(1 AS bigint), $1) AS n, LATERAL (SELECT TIMESTAMPTZ '2026-01-01' + n * INTERVAL '10 seconds' AS moment) AS clock
"""


def fill_errors(stack: Stack, *, errors: int) -> str:
    """Insert a COMPLETED job with `errors` stored errors, one per row, in ten columns, and return its id.

    `errors` must be a multiple of the records of a piece.
    """
    job_id, pieces = str(uuid.uuid4()), errors // RECORDS_PER_PIECE
    kinds = [(f"column{number + 1}", COMMON_TYPE) for number in range(COLUMNS)] + [(RARE_COLUMN, RARE_TYPE)]
    counts = Counter(COLUMNS if n % RARE_EVERY == 0 else n % COLUMNS for n in range(1, RECORDS_PER_PIECE + 1))
    names = [{"column_number": number + 1, "column_name": column, "error_type": kind} for number, (column, kind) in enumerate(kinds)]
    rules = [{**each, "number": number, "error_message": "Not what it should be.", "count": counts[number]} for number, each in enumerate(names)]
    tally = [{**each, "count": counts[number] * pieces, "stored": counts[number] * pieces} for number, each in enumerate(names)]
    stack.query(
        "INSERT INTO jobs (id, filename, file_size, file_type, sha256, status, progress, attempt, next_ring_at, error_count, errors_stored, error_tally,"
        " started_at, completed_at) VALUES ($1, 'people.csv', 1000, 'csv', repeat('0', 64), 'COMPLETED', 100, 1, NULL, $2, $2, $3, now(), now())",
        job_id, errors, json.dumps(tally),
    )  # fmt: skip
    stack.query(FILL_ERRORS, job_id, RECORDS_PER_PIECE, pieces, json.dumps(rules), RARE_EVERY, COLUMNS)
    stack.query("VACUUM (ANALYZE) error_pieces")
    return job_id


def fill_jobs(stack: Stack, *, jobs: int) -> None:
    """Insert `jobs` jobs, one every ten seconds from 2026-01-01 on: 1% FAILED, 1% CANCELLED, 0.1% QUEUED, the rest COMPLETED."""
    stack.query(FILL_JOBS, jobs)
    stack.query(FOLD_COUNTS)  # as the dispatcher does every 30 s
    stack.query("VACUUM (ANALYZE) jobs, job_counts")
