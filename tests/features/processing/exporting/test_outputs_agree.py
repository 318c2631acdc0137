"""Outputs of one file, in every format: together they are the file, and they say what its check says."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings

from features.processing.exporting.export import Export
from features.processing.readers.base import ReadLimits
from shared.output_names import OutputName
from tests.features.processing.exporting.csv_tables import CsvFile, csv_files, list_errors, open_file
from tests.features.processing.exporting.outputs import check_nothing, read_sheets

NAMES = [
    OutputName(*name)
    for name in (("valid", "xlsx"), ("rejected", "xlsx"), ("annotated", "xlsx"), ("valid", "parquet"), ("valid", "ndjson"), ("annotated", "csv"))
]


def make_all(path: Path, file: CsvFile) -> dict[str, Path]:
    limits = ReadLimits(keep_rows=True, spill_dir=path.parent, chunk_rows=4)
    targets = {name: path.parent / str(name) for name in NAMES}
    export = Export(lambda: open_file(path, file, limits=limits), targets, limits=limits, check_room=check_nothing)
    try:
        for _ in export.run():
            pass
    finally:
        export.close()
    return {str(name): target for name, target in targets.items()}


def read_body(path: Path, *, has_header: bool) -> list[list[Any]]:
    """Return the rows below the header, without empty cells at their ends."""
    (rows,) = read_sheets(path).values()
    stripped = []
    for row in rows[1:] if has_header else rows:
        cells = list(row)
        while cells and cells[-1] is None:
            cells.pop()
        stripped.append(cells)
    return [] if stripped == [[]] else stripped


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(csv_files())
def test_outputs_of_any_file_agree(file: CsvFile) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        path.write_bytes(file.data)
        outputs = make_all(path, file)
        has_header = file.dialect.get("header", True)
        valid, rejected, annotated = (read_body(outputs[f"{kind}.xlsx"], has_header=has_header) for kind in ("valid", "rejected", "annotated"))
        table = pq.read_table(outputs["valid.parquet"]).to_pylist()
        objects = [json.loads(line) for line in outputs["valid.ndjson"].read_text(encoding="utf-8").split("\n")[:-1]]
        errors = list_errors(open_file(path, file))
    # Good and bad rows are all rows, and no row is both.
    assert [row for row in annotated if len(row) > 1 and row[1]] == rejected
    good = [row[2:] for row in annotated if len(row) < 2 or not row[1]]
    assert good == valid
    # The bad rows are those that the check reports, with its sentences.
    numbers = [row[0] for row in rejected]
    assert numbers == sorted(set(numbers))
    for row in rejected:
        for _, _, error_type, sentence, _ in errors.get(row[0], []):
            assert sentence in row[1] or error_type == "blank-row"
    assert {row for row in errors if row >= file.first_row} <= set(numbers)
    # The same good rows, with values.
    assert len(table) == len(objects) == len(valid)
    texts = [[None if cell is None else str(cell) for cell in (*row, None, None, None)[:3]] for row in valid]
    assert [[record["id"], record["size"]] for record in table] == [[record["id"], record["size"]] for record in objects]
    assert [record["name"] for record in table] == [record["name"] for record in objects]
    assert [record["id"] for record in table] == [None if row[0] is None else int(row[0]) for row in texts]
