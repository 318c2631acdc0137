"""the span that made a job, or asked for an output, so that whoever runs it goes on with its trace

Revision: 0012. Revises: 0011.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Without a default: the tables are not rewritten, and code that does not know the columns leaves them out.
    for table in ("jobs", "outputs"):
        op.add_column(table, sa.Column("traceparent", sa.String(length=55), nullable=True))


def downgrade() -> None:
    for table in ("outputs", "jobs"):
        op.drop_column(table, "traceparent")
