"""In columns of every everyday form, every planted cell is found and no good one is called wrong."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from bench.everyday_columns import MARKS, Column, Form, list_forms, make_column
from features.processing.engine import inspect_file
from features.processing.recording.findings import findings_to_table
from shared.descriptors.table_dialect import parse_table_dialect_json
from shared.descriptors.table_schema import parse_table_schema_json
from tests.features.processing.inference.infer_columns import describe, find_errors, infer

FORMS = list_forms()
SEEDS = 3


def _with_nothing(column: Column, chance: random.Random) -> tuple[list[str], set[int]]:
    """Return the cells with empty ones and marks for nothing in place of some good ones, and the rows that are in error."""
    share = chance.choice([0.0, 0.03, 0.3])
    cells, bad = list(column.cells), set(column.bad_rows)
    nothing = ["", "  ", *chance.sample(MARKS, 2)]
    empty = [row for row in range(len(cells)) if row not in bad and chance.random() < share]
    for row in empty:
        cells[row] = chance.choice(nothing)
    if not column.form.bad:
        # Among texts the marks are texts.
        empty = [row for row in empty if not cells[row].strip()]
    # Where nearly all cells hold something, those that do not are errors.
    return cells, bad | set(empty) if len(empty) * 10 <= len(cells) else bad


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_every_planted_cell_is_found_and_no_good_one(form: Form) -> None:
    for seed in range(SEEDS):
        chance = random.Random(f"{form.name} {seed}")
        rows = chance.choice([60, 120, 400])
        column = make_column(form, chance, rows=rows, bad_share=chance.choice([0.0, 0.02, 0.06]))
        cells, bad = _with_nothing(column, chance)
        inferred = infer({"a": cells})
        found = {row - 1 for row, _ in find_errors(inferred.table_schema, {"a": cells})}
        assert {cells[row] for row in found - bad} == set(), inferred.table_schema.descriptor
        assert {cells[row] for row in bad - found} == set(), inferred.table_schema.descriptor
        field = describe(inferred, 0)
        assert {name: field.get(name) for name in column.form.expected} == dict(column.form.expected)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("seed", range(2))
def test_table_of_such_columns_has_its_errors_with_any_delimiter_and_the_same_by_its_own_schema(delimiter: str, seed: int, tmp_path: Path) -> None:
    chance = random.Random(f"{delimiter} {seed}")
    # Columns whose form others may decide are left out: each is judged alone above.
    columns = [make_column(form, chance, rows=80, bad_share=0.05) for form in chance.sample(FORMS, 12)]
    path = tmp_path / "table.csv"
    lines = [[f"c{number}" for number in range(len(columns))], *zip(*(column.cells for column in columns), strict=True)]
    path.write_text("".join(delimiter.join(f'"{cell}"' for cell in line) + "\n" for line in lines), encoding="utf-8")
    planted = {(row + 2, number + 1) for number, column in enumerate(columns) for row in column.bad_rows}
    dialect = parse_table_dialect_json(json.dumps({"delimiter": delimiter}))
    inspection = inspect_file(path, dialect=dialect, encoding="utf-8")
    found = findings_to_table([finding for report in inspection.reports() for finding in report.findings])
    inspection.close()
    assert set(zip(found["row_number"].to_pylist(), found["column_number"].to_pylist(), strict=True)) == planted
    again = inspect_file(path, table_schema=parse_table_schema_json(json.dumps(inspection.table_schema.descriptor)), dialect=dialect, encoding="utf-8")
    assert findings_to_table([finding for report in again.reports() for finding in report.findings]).equals(found)
    again.close()
