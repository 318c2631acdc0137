"""To the next release and back under running jobs: the next one is this one with a migration more."""

from __future__ import annotations

from pathlib import Path

import httpx

from compose.verify.backup import query
from compose.verify.jobs import LONG_ROWS, make_csv, prove_end, send, start_long_job
from compose.verify.stack import Stack, require, say
from shared.db.migration_level import get_code_level

NEXT = f"{int(get_code_level()) + 1:04}"
MIGRATION = f'''"""what a later release may do: a column with a default, an index, a table

Revision: {NEXT}. Revises: {get_code_level()}.
"""

import sqlalchemy as sa
from alembic import op

revision = "{NEXT}"
down_revision = "{get_code_level()}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("later", sa.Integer(), server_default="7", nullable=False))
    op.create_index("ix_jobs_later", "jobs", ["later"])
    op.create_table("later", sa.Column("id", sa.Integer(), primary_key=True))


def downgrade() -> None:
    op.drop_table("later")
    op.drop_column("jobs", "later")
'''
PARTS = ("api", "worker", "dispatcher")


def prove_releases(stack: Stack, client: httpx.Client, folder: Path) -> None:
    """Roll forward and back, each while a job runs; no job is lost, and both releases accept and check files."""
    say("rolling out the next release, and back")
    build = folder / "next"
    build.mkdir()
    (build / f"{NEXT}_later.py").write_text(MIGRATION)
    (build / "Dockerfile").write_text(f"ARG BASE\nFROM $BASE\nCOPY {NEXT}_later.py shared/migrations/versions/\n")
    running = start_long_job(client)
    changes = {
        part: {
            "build": {"context": str(build), "dockerfile": "Dockerfile", "args": {"BASE": f"{stack.project}-{part}"}},
            "image": f"{stack.project}-{NEXT}-{part}",
        }
        for part in PARTS
    }
    with stack.altered(changes):
        require_level(stack, client, level=NEXT, status="current")
        prove_end(client, running, rows=LONG_ROWS)
        prove_end(client, send(client, "table.csv", make_csv(20)), rows=20)
        running = start_long_job(client)
    require_level(stack, client, level=NEXT, status="ahead")
    prove_end(client, running, rows=LONG_ROWS)
    prove_end(client, send(client, "table.csv", make_csv(20)), rows=20)
    require(query(stack, "SELECT count(*) FROM jobs WHERE later <> 7").strip() == "0", "The older release has lost what the newer one has written.")


def require_level(stack: Stack, client: httpx.Client, *, level: str, status: str) -> None:
    """Raise `Unproven` unless the database is at this level, and health calls it so."""
    found = query(stack, "SELECT version_num FROM alembic_version").strip()
    require(found == level, f"The database is at {found} and not at {level}.")
    migration = client.get("/api/health").json()["details"]["migration"]
    require(migration["status"] == status, f"Health says of the migration: {migration}")
