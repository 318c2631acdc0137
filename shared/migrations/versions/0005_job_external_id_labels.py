"""the client's own id and labels for a job

Revision: 0005. Revises: 0004.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("external_id", sa.String(255), nullable=True))
    op.add_column("jobs", sa.Column("labels", postgresql.JSONB(none_as_null=True), server_default=sa.text("'{}'::jsonb"), nullable=False))


def downgrade() -> None:
    op.drop_column("jobs", "labels")
    op.drop_column("jobs", "external_id")
