"""the delay that a webhook's receiver asked for with Retry-After

Revision: 0004. Revises: 0003.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("webhook_attempts", sa.Column("retry_after_s", sa.Float(), nullable=True))


def downgrade() -> None:
    op.drop_column("webhook_attempts", "retry_after_s")
