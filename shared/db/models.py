"""The tables that all slices share: jobs, their counts, whose turn it is, row errors in pieces, outputs, and whose the upload folder is."""

from __future__ import annotations

import enum
import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Enum,
    ForeignKey,
    Identity,
    Index,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    Uuid,
    event,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base


class JobStatus(enum.StrEnum):
    """The state of a job: it waits, is being checked, was read to its end, could not be read to its end, or was stopped by a client."""

    # The transitions are in `shared.jobs.job_state`.
    QUEUED = "QUEUED"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


ENDED = (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED)


class OutputStatus(enum.StrEnum):
    """The state of an output: it waits, is being made, is there, or could not be made."""

    # The transitions are in `shared.jobs.output_state`.
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    READY = "READY"
    FAILED = "FAILED"


IS_VIEW = "is_view"
"""Key in the `info` of a table that is a view; migrations create views by hand."""
MAX_SMALL_BYTES = 5 * 2**20
"""A file up to this size is small, any other is large: of one submitter small ones need not wait for more than one large one (ADR 33)."""
_NEWEST_FIRST = (text("created_at DESC"), text("id DESC"))
_SHOWN = text("deleted_at IS NULL")
SUBMITTER, IS_LARGE = "coalesce(submitted_by, '')", f"(file_size > {MAX_SMALL_BYTES})"
JOB_WAITS, OUTPUT_WAITS = "status = 'QUEUED' AND deleted_at IS NULL", "status = 'QUEUED'"
"""The expressions and conditions of the indexes of what waits, which statements have to write in the same way."""
IN_TURN = (text(SUBMITTER), text(IS_LARGE), "created_at", "id")
"""What waits, by submitter, small before large, oldest first."""


class Job(Base):
    """One uploaded file and the result of processing it. Inserted by upload; only `shared.jobs.job_state` changes its status."""

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
        Index("ix_jobs_in_turn", *IN_TURN, postgresql_where=text(JOB_WAITS)),
        Index("ix_jobs_lease_expires_at", "lease_expires_at", postgresql_where=text("status = 'PROCESSING'")),
        Index("ix_jobs_external_id", "external_id", postgresql_where=text("deleted_at IS NULL AND external_id IS NOT NULL")),
        Index("ix_jobs_labels", "labels", postgresql_using="gin", postgresql_where=text("deleted_at IS NULL AND labels <> '{}'::jsonb")),
        Index("ix_jobs_purge_due_at", "purge_due_at", postgresql_where=text("purge_due_at IS NOT NULL")),
        Index("ix_jobs_changed_in", "changed_in"),
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
    """SHA-256 of the file and the fields of a request with an idempotency key."""
    external_id: Mapped[str | None] = mapped_column(String(255))
    """The client's own id for the job."""
    labels: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default=text("'{}'::jsonb"))
    """The client's own labels for the job: up to 16 short strings by name."""
    outputs_wanted: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list, server_default=text("'{}'::text[]"))
    """Names of the outputs that are made as soon as the job has ended."""
    checked_again_from: Mapped[uuid.UUID | None]
    """The job whose stored file this job checks again."""
    traceparent: Mapped[str | None] = mapped_column(String(55))
    """The span of the request that made the job, or had it tried again, as a W3C `traceparent`; None while nothing is traced."""

    status: Mapped[JobStatus] = mapped_column(Enum(JobStatus, name="job_status"), default=JobStatus.QUEUED, server_default="QUEUED")
    progress: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")
    rows_processed: Mapped[int] = mapped_column(default=0, server_default="0")
    rows_failed: Mapped[int] = mapped_column(default=0, server_default="0")
    total_rows: Mapped[int | None]
    error_count: Mapped[int] = mapped_column(default=0, server_default="0")
    errors_stored: Mapped[int] = mapped_column(default=0, server_default="0")
    error_tally: Mapped[list[dict[str, Any]]] = mapped_column(default=list, server_default=text("'[]'::jsonb"), deferred=True)
    """Exact error counts: one object for each column and error type (`shared.jobs.error_counts`)."""
    error_message: Mapped[str | None] = mapped_column(Text)
    source: Mapped[dict[str, Any] | None]
    notes: Mapped[list[dict[str, Any]] | None]
    """How the file was read, at most 50 notes; None until it was opened."""

    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    started_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.clock_timestamp())
    """When clients last saw a change; renewing a lease, sending a message again and the like leave it as it is."""

    attempt: Mapped[int] = mapped_column(default=0, server_default="0")
    """The fence: incremented by every claim and by every return to QUEUED. A worker holds the number of its claim."""
    crashes: Mapped[int] = mapped_column(default=0, server_default="0")
    machine_faults: Mapped[int] = mapped_column(default=0, server_default="0")
    """How often the machine failed the job: a full disk, a file that was not there."""
    not_before: Mapped[datetime | None]
    """Until when a job that is QUEUED waits after such a fault; None if it need not."""
    lease_expires_at: Mapped[datetime | None]
    rings: Mapped[int] = mapped_column(default=0, server_default="0")
    """How often a message has been sent for the job since it became QUEUED."""
    next_ring_at: Mapped[datetime | None] = mapped_column(server_default=func.now())
    """When a job that is still QUEUED gets its next message."""
    deleted_at: Mapped[datetime | None]
    """When the job was deleted as far as clients can see; its row, errors and file are removed later."""
    purge_due_at: Mapped[datetime | None]
    """Since when there have been error records to remove, of older attempts or of a deleted job; None if there are none."""
    version: Mapped[int] = mapped_column(default=0, server_default="0")
    """How often what clients see has changed; set by a trigger (migration 0009), as is `changed_in`."""
    changed_in: Mapped[int | None]
    """The transaction of the last such change (PostgreSQL's 64-bit id), by which event streams find what they have not told yet; None: before 0009."""

    @property
    def is_large(self) -> bool:
        """Whether its file is large, as slots are shared (ADR 33)."""
        return self.file_size > MAX_SMALL_BYTES

    @property
    def errors_truncated(self) -> bool:
        """Whether some counted errors are not stored."""
        return self.error_count > self.errors_stored

    @property
    def valid(self) -> bool | None:
        """Whether the file is good to its last row, header included; None until the job has ended."""
        return self.status is JobStatus.COMPLETED and self.error_count == 0 if self.status in ENDED else None

    @property
    def table_schema(self) -> dict[str, Any] | None:
        """The Table Schema in use: the given one, or else the inferred one; None if it is not known yet."""
        return self.schema_given if self.schema_given is not None else self.schema_inferred


class JobCount(Base):
    """A change in the number of jobs that clients see, for one API key's name and one status; the sum of all changes is the number of jobs.

    Written by a trigger on `jobs` (migration 0003) in the transaction that changes the jobs. Rows are only inserted, so that no transaction waits for
    another, and are merged from time to time.
    """

    __tablename__ = "job_counts"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    submitted_by: Mapped[str | None] = mapped_column(String(255))
    status: Mapped[JobStatus] = mapped_column(Enum(JobStatus, name="job_status"))
    count: Mapped[int]


class SubmitterTurn(Base):
    """One turn of a submitter: a job of it, or an output of one, was claimed. The latest one says who is next (`shared.db.turns`).

    Inserted by the claim, in the same statement. Rows are only inserted, so that no claim waits for another, and superseded ones are removed from time to time.
    """

    __tablename__ = "submitter_turns"
    __table_args__ = (Index("ix_submitter_turns_latest", "is_output", "submitted_by", text("claimed_at DESC")),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    submitted_by: Mapped[str] = mapped_column(String(255))
    """The name of the API key; empty for jobs without one."""
    is_output: Mapped[bool]
    is_large: Mapped[bool]
    """Whether the file of the job is large."""
    claimed_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class ErrorPiece(Base):
    """Up to a few thousand error records of one attempt, in one row: a row, an index entry and a foreign key for each record cost ten times the work.

    The pieces of an attempt are ordered by (row, column), with 0 for no column, and never overlap: all records of one place are in the same piece.
    Inserted in bulk by processing; only those of the job's present attempt are shown. The view `processing_errors` has the records one by one.
    """

    __tablename__ = "error_pieces"

    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    first_row: Mapped[int] = mapped_column(primary_key=True)
    first_column: Mapped[int] = mapped_column(primary_key=True)
    record_count: Mapped[int]
    id: Mapped[uuid.UUID] = mapped_column(Uuid)
    """Its last 32 bits are 0; in a record's id they hold the record's position in the piece, from 1 (`make_record_id`)."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    rules: Mapped[list[dict[str, Any]]]
    """The contents that records share: `number` (from 0), `column_number`, `column_name`, `error_type`, `error_message`, `params` (the values in the sentence,
    for programs; absent if there are none), and `count`, the number of records."""
    row_numbers: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    rule_numbers: Mapped[list[int]] = mapped_column(ARRAY(SmallInteger))
    """For each record, the `number` of its rule in `rules`."""
    raw_values: Mapped[list[str | None]] = mapped_column(ARRAY(Text))
    """For each record, the text of its cell; None if the record is about a whole row."""
    first_row_numbers: Mapped[list[int | None] | None] = mapped_column(ARRAY(BigInteger))
    """For each record of a value that was there before, the row that has it first; None if the piece has no such record."""


class Output(Base):
    """A file made of a job for people or programs to take away, such as `rejected.xlsx`.

    Inserted by outputs; only `shared.jobs.output_state` changes its status. Its content is called `shared.storage.names.name_output`, under a name with its id
    and claim, so that nobody writes to the file of another claim.
    """

    __tablename__ = "outputs"
    __table_args__ = (
        UniqueConstraint("job_id", "name"),
        CheckConstraint("progress BETWEEN 0 AND 100", name="progress_is_a_percentage"),
        Index("ix_outputs_next_ring_at", "next_ring_at", postgresql_where=text("status = 'QUEUED'")),
        Index("ix_outputs_in_turn", *IN_TURN, postgresql_where=text(OUTPUT_WAITS)),
        Index("ix_outputs_lease_expires_at", "lease_expires_at", postgresql_where=text("status = 'RUNNING'")),
        Index("ix_outputs_completed_at", "completed_at", postgresql_where=text("status = 'READY' AND expired_at IS NULL")),
        Index("ix_outputs_changed_in", "changed_in"),
    )

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True, default=uuid.uuid4)
    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    attempt: Mapped[int]
    """The job's attempt that it belongs to."""
    name: Mapped[str] = mapped_column(String(50))
    """`{kind}.{format}`, one of `shared.output_names.OUTPUT_NAMES`, or `ROWS`."""
    submitted_by: Mapped[str | None] = mapped_column(String(255))
    """Whose turn it takes, and `file_size`: those of its job, repeated here because an index over what waits cannot look them up."""
    file_size: Mapped[int] = mapped_column(default=0, server_default="0")
    is_wanted: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    """Whether it was asked for at upload, so that the webhook `job.outputs_ready` waits for it."""
    status: Mapped[OutputStatus] = mapped_column(Enum(OutputStatus, name="output_status"), default=OutputStatus.QUEUED, server_default="QUEUED")
    progress: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")
    size_bytes: Mapped[int | None]
    row_count: Mapped[int | None]
    sha256: Mapped[str | None] = mapped_column(String(64))
    error_message: Mapped[str | None] = mapped_column(Text)
    notes: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list, server_default=text("'{}'::text[]"))
    """What a person should know about the content, in sentences: cells that were cut, sheets that were added."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    started_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    expired_at: Mapped[datetime | None]
    """When the content was removed by retention; a PUT makes it anew."""

    claim: Mapped[int] = mapped_column(default=0, server_default="0")
    """The fence: incremented by every claim and by every return to QUEUED. A worker holds the number of its claim."""
    crashes: Mapped[int] = mapped_column(default=0, server_default="0")
    lease_expires_at: Mapped[datetime | None]
    rings: Mapped[int] = mapped_column(default=0, server_default="0")
    next_ring_at: Mapped[datetime | None] = mapped_column(server_default=func.now())
    traceparent: Mapped[str | None] = mapped_column(String(55))
    """As of a job: the span in which it was asked for."""
    version: Mapped[int] = mapped_column(default=0, server_default="0")
    """As of a job; set by a trigger, as is `changed_in`."""
    changed_in: Mapped[int | None]

    @property
    def is_large(self) -> bool:
        """Whether the file of its job is large."""
        return self.file_size > MAX_SMALL_BYTES


class Storage(Base):
    """The one row that says which stored files belong to this database: the one whose marker has this id (`shared.storage.marker`)."""

    __tablename__ = "storage"
    __table_args__ = (CheckConstraint("id = 1", name="there_is_one"),)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    storage_id: Mapped[uuid.UUID] = mapped_column(Uuid, server_default=func.gen_random_uuid())
    marked_at: Mapped[datetime | None]
    """When a folder was first marked; from then on a folder without the marker is not this database's. None: none was yet."""


class ProcessingError(Base):
    """One error record of a job's present attempt, as clients see it; for code that reads records one by one (tests, exports).

    Read-only: mapped to the view of the same name, which unpacks `error_pieces`. To page through a job's errors use `features/errors`, which opens only
    the pieces that it shows.
    """

    __tablename__ = "processing_errors"
    __table_args__ = ({"info": {IS_VIEW: True}},)

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    job_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    row_number: Mapped[int]
    """The row number as a spreadsheet shows it: the header is row 1."""
    column_name: Mapped[str | None] = mapped_column(Text)
    column_number: Mapped[int | None]
    """From 1. Column number and column name are None for an error of the whole row."""
    error_type: Mapped[str] = mapped_column(Text)
    error_message: Mapped[str] = mapped_column(Text)
    raw_value: Mapped[str | None] = mapped_column(Text)
    params: Mapped[dict[str, Any]]
    """What the sentence says, for programs; empty if it has no values in it."""
    created_at: Mapped[datetime]


@event.listens_for(ProcessingError, "before_insert")
@event.listens_for(ProcessingError, "before_update")
@event.listens_for(ProcessingError, "before_delete")
def _refuse_change(_mapper: object, _connection: object, _record: ProcessingError) -> None:
    raise TypeError("ProcessingError is read-only: error records are stored as pieces, by the processing slice.")


PLACE_BITS = 32


def make_record_id(piece_id: uuid.UUID, place: int) -> uuid.UUID:
    """Return the id of the record at position `place` of a piece, counted from 1; the view applies the same rule in SQL."""
    return uuid.UUID(int=piece_id.int >> PLACE_BITS << PLACE_BITS | place)


def split_record_id(record_id: uuid.UUID) -> tuple[uuid.UUID, int]:
    """Split a record's id into the piece's id, whose last 32 bits are 0, and the position that `make_record_id` was given."""
    return make_record_id(record_id, 0), record_id.int & ((1 << PLACE_BITS) - 1)
