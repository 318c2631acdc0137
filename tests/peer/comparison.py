"""Compare two verdicts on one case, place by place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from bench.truth import collect_errors
from features.processing.engine import inspect_file
from shared.descriptors.table_dialect import parse_table_dialect
from shared.descriptors.table_schema import parse_table_schema
from tests.peer.case import Case

FIXTURE = Path(__file__).with_name("frictionless.json")

Place: TypeAlias = tuple[int | None, int | None]
"""Row and column; only a row for an error of the whole row, neither for an error that stopped the run."""
Verdict: TypeAlias = Mapping[Place, tuple[str, ...]]
"""The error types at each place, in alphabetical order."""
Error: TypeAlias = Sequence[int | str | None]
"""Row, column and type, as in the fixture."""

_RENAMED = {"primary-key": "primary-key-error", "foreign-key": "foreign-key-error"}
_CONSTRAINT = "constraint-error/"


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """A place at which the verdicts differ."""

    case: str
    row: int | None
    column: int | None
    ours: str
    """Error types, separated by spaces; empty if there is no error."""
    theirs: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """The verdict of Rowgate on a case."""

    verdict: Verdict
    rows: int
    cells: int
    """Number of rows times number of fields of the schema."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixture:
    """The verdicts of frictionless from its last run."""

    version: str
    digests: Mapping[str, str]
    verdicts: Mapping[str, Verdict]


def inspect_case(case: Case, folder: Path) -> Inspected:
    """Return the verdict of Rowgate on a case, whose file is written to `folder`."""
    table_schema = parse_table_schema(dict(case.schema))
    dialect = None if case.dialect is None else parse_table_dialect(dict(case.dialect))
    found = collect_errors(inspect_file(case.write(folder), table_schema=table_schema, dialect=dialect, encoding=case.encoding))
    errors = [(error["row_number"], error["column_number"], error["error_type"]) for error in found.errors.to_pylist()]
    return Inspected(verdict=to_verdict(errors), rows=found.rows, cells=found.rows * len(table_schema.fields))


def to_verdict(errors: Iterable[Error]) -> Verdict:
    """Group errors by place."""
    found: dict[Place, list[str]] = {}
    for row, column, kind in errors:
        assert not isinstance(row, str)
        assert not isinstance(column, str)
        found.setdefault((row, column), []).append(str(kind))
    return {place: tuple(sorted(kinds)) for place, kinds in found.items()}


def name_ours(kind: str) -> str:
    """Translate an error type of frictionless into the name that Rowgate uses: `constraint-error/minLength` becomes `min-length-error`."""
    if kind.startswith(_CONSTRAINT):
        return re.sub("[A-Z]", lambda letter: f"-{letter[0].lower()}", kind.removeprefix(_CONSTRAINT)) + "-error"
    return _RENAMED.get(kind, kind)


def compare_verdicts(case: str, ours: Verdict, theirs: Verdict) -> list[Difference]:
    """Return every place at which the verdicts differ, ordered by row, then column."""
    places = {place for place in (*ours, *theirs) if ours.get(place) != theirs.get(place)}
    return [
        Difference(case, row, column, " ".join(ours.get((row, column), ())), " ".join(theirs.get((row, column), ())))
        for row, column in sorted(places, key=lambda place: (place[0] or 0, place[1] or 0))
    ]


def load_fixture() -> Fixture:
    """Load the verdicts of frictionless, with the names that Rowgate uses."""
    stored = json.loads(FIXTURE.read_text())
    return Fixture(
        version=stored["frictionless"],
        digests={name: case["sha256"] for name, case in stored["cases"].items()},
        verdicts={name: to_verdict((row, column, name_ours(kind)) for row, column, kind in case["errors"]) for name, case in stored["cases"].items()},
    )


def save_fixture(version: str, cases: Iterable[Case], errors: Mapping[str, Sequence[Error]]) -> None:
    """Store the verdicts of frictionless, one line for each case, so that a diff shows the changed cases."""
    lines = [f"{json.dumps(case.name)}: {json.dumps({'sha256': case.digest, 'errors': errors[case.name]})}" for case in cases]
    FIXTURE.write_text(f'{{"frictionless": {json.dumps(version)}, "cases": {{\n' + ",\n".join(lines) + "\n}}\n")
