"""totals of jobs that are cheap to read; indexes for reading pages of jobs

Revision: 0003. Revises: 0002.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# Rows are only added, so that two transactions never wait for each other's count.
COUNT = """
CREATE FUNCTION count_job() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.deleted_at IS NULL THEN
        INSERT INTO job_counts (submitted_by, status, count) VALUES (OLD.submitted_by, OLD.status, -1);
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.deleted_at IS NULL THEN
        INSERT INTO job_counts (submitted_by, status, count) VALUES (NEW.submitted_by, NEW.status, 1);
    END IF;
    RETURN NULL;
END $$
"""
FORGET = """
CREATE FUNCTION forget_job_counts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM job_counts;
    RETURN NULL;
END $$
"""
TRIGGERS = (
    "CREATE TRIGGER count_job AFTER INSERT OR DELETE ON jobs FOR EACH ROW EXECUTE FUNCTION count_job()",
    """
    CREATE TRIGGER count_job_anew AFTER UPDATE OF status, deleted_at, submitted_by ON jobs FOR EACH ROW
    WHEN ((OLD.status, OLD.deleted_at, OLD.submitted_by) IS DISTINCT FROM (NEW.status, NEW.deleted_at, NEW.submitted_by))
    EXECUTE FUNCTION count_job()
    """,
    "CREATE TRIGGER forget_job_counts AFTER TRUNCATE ON jobs FOR EACH STATEMENT EXECUTE FUNCTION forget_job_counts()",
)
NEWEST_FIRST: tuple[sa.ColumnClause[str], ...] = (sa.literal_column("created_at DESC"), sa.literal_column("id DESC"))


def upgrade() -> None:
    op.execute("LOCK TABLE jobs IN SHARE ROW EXCLUSIVE MODE")
    op.create_table(
        "job_counts",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("submitted_by", sa.String(length=255), nullable=True),
        sa.Column("status", postgresql.ENUM(name="job_status", create_type=False), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_counts")),
    )
    op.execute("INSERT INTO job_counts (submitted_by, status, count) SELECT submitted_by, status, count(*) FROM jobs WHERE deleted_at IS NULL GROUP BY 1, 2")
    for statement in (COUNT, FORGET, *TRIGGERS):
        op.execute(statement)
    op.drop_index("ix_jobs_created_at_id", table_name="jobs")
    op.drop_index("ix_jobs_status_created_at", table_name="jobs")
    shown = sa.text("deleted_at IS NULL")
    op.create_index("ix_jobs_created_at_id", "jobs", [*NEWEST_FIRST], unique=False, postgresql_where=shown)
    op.create_index("ix_jobs_status_created_at_id", "jobs", ["status", *NEWEST_FIRST], unique=False, postgresql_where=shown)
    op.create_index(
        "ix_jobs_submitted_by_created_at_id",
        "jobs",
        ["submitted_by", *NEWEST_FIRST],
        unique=False,
        postgresql_include=["status"],
        postgresql_where=sa.text("deleted_at IS NULL AND submitted_by IS NOT NULL"),
    )
    ended = sa.text("deleted_at IS NULL AND completed_at IS NOT NULL")
    op.create_index("ix_jobs_completed_at", "jobs", ["completed_at"], unique=False, postgresql_where=ended)


def downgrade() -> None:
    for name in ("ix_jobs_completed_at", "ix_jobs_submitted_by_created_at_id", "ix_jobs_status_created_at_id", "ix_jobs_created_at_id"):
        op.drop_index(name, table_name="jobs")
    op.create_index("ix_jobs_created_at_id", "jobs", [*NEWEST_FIRST], unique=False)
    op.create_index("ix_jobs_status_created_at", "jobs", ["status", *NEWEST_FIRST], unique=False)
    for name in ("forget_job_counts", "count_job_anew", "count_job"):
        op.execute(f"DROP TRIGGER {name} ON jobs")
    op.execute("DROP FUNCTION forget_job_counts()")
    op.execute("DROP FUNCTION count_job()")
    op.drop_table("job_counts")
