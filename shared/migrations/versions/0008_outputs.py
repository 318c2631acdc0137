"""outputs of jobs, what is known of a check again, and the values in the sentences of errors

Revision: 0008. Revises: 0007.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_VIEW = """
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
    record.raw_value,{params}
    piece.created_at
FROM error_pieces AS piece
CROSS JOIN LATERAL unnest(piece.row_numbers, piece.rule_numbers, piece.raw_values{arrays})
    WITH ORDINALITY AS record (row_number, rule_number, raw_value{names}, place)
CROSS JOIN LATERAL jsonb_to_recordset(piece.rules)
    AS rule (number smallint, column_number bigint, column_name text, error_type text, error_message text{members})
WHERE rule.number = record.rule_number
AND EXISTS (SELECT FROM jobs WHERE jobs.id = piece.job_id AND jobs.attempt = piece.attempt AND jobs.deleted_at IS NULL)
"""
_PARAMS = """
    coalesce(rule.params, '{}'::jsonb)
        || CASE WHEN record.first_row_number IS NULL THEN '{}'::jsonb ELSE jsonb_build_object('first_row_number', record.first_row_number) END AS params,"""


def upgrade() -> None:
    op.add_column("jobs", sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False))
    op.add_column("jobs", sa.Column("checked_again_from", sa.Uuid(), nullable=True))
    op.add_column("jobs", sa.Column("outputs_wanted", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'::text[]"), nullable=False))
    shown = "deleted_at IS NULL"
    op.create_index("ix_jobs_external_id", "jobs", ["external_id"], postgresql_where=sa.text(f"{shown} AND external_id IS NOT NULL"))
    op.create_index("ix_jobs_labels", "jobs", ["labels"], postgresql_using="gin", postgresql_where=sa.text(f"{shown} AND labels <> '{{}}'::jsonb"))
    op.execute("DROP VIEW processing_errors")
    op.add_column("error_pieces", sa.Column("first_row_numbers", postgresql.ARRAY(sa.BigInteger()), nullable=True))
    op.execute(
        _VIEW.format(params=_PARAMS, arrays=", piece.first_row_numbers", names=", first_row_number", members=", params jsonb"),
    )
    op.create_table(
        "outputs",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("job_id", sa.Uuid(), sa.ForeignKey("jobs.id", ondelete="CASCADE", name="fk_outputs_job_id_jobs"), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(50), nullable=False),
        sa.Column("is_wanted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("status", sa.Enum("QUEUED", "RUNNING", "READY", "FAILED", name="output_status"), server_default="QUEUED", nullable=False),
        sa.Column("progress", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("row_count", sa.BigInteger(), nullable=True),
        sa.Column("sha256", sa.String(64), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("notes", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'::text[]"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("claim", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("crashes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rings", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("next_ring_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=True),
        sa.UniqueConstraint("job_id", "name", name="uq_outputs_job_id_name"),
        sa.CheckConstraint("progress BETWEEN 0 AND 100", name="ck_outputs_progress_is_a_percentage"),
    )
    op.create_index("ix_outputs_next_ring_at", "outputs", ["next_ring_at"], postgresql_where=sa.text("status = 'QUEUED'"))
    op.create_index("ix_outputs_lease_expires_at", "outputs", ["lease_expires_at"], postgresql_where=sa.text("status = 'RUNNING'"))
    op.create_index("ix_outputs_completed_at", "outputs", ["completed_at"], postgresql_where=sa.text("status = 'READY' AND expired_at IS NULL"))


def downgrade() -> None:
    op.drop_table("outputs")
    op.execute("DROP TYPE output_status")
    op.execute("DROP VIEW processing_errors")
    op.drop_column("error_pieces", "first_row_numbers")
    op.execute(_VIEW.format(params="", arrays="", names="", members=""))
    op.drop_index("ix_jobs_labels", "jobs")
    op.drop_index("ix_jobs_external_id", "jobs")
    op.drop_column("jobs", "outputs_wanted")
    op.drop_column("jobs", "checked_again_from")
    op.drop_column("jobs", "updated_at")
