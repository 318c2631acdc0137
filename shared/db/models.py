"""The tables that are everybody's: jobs, how many there are, and their row errors, in pieces."""

from __future__ import annotations

import enum
import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, Enum, ForeignKey, Identity, Index, SmallInteger, String, Text, Uuid, event, func, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base


class JobStatus(enum.StrEnum):
    """Where a job is in its life; `shared.jobs.job_state` holds the transitions."""

    QUEUED = "QUEUED"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


ENDED = (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED)


IS_VIEW = "is_view"
"""In the `info` of a table that is a view: migrations make it by hand."""
_NEWEST_FIRST = (text("created_at DESC"), text("id DESC"))
_SHOWN = text("deleted_at IS NULL")


class Job(Base):
    """One uploaded file and what became of it. Inserted by upload; its status is changed by `shared.jobs.job_state` alone."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint("progress BETWEEN 0 AND 100", name="progress_is_a_percentage"),
        Index("ix_jobs_created_at_id", *_NEWEST_FIRST, postgresql_where=_SHOWN),
        Index("ix_jobs_status_created_at_id", "status", *_NEWEST_FIRST, postgresql_where=_SHOWN),
        Index(
            "ix_jobs_submitted_by_created_at_id",
            "submitted_by",
            *_NEWEST_FIRST,
            postgresql_include=["status"],
            postgresql_where=text("deleted_at IS NULL AND submitted_by IS NOT NULL"),
        ),
        Index("ix_jobs_completed_at", "completed_at", postgresql_where=text("deleted_at IS NULL AND completed_at IS NOT NULL")),
        Index("ix_jobs_next_ring_at", "next_ring_at", postgresql_where=text("status = 'QUEUED'")),
        Index("ix_jobs_lease_expires_at", "lease_expires_at", postgresql_where=text("status = 'PROCESSING'")),
        Index("ix_jobs_purge_due_at", "purge_due_at", postgresql_where=text("purge_due_at IS NOT NULL")),
        Index(
            "uq_jobs_idempotency_key",
            text("coalesce(submitted_by, '')"),
            "idempotency_key",
            unique=True,
            postgresql_where=text("idempotency_key IS NOT NULL AND deleted_at IS NULL"),
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True, default=uuid.uuid4)
    filename: Mapped[str] = mapped_column(String(255))
    file_size: Mapped[int]
    file_type: Mapped[str] = mapped_column(String(50))
    sha256: Mapped[str] = mapped_column(String(64))
    webhook_url: Mapped[str | None] = mapped_column(String(500))
    schema_given: Mapped[dict[str, Any] | None] = mapped_column(deferred=True)
    schema_inferred: Mapped[dict[str, Any] | None] = mapped_column(deferred=True)
    dialect: Mapped[dict[str, Any] | None] = mapped_column(deferred=True)
    encoding: Mapped[str | None] = mapped_column(String(64))
    submitted_by: Mapped[str | None] = mapped_column(String(255))
    idempotency_key: Mapped[str | None] = mapped_column(String(255))
    fingerprint: Mapped[str | None] = mapped_column(String(64))
    """SHA-256 of file and fields of a request with an idempotency key."""
    external_id: Mapped[str | None] = mapped_column(String(255))
    """The client's own id of the job."""
    labels: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default=text("'{}'::jsonb"))
    """The client's own words for it: up to 16 short strings by name."""

    status: Mapped[JobStatus] = mapped_column(Enum(JobStatus, name="job_status"), default=JobStatus.QUEUED, server_default="QUEUED")
    progress: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")
    rows_processed: Mapped[int] = mapped_column(default=0, server_default="0")
    rows_failed: Mapped[int] = mapped_column(default=0, server_default="0")
    total_rows: Mapped[int | None]
    error_count: Mapped[int] = mapped_column(default=0, server_default="0")
    errors_stored: Mapped[int] = mapped_column(default=0, server_default="0")
    error_tally: Mapped[list[dict[str, Any]]] = mapped_column(default=list, server_default=text("'[]'::jsonb"), deferred=True)
    """Exact counts, one object for each column and error type, with how many of them are stored."""
    error_message: Mapped[str | None] = mapped_column(Text)
    source: Mapped[dict[str, Any] | None]

    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    started_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]

    attempt: Mapped[int] = mapped_column(default=0, server_default="0")
    """The fence: raised by every claim and by every return to QUEUED. A worker holds the number of its claim."""
    crashes: Mapped[int] = mapped_column(default=0, server_default="0")
    lease_expires_at: Mapped[datetime | None]
    rings: Mapped[int] = mapped_column(default=0, server_default="0")
    """How often a message was sent for the job while it has been QUEUED."""
    next_ring_at: Mapped[datetime | None] = mapped_column(server_default=func.now())
    """When a job that is still QUEUED gets its next message."""
    deleted_at: Mapped[datetime | None]
    """Deleted for clients; row, errors and file are removed behind."""
    purge_due_at: Mapped[datetime | None]
    """There are error records of older attempts, or of a deleted job, to be removed since then."""

    @property
    def errors_truncated(self) -> bool:
        """Whether errors were counted that are not stored."""
        return self.error_count > self.errors_stored

    @property
    def table_schema(self) -> dict[str, Any] | None:
        """The Table Schema that is used: given, or inferred, or not known yet."""
        return self.schema_given if self.schema_given is not None else self.schema_inferred


class JobCount(Base):
    """So many jobs more, or fewer, that clients see: of one key's name, in one status. The sum is their number.

    Written by a trigger on `jobs` (migration 0003) in the transaction that changes them; rows are only added, so that nobody waits, and folded now and then.
    """

    __tablename__ = "job_counts"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    submitted_by: Mapped[str | None] = mapped_column(String(255))
    status: Mapped[JobStatus] = mapped_column(Enum(JobStatus, name="job_status"))
    count: Mapped[int]


class ErrorPiece(Base):
    """Up to some thousand error records of one attempt, in one row: a row, an index entry and a foreign key for each record cost ten times the work.

    The pieces of an attempt follow each other by (row, column), 0 for no column, and never overlap: records of one place lie in one piece.
    Inserted in bulk by processing; only those of the job's present attempt are shown. The view `processing_errors` has the records one by one.
    """

    __tablename__ = "error_pieces"

    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    first_row: Mapped[int] = mapped_column(primary_key=True)
    first_column: Mapped[int] = mapped_column(primary_key=True)
    record_count: Mapped[int]
    id: Mapped[uuid.UUID] = mapped_column(Uuid)
    """Its last 32 bits are 0: there a record's id has the record's place in the piece, from 1 (`make_record_id`)."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    rules: Mapped[list[dict[str, Any]]]
    """What the records say: `number` (from 0), `column_number`, `column_name`, `error_type`, `error_message`, and `count`, how many records say so."""
    row_numbers: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    rule_numbers: Mapped[list[int]] = mapped_column(ARRAY(SmallInteger))
    """Which of `rules`, for each record."""
    raw_values: Mapped[list[str | None]] = mapped_column(ARRAY(Text))
    """None for a record of a whole row."""


class ProcessingError(Base):
    """One error record of a job's present attempt, as clients see it: for whatever reads records one by one (tests, exports).

    Mapped on the view of that name, which unpacks `error_pieces`, and read-only: whoever pages through a job's errors asks `features/errors`, which
    opens only the pieces that it shows.
    """

    __tablename__ = "processing_errors"
    __table_args__ = ({"info": {IS_VIEW: True}},)

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    job_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    row_number: Mapped[int]
    """As a spreadsheet shows it: the header is row 1."""
    column_name: Mapped[str | None] = mapped_column(Text)
    column_number: Mapped[int | None]
    """From 1; None for an error of the whole row, as is the name."""
    error_type: Mapped[str] = mapped_column(Text)
    error_message: Mapped[str] = mapped_column(Text)
    raw_value: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]


@event.listens_for(ProcessingError, "before_insert")
@event.listens_for(ProcessingError, "before_update")
@event.listens_for(ProcessingError, "before_delete")
def _refuse_change(_mapper: object, _connection: object, _record: ProcessingError) -> None:
    raise TypeError("ProcessingError is read-only: error records are stored as pieces, by the slice processing.")


PLACE_BITS = 32


def make_record_id(piece_id: uuid.UUID, place: int) -> uuid.UUID:
    """The id of the record at `place` of a piece, from 1; the view has the same rule in SQL."""
    return uuid.UUID(int=piece_id.int >> PLACE_BITS << PLACE_BITS | place)


def split_record_id(record_id: uuid.UUID) -> tuple[uuid.UUID, int]:
    """The piece's id, its last bits 0, and the place that `make_record_id` was given."""
    return make_record_id(record_id, 0), record_id.int & ((1 << PLACE_BITS) - 1)
