"""The upload slice's SQL: insert jobs, find one by its idempotency key, and tell which files on disk belong to a job."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from sqlalchemy import ARRAY, String, Text, bindparam, func, select
from sqlalchemy.dialects.postgresql import insert

from features.upload.schemas import JobCreate
from features.upload.types import AcceptedJob
from shared.db.models import Job
from shared.jobs.job_state import FIRST_RING_INTERVAL_S

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncSession


_SHOWN = [getattr(Job, field.name) for field in fields(AcceptedJob)]
_OPTIONS = {
    "webhook_url": "webhook_url",
    "schema_given": "table_schema",
    "dialect": "dialect",
    "encoding": "encoding",
    "external_id": "external_id",
    "labels": "labels",
    "outputs_wanted": "outputs",
}
_GIVEN = [name for name in JobCreate.model_fields if name != "options"] + [*_OPTIONS]


_SEPARATOR = ","


def _array_of(name: str) -> ARRAY[Any]:
    """Return the array type for a column's values, with text of any length: a cast to a shorter type would cut a text that the column would refuse."""
    kind = Job.__table__.c[name].type
    return ARRAY(Text() if isinstance(kind, String | ARRAY) else kind)


_ROWS = func.unnest(*(bindparam(name, type_=_array_of(name)) for name in _GIVEN)).table_valued(*_GIVEN).render_derived(name="given")


def _as_inserted(given: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return what is inserted of a column of `_ROWS`: a list is given as one text, since an array of arrays would be taken apart to its items."""
    return func.string_to_array(given, _SEPARATOR) if given.key == "outputs_wanted" else given


# Built once, and the same statement for any number of rows: building it and finding it in the cache of compiled statements takes longer than running it.
_INSERT = (
    insert(Job.__table__)  # type: ignore[arg-type]  # a table
    .from_select(
        [*_GIVEN, "next_ring_at"],
        select(*map(_as_inserted, _ROWS.c), func.now() + func.make_interval(0, 0, 0, 0, 0, 0, FIRST_RING_INTERVAL_S)),
        include_defaults=False,
    )
    .on_conflict_do_nothing()
    .returning(*_SHOWN)
)


async def insert_jobs(session: AsyncSession, *, creates: Sequence[JobCreate]) -> dict[uuid.UUID, AcceptedJob]:
    """Insert jobs as QUEUED and return them by id; jobs whose idempotency key is taken are left out."""
    given: dict[str, list[Any]] = {name: [getattr(create, name) for create in creates] for name in _GIVEN if name not in _OPTIONS}
    given |= {name: [getattr(create.options, option) for create in creates] for name, option in _OPTIONS.items()}
    given["outputs_wanted"] = [_SEPARATOR.join(names) for names in given["outputs_wanted"]]
    rows = (await session.execute(_INSERT, given)).all()
    return {row.id: AcceptedJob(**row._mapping) for row in rows}  # noqa: SLF001  # SQLAlchemy's own name for it


async def get_job_by_key(session: AsyncSession, *, submitted_by: str | None, idempotency_key: str) -> AcceptedJob | None:
    """Return the job that this idempotency key was used for; None if it does not exist, or was deleted."""
    statement = select(*_SHOWN).where(
        func.coalesce(Job.submitted_by, "") == (submitted_by or ""),
        Job.idempotency_key == idempotency_key,
        Job.deleted_at.is_(None),
    )
    row = (await session.execute(statement)).one_or_none()
    return None if row is None else AcceptedJob(**row._mapping)  # noqa: SLF001


async def list_known_ids(session: AsyncSession, *, job_ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Return those of `job_ids` that have a row, including jobs marked as deleted."""
    return set((await session.scalars(select(Job.id).where(Job.id.in_(job_ids)))).all())
