"""Create database rows for tests, as the service itself would have written them."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI
from sqlalchemy import Select, delete, func, select
from sqlalchemy.orm import undefer

from shared.current_secrets import CurrentSecrets
from shared.db.models import ErrorPiece, Job, JobStatus, ProcessingError, make_record_id
from shared.db.session import Database
from shared.settings import Settings
from shared.storage.names import name_file

CSV = b"id,name\n1,Ada\n2,Grace\nx,Linus\n"


class Factory:
    """Makes jobs (with their files) and errors, and reads rows back."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    async def job(self, *, content: bytes | None = CSV, **values: Any) -> Job:
        """Create a QUEUED job with a small CSV file; with `content=None` its file does not exist."""
        job = Job(**{"id": uuid.uuid4(), "filename": "people.csv", "file_type": "csv", "file_size": len(content or b""), "sha256": "0" * 64, **values})
        async with self._database.unit_of_work() as session:
            session.add(job)
            await session.flush()
            await session.refresh(job)
        if content is not None:
            (self._settings.upload_folder / name_file(job.id, job.filename)).write_bytes(content)
        return job

    async def ended_job(self, status: JobStatus = JobStatus.COMPLETED, **values: Any) -> Job:
        now = datetime.now(UTC)
        return await self.job(status=status, **{"attempt": 1, "started_at": now, "completed_at": now, "progress": 100, **values})

    async def errors(
        self, job: Job, places: list[tuple[int, int | None, str]], *, column_name: str = "id", attempt: int | None = None, piece_size: int = 5000
    ) -> None:
        """Add an error at each (row, column, type) to those of the attempt, stored in pieces, and make the job's figures match `places`."""
        tally: dict[tuple[int | None, str], int] = {}
        attempt = job.attempt if attempt is None else attempt
        async with self._database.unit_of_work() as session:
            for _row, number, error_type in places:
                tally[number, error_type] = tally.get((number, error_type), 0) + 1
            records = [record for piece in await session.scalars(_pieces_of(job.id, attempt)) for record in unpack(piece)]
            records += [(row, number, None if number is None else f"{column_name}{number}", error_type) for row, number, error_type in places]
            records.sort(key=lambda record: (record[0], record[1] or 0))
            await session.execute(delete(ErrorPiece).where(ErrorPiece.job_id == job.id, ErrorPiece.attempt == attempt))
            session.add_all(make_piece(job, attempt, piece) for piece in cut(records, piece_size))
            stored = await session.get_one(Job, job.id)
            stored.error_tally = [
                {"column_number": column, "column_name": None if column is None else f"{column_name}{column}", "error_type": kind, "count": n, "stored": n}
                for (column, kind), n in tally.items()
            ]
            stored.error_count = stored.errors_stored = len(places)

    async def get(self, job_id: uuid.UUID) -> Job | None:
        async with self._database.unit_of_work() as session:
            return (await session.scalars(select(Job).where(Job.id == job_id).options(undefer("*")))).one_or_none()

    async def set(self, job_id: uuid.UUID, **values: Any) -> None:
        async with self._database.unit_of_work() as session:
            job = await session.get_one(Job, job_id)
            for name, value in values.items():
                setattr(job, name, value)

    async def list_errors(self, job_id: uuid.UUID) -> list[ProcessingError]:
        """Return all error records that clients see, ordered by row and column."""
        async with self._database.unit_of_work() as session:
            statement = select(ProcessingError).where(ProcessingError.job_id == job_id).order_by(ProcessingError.row_number, ProcessingError.column_number)
            return list((await session.scalars(statement)).all())

    async def count_pieces(self, job_id: uuid.UUID) -> int:
        """Count the stored pieces of errors of the job, over all attempts."""
        async with self._database.unit_of_work() as session:
            return (await session.scalars(select(func.count()).select_from(ErrorPiece).where(ErrorPiece.job_id == job_id))).one()


def _pieces_of(job_id: uuid.UUID, attempt: int) -> Select[ErrorPiece]:
    return select(ErrorPiece).where(ErrorPiece.job_id == job_id, ErrorPiece.attempt == attempt)


Record = tuple[int, int | None, str | None, str]


def cut(records: list[Record], size: int) -> Iterator[list[Record]]:
    """Yield pieces of at least `size` records (the last may be smaller); records of one place stay together."""
    piece: list[Record] = []
    for _place, together in itertools.groupby(records, key=lambda record: record[:2]):
        piece += together
        if len(piece) >= size:
            yield piece
            piece = []
    if piece:
        yield piece


def unpack(piece: ErrorPiece) -> Iterator[Record]:
    """Yield the records of a piece."""
    for row_number, rule_number in zip(piece.row_numbers, piece.rule_numbers, strict=True):
        rule = piece.rules[rule_number]
        yield row_number, rule["column_number"], rule["column_name"], rule["error_type"]


def make_piece(job: Job, attempt: int, records: list[Record]) -> ErrorPiece:
    """Make a piece from records (row, column, column name, type), which must be ordered by place."""
    rules = list(dict.fromkeys(record[1:] for record in records))
    numbers = [rules.index(record[1:]) for record in records]
    return ErrorPiece(
        job_id=job.id,
        attempt=attempt,
        first_row=records[0][0],
        first_column=records[0][1] or 0,
        record_count=len(records),
        id=make_record_id(uuid.uuid4(), 0),
        rules=[
            {
                "number": number,
                "column_number": rule[0],
                "column_name": rule[1],
                "error_type": rule[2],
                "error_message": "This value must be a whole number.",
                "count": numbers.count(number),
            }
            for number, rule in enumerate(rules)
        ],
        row_numbers=[record[0] for record in records],
        rule_numbers=numbers,
        raw_values=[None if record[1] is None else "x" for record in records],
    )


def use_keys(app: FastAPI, text: str | None) -> None:
    """Have the application ask for these keys, written as in `API_KEYS`."""
    app.state.secrets = CurrentSecrets(app.state.settings.model_copy(update={"api_keys": text}))
