"""Workbooks as people send them are read as they are meant; see `workbook_cases.py`. `GIVEN_WORKBOOK_CASES` names a JSON file with more cases."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from features.processing.engine import Inspection, inspect_file
from features.processing.readers.base import FileUnreadable, Finding
from features.upload.contents import describe_mismatch
from shared.descriptors.table_dialect import parse_table_dialect
from shared.descriptors.table_schema import parse_table_schema
from shared.storage.base import HEAD_BYTES
from tests.cases.workbook_case import Case, Place
from tests.cases.workbook_cases import WORKBOOK_CASES
from tests.cases.workbook_packages import column_letters

GIVEN = os.environ.get("GIVEN_WORKBOOK_CASES", "")
OVERWRITTEN = frozenset(["f9112cb257ee0ee560f64d0b98def552fd55893b4db1d8a6d64ea7d11305e38f"])
"""Given files (SHA-256) that no program can read: an encrypted package smaller than 4,096 bytes, over whose beginning its writer put the description of the
encryption, so that the rows are gone. Packages that are whole are among our own cases."""
READING_TIME_S = 30.0
"""No workbook of this size takes so long, however odd it is."""


def read_given(path: Path) -> Iterator[Case]:
    """Read cases from a JSON file: a list of objects with `file` (in the folder of the same name beside it), `why`, `schema`, `dialect` and `expect`."""
    for given in json.loads(path.read_text(encoding="utf-8")):
        file = path.with_suffix("") / given["file"]
        if hashlib.sha256(file.read_bytes()).hexdigest() in OVERWRITTEN:
            continue
        expected = dict(given["expect"])
        if "errors" in expected:
            expected["errors"] = [tuple(each) for each in expected["errors"]]
        yield Case(
            name=file.name,
            kind="given",
            why=given["why"],
            content=file.read_bytes(),
            extension=file.suffix[1:],
            schema=given.get("schema"),
            dialect=given.get("dialect"),
            **expected,
        )


CASES = [*WORKBOOK_CASES, *(read_given(Path(GIVEN)) if GIVEN else ())]
READ = [case for case in CASES if not case.refused]


@dataclass
class Reading:
    """What came of a file; `failure` is the sentence of a file that could not be read."""

    failure: str | None = None
    sheet: str | None = None
    header_row: int | None = None
    labels: list[str] = field(default_factory=list)
    fields: dict[str, dict[str, Any]] = field(default_factory=dict)
    descriptor: dict[str, Any] = field(default_factory=dict)
    rows: int = 0
    errors: list[Place] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def open_case(case: Case, folder: Path, given: dict[str, Any] | None) -> Inspection:
    path = folder / f"a.{case.extension}"
    path.write_bytes(case.content)
    return inspect_file(
        path,
        table_schema=parse_table_schema(given) if given is not None else None,
        dialect=parse_table_dialect(case.dialect) if case.dialect is not None else None,
    )


def read_case(case: Case, folder: Path, *, given: dict[str, Any] | None) -> Reading:
    reading = Reading()
    try:
        inspection = open_case(case, folder, given)
    except FileUnreadable as unreadable:
        reading.failure = str(unreadable)
        return reading
    try:
        for report in inspection.reports():
            reading.rows += report.rows_processed
            for finding in report.findings:
                reading.errors += [(number, finding.column_number, finding.error_type) for number in finding.row_numbers.tolist()]
                reading.sentences += list_sentences(finding)
    except FileUnreadable as unreadable:
        reading.failure = str(unreadable)
    finally:
        inspection.close()
    reading.sheet, reading.header_row = inspection.source.sheet, inspection.source.header_row
    reading.labels = list(inspection._table.labels or ())
    reading.descriptor = dict(inspection.table_schema.descriptor)
    reading.fields = {each["name"]: each for each in reading.descriptor["fields"]}
    reading.notes = [note.code for note in inspection.notes]
    return reading


def list_sentences(finding: Finding) -> list[str]:
    return [finding.message] if isinstance(finding.message, str) else finding.message.to_pylist()


def read_cells(case: Case, folder: Path) -> dict[str, str | None]:
    """Return the texts of all cells of the table's rows by their place, as the checks see them; None where there is nothing to check."""
    inspection = open_case(case, folder, case.schema)
    try:
        numbers = inspection._table.column_numbers
        return {
            f"{column_letters(index if numbers is None else numbers[index] - 1)}{row_number}": text
            for chunk in inspection._chunks
            for index, column in enumerate(chunk.columns)
            for row_number, text in zip(chunk.row_numbers.tolist(), column.to_pylist(), strict=True)
        }
    finally:
        inspection.close()


def by_place(errors: Sequence[Place]) -> list[Place]:
    return sorted(errors, key=lambda error: (error[0], error[1] or 0, error[2]))


def name_case(case: Case) -> str:
    return f"{case.kind}-{case.name}"


@pytest.mark.parametrize("case", CASES, ids=name_case)
def test_only_what_is_no_workbook_is_refused(case: Case) -> None:
    mismatch = describe_mismatch(case.extension, case.content[:HEAD_BYTES])
    assert (mismatch is not None) == case.refused
    assert [word for word in case.says if case.refused and word not in (mismatch or "")] == [], mismatch


@pytest.mark.parametrize("case", READ, ids=name_case)
def test_workbook_is_read_as_it_is_meant(case: Case, tmp_path: Path) -> None:
    started = time.monotonic()
    reading = read_case(case, tmp_path, given=case.schema)
    assert time.monotonic() - started < READING_TIME_S
    assert (reading.failure is not None) == (case.status == "FAILED"), reading.failure or reading.errors
    said = "\n".join([reading.failure] if reading.failure is not None else reading.sentences)
    assert [words for words in case.says if words not in said] == [], said
    assert [words for words in case.never_says if words in said] == [], said
    for name in ("sheet", "header_row", "labels", "rows"):
        wanted = getattr(case, name)
        assert wanted is None or getattr(reading, name) == wanted, (name, reading)
    for name, members in (case.fields or {}).items():
        wanted = {"type": members} if isinstance(members, str) else members
        assert {member: reading.fields[name].get(member) for member in wanted} == wanted, reading.fields
    if case.errors is not None:
        assert by_place(reading.errors) == by_place(case.errors), (reading.sentences, reading.descriptor)
    if case.by_type is not None:
        assert Counter(error_type for _, _, error_type in reading.errors) == case.by_type, (reading.errors, reading.sentences)
    assert set(case.notes) <= set(reading.notes), reading.notes
    assert not set(case.no_notes) & set(reading.notes), reading.notes
    if case.labels_are_distinct:
        assert len(set(reading.labels)) == len(reading.labels) > 1, reading.labels
        assert all(label.strip() for label in reading.labels), reading.labels


@pytest.mark.parametrize("case", [case for case in READ if case.cells is not None], ids=name_case)
def test_cells_have_the_texts_that_excel_shows(case: Case, tmp_path: Path) -> None:
    cells = read_cells(case, tmp_path)
    wanted = case.cells or {}
    assert {place: cells.get(place, "") for place in wanted} == wanted


@pytest.mark.parametrize("case", [case for case in READ if case.schema is None and case.status != "FAILED"], ids=name_case)
def test_schema_that_comes_back_finds_the_same_errors(case: Case, tmp_path: Path) -> None:
    first = read_case(case, tmp_path, given=None)
    assert first.failure is None
    again = read_case(case, tmp_path, given=first.descriptor)
    assert again.failure is None
    assert by_place(again.errors) == by_place(first.errors)
