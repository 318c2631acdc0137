"""The table of this slice: jobs that were deleted a short while ago."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import Index, String, Uuid, func
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base


class DeletedJob(Base):
    """A job that clients cannot see any more. Written by a trigger on `jobs` (migration 0009), since the job's own row may be gone at any moment."""

    __tablename__ = "deleted_jobs"
    __table_args__ = (Index("ix_deleted_jobs_changed_in", "changed_in"),)

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    submitted_by: Mapped[str | None] = mapped_column(String(255))
    changed_in: Mapped[int]
    """The transaction that deleted it, as `Job.changed_in`."""
    deleted_at: Mapped[datetime] = mapped_column(server_default=func.now())
