"""the view processing_errors shows what clients see: errors of a job's present attempt

Revision: 0006. Revises: 0005.
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_ALL_ATTEMPTS = """
CREATE OR REPLACE VIEW processing_errors AS
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
_PRESENT = """
AND EXISTS (SELECT FROM jobs WHERE jobs.id = piece.job_id AND jobs.attempt = piece.attempt AND jobs.deleted_at IS NULL)
"""


def upgrade() -> None:
    op.execute(_ALL_ATTEMPTS + _PRESENT)


def downgrade() -> None:
    op.execute(_ALL_ATTEMPTS)
