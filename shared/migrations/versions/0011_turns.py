"""slots are shared: whose turn it is, and what waits in the order of turns

Revision: 0011. Revises: 0010.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

IN_TURN: list[str | sa.TextClause] = [sa.text("coalesce(submitted_by, '')"), sa.text("(file_size > 5242880)"), "created_at", "id"]


def upgrade() -> None:
    # First, since it takes longest: nothing else is locked meanwhile.
    op.create_index("ix_jobs_in_turn", "jobs", IN_TURN, postgresql_where=sa.text("status = 'QUEUED' AND deleted_at IS NULL"))
    op.create_table(
        "submitter_turns",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("submitted_by", sa.String(length=255), nullable=False),
        sa.Column("is_output", sa.Boolean(), nullable=False),
        sa.Column("is_large", sa.Boolean(), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_submitter_turns")),
    )
    op.create_index("ix_submitter_turns_latest", "submitter_turns", ["is_output", "submitted_by", sa.text("claimed_at DESC")])
    op.add_column("outputs", sa.Column("submitted_by", sa.String(length=255), nullable=True))
    op.add_column("outputs", sa.Column("file_size", sa.BigInteger(), server_default="0", nullable=False))
    # Those that a release before this one inserts while both run have neither, and count as small ones of a client without a key.
    op.execute(
        """
        UPDATE outputs SET submitted_by = jobs.submitted_by, file_size = jobs.file_size
        FROM jobs WHERE jobs.id = outputs.job_id AND outputs.status IN ('QUEUED', 'RUNNING')
        """
    )
    op.create_index("ix_outputs_in_turn", "outputs", IN_TURN, postgresql_where=sa.text("status = 'QUEUED'"))


def downgrade() -> None:
    op.drop_index("ix_jobs_in_turn", "jobs")
    op.drop_index("ix_outputs_in_turn", "outputs")
    op.drop_column("outputs", "file_size")
    op.drop_column("outputs", "submitted_by")
    op.drop_table("submitter_turns")
