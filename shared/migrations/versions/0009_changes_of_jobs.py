"""versions of jobs and outputs, and the transactions that changed them, for event streams

Revision: 0009. Revises: 0008.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# The id of the top transaction has 64 bits and is never used twice. It is kept as bigint, which has the same order and needs no casts in queries.
MARK_CHANGE = """
CREATE FUNCTION mark_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE OLD.version + 1 END;
    NEW.changed_in := pg_current_xact_id()::text::bigint;
    RETURN NEW;
END $$
"""
# The row of a deleted job may be gone before a stream has looked at it.
NOTE_DELETED_JOB = """
CREATE FUNCTION note_deleted_job() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO deleted_jobs (id, submitted_by, changed_in) VALUES (NEW.id, NEW.submitted_by, pg_current_xact_id()::text::bigint) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$
"""
TRIGGERS = (
    "CREATE TRIGGER mark_new BEFORE INSERT ON jobs FOR EACH ROW EXECUTE FUNCTION mark_change()",
    """
    CREATE TRIGGER mark_changed BEFORE UPDATE ON jobs FOR EACH ROW
    WHEN (NEW.updated_at IS DISTINCT FROM OLD.updated_at) EXECUTE FUNCTION mark_change()
    """,
    "CREATE TRIGGER mark_new BEFORE INSERT ON outputs FOR EACH ROW EXECUTE FUNCTION mark_change()",
    """
    CREATE TRIGGER mark_changed BEFORE UPDATE ON outputs FOR EACH ROW
    WHEN ((NEW.status, NEW.progress, NEW.expired_at, NEW.claim) IS DISTINCT FROM (OLD.status, OLD.progress, OLD.expired_at, OLD.claim))
    EXECUTE FUNCTION mark_change()
    """,
    """
    CREATE TRIGGER note_deleted_job AFTER UPDATE OF deleted_at ON jobs FOR EACH ROW
    WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL) EXECUTE FUNCTION note_deleted_job()
    """,
)


def upgrade() -> None:
    for table in ("jobs", "outputs"):
        op.add_column(table, sa.Column("version", sa.BigInteger(), server_default="0", nullable=False))
        op.add_column(table, sa.Column("changed_in", sa.BigInteger(), nullable=True))
        op.create_index(f"ix_{table}_changed_in", table, ["changed_in"])
    op.create_table(
        "deleted_jobs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("submitted_by", sa.String(length=255), nullable=True),
        sa.Column("changed_in", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deleted_jobs")),
    )
    op.create_index("ix_deleted_jobs_changed_in", "deleted_jobs", ["changed_in"])
    for statement in (MARK_CHANGE, NOTE_DELETED_JOB, *TRIGGERS):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TRIGGER note_deleted_job ON jobs")
    for table in ("outputs", "jobs"):
        for name in ("mark_changed", "mark_new"):
            op.execute(f"DROP TRIGGER {name} ON {table}")
    for name in ("note_deleted_job", "mark_change"):
        op.execute(f"DROP FUNCTION {name}()")
    op.drop_table("deleted_jobs")
    for table in ("outputs", "jobs"):
        op.drop_index(f"ix_{table}_changed_in", table)
        op.drop_column(table, "changed_in")
        op.drop_column(table, "version")
