"""The database holds every record once, in page order, in pieces that never overlap, even if findings come late."""

from __future__ import annotations

import itertools
import json
import uuid

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import select

from features.processing.readers.base import Finding
from features.processing.recording.findings import RECORD_SCHEMA
from features.processing.recording.packer import PiecePacker
from features.processing.recording.piece_writer import PieceWriter
from features.processing.types import Hold
from shared.db.models import ErrorPiece, ProcessingError, make_record_id
from shared.db.session import Database
from tests.factories import Factory
from tests.features.processing.recording.finding_strategies import Record, one_finding, sort_records


def rows_finding(*rows: int, column: int | None = None, kind: str = "foreign-key-error") -> Finding:
    return Finding(error_type=kind, row_numbers=np.array(rows), message="No.", column_number=column, column_name=None if column is None else "a")


async def write(database: Database, factory: Factory, reports: list[list[Finding]], *, records_per_piece: int, commit_every: int = 1000) -> uuid.UUID:
    job = await factory.job(content=None, attempt=3)
    hold = Hold(job_id=job.id, attempt=3, lease_s=30)
    packer = PiecePacker(hold, records_per_piece=records_per_piece)
    writer = PieceWriter(hold, records_per_piece=records_per_piece)
    for batch in range(0, len(reports), commit_every):
        async with database.unit_of_work() as session:
            for report in reports[batch : batch + commit_every]:
                if (packed := packer.pack(report)) is not None:
                    await writer.write(session, packed)
            if (packed := packer.pack_rest()) is not None:
                await writer.write(session, packed)
            await writer.settle()
    return job.id


async def read(database: Database, job_id: uuid.UUID) -> list[ErrorPiece]:
    async with database.unit_of_work() as session:
        statement = select(ErrorPiece).where(ErrorPiece.job_id == job_id).order_by(ErrorPiece.first_row, ErrorPiece.first_column)
        return list((await session.scalars(statement)).all())


def unpack(piece: ErrorPiece) -> list[Record]:
    rules = {rule["number"]: (*(rule[name] for name in RECORD_SCHEMA.names[1:5]), rule.get("params", {})) for rule in piece.rules}
    firsts = piece.first_row_numbers or [None] * len(piece.row_numbers)
    found = []
    for row, number, raw_value, first in zip(piece.row_numbers, piece.rule_numbers, piece.raw_values, firsts, strict=True):
        *says, params = rules[number]
        shown = params if first is None else {**params, "first_row_number": first}
        found.append((row, *says, raw_value, json.dumps(shown, ensure_ascii=False)))
    return found


def place(record: Record) -> tuple[int, int]:
    return (record[0], record[1] or 0)


def assert_well_formed(pieces: list[ErrorPiece]) -> None:
    for piece in pieces:
        records = unpack(piece)
        assert (piece.attempt, piece.record_count) == (3, len(records))
        assert (piece.first_row, piece.first_column) == place(records[0])
        assert [rule["number"] for rule in piece.rules] == list(range(len(piece.rules)))
        assert [rule["count"] for rule in piece.rules] == [piece.rule_numbers.count(number) for number in range(len(piece.rules))]
        assert 0 not in [rule["count"] for rule in piece.rules]
    for earlier, later in itertools.pairwise(pieces):
        assert place(unpack(earlier)[-1]) < place(unpack(later)[0])


@pytest.mark.slow
@given(st.lists(st.lists(one_finding(), max_size=3), max_size=6), st.integers(1, 7), st.integers(1, 3))
@example(reports=[[rows_finding(1, 2, 3, column=1)], [rows_finding(2, 2)], [rows_finding(3, column=1), rows_finding(9)]], records_per_piece=2, commit_every=1)
@hypothesis_settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
async def test_findings_in_any_order_are_stored_once_and_in_order(
    database: Database, factory: Factory, reports: list[list[Finding]], records_per_piece: int, commit_every: int
) -> None:
    job_id = await write(database, factory, reports, records_per_piece=records_per_piece, commit_every=commit_every)
    pieces = await read(database, job_id)
    assert [record for piece in pieces for record in unpack(piece)] == sort_records(itertools.chain(*reports))
    assert_well_formed(pieces)
    await assert_view_is_the_same(database, job_id, pieces)


async def assert_view_is_the_same(database: Database, job_id: uuid.UUID, pieces: list[ErrorPiece]) -> None:
    async with database.unit_of_work() as session:
        rows = (await session.scalars(select(ProcessingError).where(ProcessingError.job_id == job_id))).all()
    shown: dict[uuid.UUID, ProcessingError] = {row.id: row for row in rows}
    expected = {make_record_id(piece.id, number): (record, piece) for piece in pieces for number, record in enumerate(unpack(piece), start=1)}
    assert len(shown) == len(rows)
    assert shown.keys() == expected.keys()
    for record_id, (record, piece) in expected.items():
        row = shown[record_id]
        *told, params = (getattr(row, name) for name in RECORD_SCHEMA.names)
        assert (*told, json.dumps(params, ensure_ascii=False)) == record
        assert row.created_at == piece.created_at


async def test_row_with_more_errors_than_a_piece_takes_late_findings_at_its_start(database: Database, factory: Factory) -> None:
    wide = [rows_finding(7, column=column, kind="extra-cell") for column in range(1, 41)]
    reports = [[rows_finding(2, 3)], wide, [rows_finding(8)], [rows_finding(7, 7, 8)]]
    job_id = await write(database, factory, reports, records_per_piece=5)
    pieces = await read(database, job_id)
    assert [record for piece in pieces for record in unpack(piece)] == sort_records(itertools.chain(*reports))
    assert_well_formed(pieces)
    assert sum(piece.first_row == 7 for piece in pieces) > 5


async def test_late_findings_leave_pieces_alone_that_they_do_not_touch(database: Database, factory: Factory) -> None:
    first = [[rows_finding(*range(start, start + 10), column=1)] for start in range(0, 100, 10)]
    job_id = await write(database, factory, [*first, [rows_finding(41, 42)]], records_per_piece=10)
    pieces = await read(database, job_id)
    assert [piece.first_row for piece in pieces if piece.record_count != 10] == [40, 44]
    assert_well_formed(pieces)


@pytest.mark.parametrize(("text", "shown"), [("a\0b", "a\\x00b"), ("é" * 1001, "é" * 1000), ("x" * 999 + "\0", "x" * 999 + "\\"), ("", "")])
async def test_value_that_the_database_cannot_hold_is_shown_escaped_and_cut(database: Database, factory: Factory, text: str, shown: str) -> None:
    finding = Finding(error_type="type-error", row_numbers=np.array([2]), message="No.", raw_values=pa.array([text]), column_number=1, column_name="a")
    job_id = await write(database, factory, [[finding]], records_per_piece=10)
    assert [error.raw_value for error in await factory.list_errors(job_id)] == [shown]


async def test_long_values_make_pieces_of_about_a_mebibyte(database: Database, factory: Factory) -> None:
    count = 4_000
    values = pa.array(["😀" * 1000] * count)
    finding = Finding(error_type="type-error", row_numbers=np.arange(count), message="No.", raw_values=values, column_number=1, column_name="a")
    pieces = await read(database, await write(database, factory, [[finding]], records_per_piece=5_000))
    assert sum(piece.record_count for piece in pieces) == count
    assert {piece.record_count for piece in pieces[:-1]} == {2**20 // 4000}


async def test_ids_are_stable_and_unique(database: Database, factory: Factory) -> None:
    reports = [[rows_finding(*range(start, start + 10), column=1)] for start in range(0, 100, 10)]
    job_id = await write(database, factory, reports, records_per_piece=10)
    ids = [error.id for error in await factory.list_errors(job_id)]
    assert len(set(ids)) == 100
    assert ids == [error.id for error in await factory.list_errors(job_id)]
    assert {made.version for made in ids} == {7}
