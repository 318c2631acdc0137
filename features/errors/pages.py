"""Build pages and counts of a job's errors. Totals come from the job's tally or from counts in its pieces, so no record is counted for them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from features.errors import queries
from features.errors.schemas import CauseCount, ErrorList, ErrorRead, ErrorSummary, TypeCount
from features.errors.types import ErrorFilter, ErrorPlace, ErrorStart
from shared.jobs.error_counts import OTHER_CAUSES, count_by_column, count_by_type
from shared.web.pagination import count_pages, count_skipped, decode_cursor, encode_cursor, invalid_cursor

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from shared.db.models import Job


async def list_page(
    session: AsyncSession,
    *,
    job: Job,
    wanted: ErrorFilter,
    page: int,
    page_size: int,
    cursor: str | None,
) -> ErrorList:
    """Return one page of the job's errors, ordered by row and column.

    A cursor takes precedence over `page`. Raises `BadRequest` if it is not a valid cursor.
    """
    after = _parse_cursor(cursor) if cursor is not None else None
    wanted = _find_cause(job, wanted)
    # How many errors with one sentence were stored is not in the tally.
    total = await queries.count_fitting(session, job=job, wanted=wanted) if wanted.has_message else _count_stored(job, wanted)
    start = await _find_start(session, job=job, wanted=wanted, after=after, offset=count_skipped(page, page_size), total=total)
    found = await queries.list_errors(session, job=job, wanted=wanted, start=start, limit=page_size + 1) if start is not None else []
    return ErrorList(
        total=total,
        page=page,
        page_size=page_size,
        total_pages=count_pages(total, page_size),
        next_cursor=_make_cursor(found[page_size - 1]) if len(found) > page_size else None,
        errors=list(found[:page_size]),
    )


def _find_cause(job: Job, wanted: ErrorFilter) -> ErrorFilter:
    """Return the filter for a sentence as the summary has it: there it may be cut, or stand for all that are past the first ones."""
    if wanted.error_message == OTHER_CAUSES:
        named = {cause["error_message"] for entry in _list_entries(job, wanted) for cause in entry.get("causes", ())} - {OTHER_CAUSES}
        return replace(wanted, error_message=None, other_than=tuple(sorted(named)))
    if wanted.error_message is not None and wanted.error_message.endswith("…"):
        return replace(wanted, error_message=None, message_begins=wanted.error_message[:-1])
    return wanted


def _count_stored(job: Job, wanted: ErrorFilter) -> int:
    return sum(entry["stored"] for entry in _list_entries(job, wanted))


def _list_entries(job: Job, wanted: ErrorFilter) -> Iterator[dict[str, Any]]:
    """Yield the entries of the tally for the type and the column."""
    for entry in job.error_tally:
        if wanted.error_type in {None, entry["error_type"]} and wanted.column_name in {None, entry["column_name"]}:
            yield entry


async def _find_start(session: AsyncSession, *, job: Job, wanted: ErrorFilter, after: ErrorPlace | None, offset: int, total: int) -> ErrorStart | None:
    if after is not None:
        return await queries.find_place(session, job=job, wanted=wanted, place=after)
    if offset >= total:
        return None
    return await queries.find_page(session, job=job, wanted=wanted, offset=offset) if offset else ErrorStart()


def summarize(job: Job) -> ErrorSummary:
    """Return the job's tally by type and by column, the most frequent first."""
    return ErrorSummary(
        rows_processed=job.rows_processed,
        rows_failed=job.rows_failed,
        error_count=job.error_count,
        errors_truncated=job.errors_truncated,
        valid=job.valid,
        by_type=[TypeCount(**entry) for entry in count_by_type(job.error_tally)],
        by_column=[CauseCount(**entry) for entry in count_by_column(job.error_tally)],
    )


def _make_cursor(error: ErrorRead) -> str:
    return encode_cursor([error.row_number, error.column_number or 0, str(error.id)])


def _parse_cursor(cursor: str) -> ErrorPlace:
    row_number, column_number, id_text = decode_cursor(cursor, int, int, str)
    try:
        return ErrorPlace(row_number=row_number, column_number=column_number, id=uuid.UUID(id_text))
    except ValueError as error:
        raise invalid_cursor() from error
