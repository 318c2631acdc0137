"""The jobs slice's own table: how many there are."""

from __future__ import annotations

from sqlalchemy import BigInteger, Enum, Identity, String
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base
from shared.db.models import JobStatus


class JobCount(Base):
    """So many jobs more, or fewer, that clients see: of one key's name, in one status. The sum is their number.

    Written by a trigger on `jobs` (migration 0003) in the transaction that changes them; rows are only added, so that nobody waits, and folded now and then.
    """

    __tablename__ = "job_counts"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    submitted_by: Mapped[str | None] = mapped_column(String(255))
    status: Mapped[JobStatus] = mapped_column(Enum(JobStatus, name="job_status"))
    count: Mapped[int]
