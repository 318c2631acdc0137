"""Text files as people send them are read as they are meant; see `text_cases.py`. `GIVEN_CASES` names a file with more cases, as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from features.processing.engine import Inspection, inspect_file
from features.upload.contents import describe_mismatch
from shared.descriptors.table_dialect import parse_table_dialect
from shared.descriptors.table_schema import parse_table_schema
from shared.storage.base import HEAD_BYTES
from tests.cases.text_cases import TEXT_CASES, Case

GIVEN = os.environ.get("GIVEN_CASES", "")


def read_given(path: Path) -> Iterator[Case]:
    """Read cases from a JSON file: a list of objects with `name`, `kind`, `text` and `encoding` or `hex`, `schema`, `dialect` and `expect`."""
    for given in json.loads(path.read_text(encoding="utf-8")):
        content = bytes.fromhex(given["hex"]) if "hex" in given else given["text"].encode(given["encoding"])
        expected = dict(given["expect"])
        expected["encoding"] = expected.pop("encoding_found", None)
        if "errors" in expected:
            expected["errors"] = [tuple(error) for error in expected["errors"]]
        yield Case(name=given["name"], kind=given["kind"], content=content, schema=given.get("schema"), dialect=given.get("dialect"), **expected)


CASES = [*TEXT_CASES, *(read_given(Path(GIVEN)) if GIVEN else ())]


def open_case(case: Case, path: Path, *, schema: dict[str, Any] | None) -> Inspection:
    path.write_bytes(case.content)
    return inspect_file(
        path,
        table_schema=parse_table_schema(schema) if schema is not None else None,
        dialect=parse_table_dialect(case.dialect) if case.dialect is not None else None,
    )


def list_errors(inspection: Inspection) -> list[tuple[int, int | None, str]]:
    try:
        return [
            (row_number, finding.column_number, finding.error_type)
            for report in inspection.reports()
            for finding in report.findings
            for row_number in finding.row_numbers.tolist()
        ]
    finally:
        inspection.close()


def by_place(errors: Sequence[tuple[int, int | None, str]]) -> list[tuple[int, int | None, str]]:
    return sorted(errors, key=lambda error: (error[0], error[1] or 0, error[2]))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}-{case.name}")
def test_only_what_is_no_table_is_refused(case: Case) -> None:
    assert (describe_mismatch("csv", case.content[:HEAD_BYTES]) is not None) == case.refused


@pytest.mark.parametrize("case", [case for case in CASES if not case.refused], ids=lambda case: f"{case.kind}-{case.name}")
def test_file_is_read_as_it_is_meant(case: Case, tmp_path: Path) -> None:
    inspection = open_case(case, tmp_path / "a.csv", schema=case.schema)
    errors = list_errors(inspection)
    source, codes = inspection.source, [note.code for note in inspection.notes]
    for name in ("encoding", "delimiter", "header_row"):
        expected = getattr(case, name)
        assert expected is None or getattr(source, name) == expected, (name, source)
    described = {field["name"]: field for field in inspection.table_schema.descriptor["fields"]}  # type: ignore[attr-defined]  # a list of objects
    for name, members in (case.fields or {}).items():
        wanted = {"type": members} if isinstance(members, str) else members
        assert {member: described[name].get(member) for member in wanted} == wanted, described
    if case.errors is not None:
        assert by_place(errors) == by_place(case.errors), described
    assert set(case.notes) <= set(codes)
    assert not set(case.no_notes) & set(codes)


@pytest.mark.parametrize("case", [case for case in CASES if not case.refused and case.schema is None], ids=lambda case: f"{case.kind}-{case.name}")
def test_schema_that_comes_back_finds_the_same_errors(case: Case, tmp_path: Path) -> None:
    first = open_case(case, tmp_path / "a.csv", schema=None)
    found = list_errors(first)
    again = open_case(case, tmp_path / "a.csv", schema=dict(first.table_schema.descriptor))
    assert by_place(list_errors(again)) == by_place(found)
