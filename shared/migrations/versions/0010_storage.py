"""the database has an id, which the marker of its upload folder repeats; jobs wait after a fault of the machine

Revision: 0010. Revises: 0009.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "storage",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("storage_id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("marked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_storage")),
        sa.CheckConstraint("id = 1", name=op.f("ck_storage_there_is_one")),
    )
    op.execute("INSERT INTO storage (id) VALUES (1)")
    op.add_column("jobs", sa.Column("machine_faults", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("jobs", sa.Column("not_before", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("jobs", "not_before")
    op.drop_column("jobs", "machine_faults")
    op.drop_table("storage")
