"""store error records in pieces; a view shows them one by one

Revision: 0002. Revises: 0001.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ARRAYS = ("row_numbers", "rule_numbers", "raw_values")

VIEW = """
CREATE VIEW processing_errors AS
SELECT
    overlay(piece.id::text PLACING lpad(to_hex(record.place), 8, '0') FROM 29)::uuid AS id,
    piece.job_id,
    piece.attempt,
    record.row_number,
    rule.column_number,
    rule.column_name,
    rule.error_type,
    rule.error_message,
    record.raw_value,
    piece.created_at
FROM error_pieces AS piece
CROSS JOIN LATERAL unnest(piece.row_numbers, piece.rule_numbers, piece.raw_values) WITH ORDINALITY AS record (row_number, rule_number, raw_value, place)
CROSS JOIN LATERAL jsonb_to_recordset(piece.rules)
    AS rule (number smallint, column_number bigint, column_name text, error_type text, error_message text)
WHERE rule.number = record.rule_number
"""

# Records of one (row, column) have the same rank and the same running sum of bytes, so no piece ends between them.
PACK = """
WITH placed AS (
    SELECT
        *,
        (rank() OVER by_place - 1) / 5000 AS by_count,
        coalesce(sum(octet_length(raw_value)) OVER by_place, 0) / 1048576 AS by_size
    FROM processing_errors
    WINDOW by_place AS (PARTITION BY job_id, attempt ORDER BY row_number, coalesce(column_number, 0))
),
ruled AS (
    SELECT
        *,
        dense_rank() OVER (
            PARTITION BY job_id, attempt, by_count, by_size
            ORDER BY coalesce(column_number, 0), column_name NULLS FIRST, error_type, error_message
        ) - 1 AS rule_number
    FROM placed
),
rules AS (
    SELECT job_id, attempt, by_count, by_size, rule_number, column_number, column_name, error_type, error_message, count(*) AS record_count
    FROM ruled
    GROUP BY job_id, attempt, by_count, by_size, rule_number, column_number, column_name, error_type, error_message
),
rule_lists AS (
    SELECT
        job_id, attempt, by_count, by_size,
        jsonb_agg(
            jsonb_build_object(
                'number', rule_number, 'column_number', column_number, 'column_name', column_name,
                'error_type', error_type, 'error_message', error_message, 'count', record_count
            ) ORDER BY rule_number
        ) AS rules
    FROM rules
    GROUP BY job_id, attempt, by_count, by_size
),
lists AS (
    SELECT
        job_id, attempt, by_count, by_size,
        min(row_number) AS first_row,
        count(*) AS record_count,
        min(created_at) AS created_at,
        (array_agg(coalesce(column_number, 0) ORDER BY row_number, coalesce(column_number, 0), id))[1] AS first_column,
        array_agg(row_number ORDER BY row_number, coalesce(column_number, 0), id) AS row_numbers,
        array_agg(rule_number::smallint ORDER BY row_number, coalesce(column_number, 0), id) AS rule_numbers,
        array_agg(raw_value ORDER BY row_number, coalesce(column_number, 0), id) AS raw_values
    FROM ruled
    GROUP BY job_id, attempt, by_count, by_size
)
INSERT INTO error_pieces (
    job_id, attempt, first_row, first_column, record_count, id, created_at, rules, row_numbers, rule_numbers, raw_values
)
SELECT
    job_id, attempt, first_row, first_column, record_count,
    overlay(gen_random_uuid()::text PLACING '00000000' FROM 29)::uuid,
    created_at, rules, row_numbers, rule_numbers, raw_values
FROM lists
JOIN rule_lists USING (job_id, attempt, by_count, by_size)
"""

UNPACK = """
INSERT INTO processing_errors (id, job_id, attempt, row_number, column_number, column_name, error_type, error_message, raw_value, created_at)
SELECT id, job_id, attempt, row_number, column_number, column_name, error_type, error_message, raw_value, created_at FROM record_by_record
"""


def upgrade() -> None:
    op.create_table(
        "error_pieces",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("first_row", sa.BigInteger(), nullable=False),
        sa.Column("first_column", sa.BigInteger(), nullable=False),
        sa.Column("record_count", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("rules", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("row_numbers", sa.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("rule_numbers", sa.ARRAY(sa.SmallInteger()), nullable=False),
        sa.Column("raw_values", sa.ARRAY(sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_error_pieces_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "attempt", "first_row", "first_column", name=op.f("pk_error_pieces")),
    )
    for name in ARRAYS:
        # Compressing these arrays costs more time than writing them uncompressed.
        op.execute(f"ALTER TABLE error_pieces ALTER COLUMN {name} SET STORAGE EXTERNAL")
    op.execute(PACK)
    op.drop_table("processing_errors")
    op.execute(VIEW)


def downgrade() -> None:
    op.execute("ALTER VIEW processing_errors RENAME TO record_by_record")
    op.create_table(
        "processing_errors",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("row_number", sa.BigInteger(), nullable=False),
        sa.Column("column_number", sa.BigInteger(), nullable=True),
        sa.Column("column_name", sa.String(length=255), nullable=True),
        sa.Column("error_type", sa.String(length=100), nullable=False),
        sa.Column("error_message", sa.Text(), nullable=False),
        sa.Column("raw_value", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_processing_errors_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_processing_errors")),
    )
    op.execute(UNPACK)
    op.create_index(
        "ix_processing_errors_page",
        "processing_errors",
        ["job_id", "attempt", "row_number", sa.literal_column("coalesce(column_number, 0)"), "id"],
        unique=False,
    )
    op.execute("DROP VIEW record_by_record")
    op.drop_table("error_pieces")
