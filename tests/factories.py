"""Rows for tests, as the service itself would have written them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import undefer

from shared.db.models import Job, JobStatus, ProcessingError
from shared.db.session import Database
from shared.settings import Settings
from shared.storage import stored_path

CSV = b"id,name\n1,Ada\n2,Grace\nx,Linus\n"


class Factory:
    """Makes jobs (with their files) and errors, and reads rows back."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    async def job(self, *, content: bytes | None = CSV, **values: Any) -> Job:
        """A QUEUED job of a small CSV file; `content=None`: its file is gone."""
        job = Job(**{"id": uuid.uuid4(), "filename": "people.csv", "file_type": "csv", "file_size": len(content or b""), "sha256": "0" * 64, **values})
        async with self._database.unit_of_work() as session:
            session.add(job)
            await session.flush()
            await session.refresh(job)
        if content is not None:
            stored_path(self._settings.upload_dir, job.id, job.filename).write_bytes(content)
        return job

    async def ended_job(self, status: JobStatus = JobStatus.COMPLETED, **values: Any) -> Job:
        now = datetime.now(UTC)
        return await self.job(status=status, **{"attempt": 1, "started_at": now, "completed_at": now, "progress": 100, **values})

    async def errors(self, job: Job, places: list[tuple[int, int | None, str]], *, column_name: str = "id", attempt: int | None = None) -> None:
        """One error at each (row, column, type), and the job's figures to match."""
        tally: dict[tuple[int | None, str], int] = {}
        async with self._database.unit_of_work() as session:
            for row, column, error_type in places:
                tally[column, error_type] = tally.get((column, error_type), 0) + 1
                session.add(
                    ProcessingError(
                        job_id=job.id,
                        attempt=job.attempt if attempt is None else attempt,
                        row_number=row,
                        column_number=column,
                        column_name=None if column is None else f"{column_name}{column}",
                        error_type=error_type,
                        error_message="This value must be a whole number.",
                        raw_value=None if column is None else "x",
                    ),
                )
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
        async with self._database.unit_of_work() as session:
            statement = select(ProcessingError).where(ProcessingError.job_id == job_id).order_by(ProcessingError.row_number, ProcessingError.column_number)
            return list((await session.scalars(statement)).all())
