"""The errors slice's SQL: find records by their place in pieces. However deep a page is, only the pieces that it shows are unpacked."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Integer, SmallInteger, Text, and_, case, cast, column, func, join, or_, select, true, tuple_
from sqlalchemy.dialects.postgresql import JSONB

from features.errors.schemas import ErrorRead
from features.errors.types import ErrorFilter, ErrorPlace, ErrorStart
from shared.db.models import ErrorPiece, Job, make_record_id, split_record_id

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Select, SQLColumnExpression, TableValuedAlias
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.sql.selectable import LateralFromClause

_RULE_TYPES = {
    "number": SmallInteger,
    "column_number": BigInteger,
    "column_name": Text,
    "error_type": Text,
    "error_message": Text,
    "params": JSONB,
    "count": BigInteger,
}
_SAYS = ("column_number", "column_name", "error_type", "error_message", "params")
_by_place = (ErrorPiece.first_row, ErrorPiece.first_column)


async def find_page(session: AsyncSession, *, job: Job, wanted: ErrorFilter, offset: int) -> ErrorStart | None:
    """Find where the list continues after its first `offset` errors; None if it has no more. Reads only counts, no records."""
    fitting = _count_in_piece(wanted)
    count = ErrorPiece.record_count if _is_all(wanted) else fitting.c.count
    through = func.sum(count).over(order_by=_by_place)
    counted = _pieces(job).with_only_columns(*_by_place, (through - count).label("before"), through.label("through"))
    pieces = (counted if _is_all(wanted) else counted.select_from(join(ErrorPiece, fitting, true()))).subquery()
    statement = select(pieces).where(pieces.c.through > offset).order_by(pieces.c.first_row, pieces.c.first_column).limit(1)
    row = (await session.execute(statement)).one_or_none()
    return None if row is None else ErrorStart(first_row=row.first_row, first_column=row.first_column, skipped=offset - int(row.before))


async def count_fitting(session: AsyncSession, *, job: Job, wanted: ErrorFilter) -> int:
    """Count the stored errors that match the filter. Reads only counts, no records."""
    fitting = _count_in_piece(wanted)
    statement = _pieces(job).with_only_columns(func.coalesce(func.sum(fitting.c.count), 0)).select_from(join(ErrorPiece, fitting, true()))
    return int((await session.execute(statement)).scalar_one())


async def find_place(session: AsyncSession, *, job: Job, wanted: ErrorFilter, place: ErrorPlace) -> ErrorStart:
    """Find where the list continues after the error at `place`: in the last piece that does not begin after it.

    If that piece is not the one the error came from (it has since been rewritten with more errors), the list continues after all errors of the same row
    and column.
    """
    here = tuple_(place.row_number, place.column_number)
    last = _pieces(job).where(tuple_(*_by_place) <= here).order_by(*(key.desc() for key in _by_place)).limit(1)
    piece_id, number = split_record_id(place.id)
    if _is_all(wanted):
        found = (await session.execute(last.with_only_columns(ErrorPiece.id, *_by_place))).one_or_none()
        if found is not None and found.id == piece_id:
            return ErrorStart(first_row=found.first_row, first_column=found.first_column, skipped=number)
    piece = last.subquery()
    rule = _rules_of(piece.c.rules, "number", "column_number", *_filtered_by(wanted))
    record = func.unnest(piece.c.row_numbers, piece.c.rule_numbers).table_valued("row_number", "rule_number", with_ordinality="place", name="record")
    record = record.render_derived()
    there = tuple_(record.c.row_number, func.coalesce(rule.c.column_number, 0))
    is_told = or_(there < here, and_(there == here, or_(piece.c.id != piece_id, record.c.place <= number)))
    told = select(func.count()).select_from(record.join(rule, rule.c.number == record.c.rule_number)).where(_fits(rule, wanted), is_told)
    row = (await session.execute(select(piece.c.first_row, piece.c.first_column, told.scalar_subquery().label("told")))).one_or_none()
    return ErrorStart() if row is None else ErrorStart(first_row=row.first_row, first_column=row.first_column, skipped=row.told)


async def list_errors(session: AsyncSession, *, job: Job, wanted: ErrorFilter, start: ErrorStart, limit: int) -> Sequence[ErrorRead]:
    """Return at most `limit` errors from `start` on, ordered by row and column."""
    rows = await session.execute(_select_all(job, start, limit) if _is_all(wanted) else _select_fitting(job, wanted, start, limit))
    return [
        ErrorRead(
            id=make_record_id(row.id, row.place),
            job_id=job.id,
            row_number=row.row_number,
            column_number=row.column_number,
            column_name=row.column_name,
            error_type=row.error_type,
            error_message=row.error_message,
            params={**(row.params or {}), **({} if row.first_row_number is None else {"first_row_number": row.first_row_number})},
            raw_value=row.raw_value,
            created_at=row.created_at,
        )
        for row in rows
    ]


def _select_all(job: Job, start: ErrorStart, limit: int) -> Select[Any]:
    """Select error records without a filter: from each piece, only the slice of its arrays that can be on the page."""
    is_first = tuple_(*_by_place) == tuple_(start.first_row, start.first_column)
    skipped = case((is_first, start.skipped), else_=0)
    stretch = slice(skipped + 1, skipped + limit)
    record = (
        func.unnest(ErrorPiece.row_numbers[stretch], ErrorPiece.rule_numbers[stretch], ErrorPiece.raw_values[stretch], ErrorPiece.first_row_numbers[stretch])
        .table_valued("row_number", "rule_number", "raw_value", "first_row_number", with_ordinality="nth", name="record")
        .render_derived()
    )
    rule = _rules_of(ErrorPiece.rules, "number", *_SAYS)
    return (
        _pieces(job)
        .with_only_columns(
            ErrorPiece.id,
            ErrorPiece.created_at,
            record.c.row_number,
            record.c.raw_value,
            record.c.first_row_number,
            *(rule.c[name] for name in _SAYS),
            cast(skipped + record.c.nth, Integer).label("place"),
        )
        .select_from(join(ErrorPiece, record, true()).join(rule, rule.c.number == record.c.rule_number))
        .where(tuple_(*_by_place) >= tuple_(start.first_row, start.first_column))
        .order_by(*_by_place, record.c.nth)
        .limit(limit)
    )


def _select_fitting(job: Job, wanted: ErrorFilter, start: ErrorStart, limit: int) -> Select[Any]:
    """Select the error records that match the filter, by the positions of their rules in each piece."""
    rule = _rules_of(ErrorPiece.rules, "number", *_SAYS)
    found = func.unnest(func.array_positions(ErrorPiece.rule_numbers, rule.c.number)).table_valued("place", name="found").render_derived()
    # Row numbers and values are looked up outside this limited query, so only for the errors on the page.
    page = (
        _pieces(job)
        .with_only_columns(
            ErrorPiece.id,
            ErrorPiece.created_at,
            ErrorPiece.row_numbers,
            ErrorPiece.raw_values,
            ErrorPiece.first_row_numbers,
            *(rule.c[name] for name in _SAYS),
            cast(found.c.place, Integer).label("place"),
        )
        .select_from(join(ErrorPiece, rule, true()).join(found, true()))
        .where(tuple_(*_by_place) >= tuple_(start.first_row, start.first_column), _fits(rule, wanted))
        .order_by(*_by_place, found.c.place)
        .offset(start.skipped)
        .limit(limit)
        .subquery()
    )
    of_places = {"row_numbers": "row_number", "raw_values": "raw_value", "first_row_numbers": "first_row_number"}
    shown = [each for each in page.c if each.name not in of_places]
    return select(*shown, *(page.c[name][page.c.place].label(of_place) for name, of_place in of_places.items()))


async def list_purge_due(session: AsyncSession, *, limit: int) -> Sequence[uuid.UUID]:
    """Return the ids of jobs with something to purge, the longest due first."""
    statement = select(Job.id).where(Job.purge_due_at.is_not(None)).order_by(Job.purge_due_at).limit(limit)
    return (await session.scalars(statement)).all()


def _pieces(job: Job) -> Select[ErrorPiece]:
    """Select the pieces of the job's current attempt."""
    return select(ErrorPiece).where(ErrorPiece.job_id == job.id, ErrorPiece.attempt == job.attempt)


def _rules_of(rules: SQLColumnExpression[list[dict[str, Any]]], *names: str) -> TableValuedAlias:
    """Return a piece's rules as rows, with only the members in `names`: over thousands of pieces, each extra member takes time."""
    return func.jsonb_to_recordset(rules).table_valued(*(column(name, _RULE_TYPES[name]) for name in names)).render_derived(name="rule", with_types=True)


def _count_in_piece(wanted: ErrorFilter) -> LateralFromClause:
    rule = _rules_of(ErrorPiece.rules, *_filtered_by(wanted), "count")
    return select(func.coalesce(func.sum(rule.c.count), 0).label("count")).where(_fits(rule, wanted)).lateral("fitting")


def _is_all(wanted: ErrorFilter) -> bool:
    return wanted == ErrorFilter(error_type=None, column_name=None)


def _filtered_by(wanted: ErrorFilter) -> Sequence[str]:
    """Return the members of a rule that the filter looks at; the sentence only if it is asked for, since it is long."""
    return ("column_name", "error_type", *(("error_message",) if wanted.has_message else ()))


def _fits(rule: TableValuedAlias, wanted: ErrorFilter) -> ColumnElement[bool]:
    conditions = [
        *([rule.c.error_type == wanted.error_type] if wanted.error_type is not None else []),
        *([rule.c.column_name == wanted.column_name] if wanted.column_name is not None else []),
        *([rule.c.error_message == wanted.error_message] if wanted.error_message is not None else []),
        *([rule.c.error_message.startswith(wanted.message_begins, autoescape=True)] if wanted.message_begins is not None else []),
        *(
            ~rule.c.error_message.startswith(sentence[:-1], autoescape=True) if sentence.endswith("…") else rule.c.error_message != sentence
            for sentence in wanted.other_than
        ),
    ]
    return and_(true(), *conditions)
