"""Rows of a sheet become chunks: cells at their places, native types, errors, notes. The readers of both formats pass their rows through here."""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from features.processing.readers.base import Chunk, FileUnreadable, ReadLimits
from features.processing.readers.excel.sheet_reader import SheetReader
from features.processing.readers.excel.sheet_rows import BadCell, CellTrouble, MergedRange, SheetFacts, SheetRow
from features.processing.readers.find_header import SAMPLE_ROWS
from features.processing.readers.native_types import NativeType
from shared.descriptors.table_dialect import parse_table_dialect
from tests.features.processing.readers.excel.sheet_rows import Cell, describe_chunks, in_batches, in_grids, make_row, make_rows

HEADER = ["id", "name", "amount"]
GATHER = {"rows": in_batches}
"""How rows are passed to the reader."""


@pytest.fixture(autouse=True, params=[in_batches, in_grids])
def batches(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(GATHER, "rows", request.param)


def _open(
    rows: Sequence[SheetRow], *, dialect: Mapping[str, Any] | None = None, facts: SheetFacts | None = None, names: Sequence[str] | None = None, size: int = 3
) -> SheetReader:
    given = None if dialect is None else parse_table_dialect(dict(dialect))
    return SheetReader(GATHER["rows"](rows, size), facts=facts or SheetFacts(), dialect=given, limits=ReadLimits(), field_names=names)


def _cells(chunks: Sequence[Chunk]) -> dict[int, list[str | None]]:
    read: dict[int, list[str | None]] = {}
    for chunk in chunks:
        columns = [column.to_pylist() for column in chunk.columns]
        read.update((number, [column[place] for column in columns]) for place, number in enumerate(chunk.row_numbers.tolist()))
    return read


def _errors(chunks: Sequence[Chunk]) -> list[tuple[int, int | None, str]]:
    found = [(number, finding.column_number, finding.error_type) for chunk in chunks for finding in chunk.findings for number in finding.row_numbers.tolist()]
    return sorted(found, key=lambda error: (error[0], error[1] or 0))


def test_cells_are_at_their_places_whatever_is_absent() -> None:
    reader = _open([make_row(1, HEADER), make_row(2, ["1"]), make_row(3, {2: "5"}), make_row(5, ["2", "b", "7"])])
    chunks = list(reader.chunks())
    assert _cells(chunks) == {2: ["1", "", ""], 3: ["", "", "5"], 5: ["2", "b", "7"]}
    assert _errors(chunks) == [(4, None, "blank-row")]


def test_native_types_stay_with_their_cells() -> None:
    number, date = NativeType.NUMBER, NativeType.DATE
    rows = [make_row(1, HEADER), make_row(2, [("1", number), "x", ("2026-01-01", date)]), make_row(3, ["2", "y"]), make_row(4, {2: ("2026-01-02", date)})]
    chunks = list(_open(rows).chunks())
    assert chunks[0].native_types is not None
    assert [None if types is None else types.tolist() for types in chunks[0].native_types] == [[number, 0, 0], None, [date, 0, date]]


def test_chunk_of_texts_has_no_native_types() -> None:
    assert next(iter(_open(make_rows(HEADER, ["1", "a", "2"])).chunks())).native_types is None


def test_far_column_is_read_by_the_places_of_its_cells() -> None:
    rows = [make_row(1, {0: "id", 1: "name", 16_383: "x"})]
    for number in range(2, 30):
        cells: dict[int, Cell] = {0: str(number), 1: "n"}
        rows.append(make_row(number, cells | {16_383: ("7", NativeType.NUMBER)} if number % 3 == 0 else cells))
    reader = _open(rows)
    assert (reader.labels, reader.column_numbers, reader.width) == (["id", "name", "x"], [1, 2, 16_384], 2)
    chunks = list(reader.chunks())
    assert _cells(chunks)[3] == ["3", "n", "7"]
    assert _cells(chunks)[4] == ["4", "n", ""]
    assert chunks[0].native_types is not None
    assert chunks[0].native_types[0] is None
    assert chunks[0].native_types[2] is not None


def test_stray_cell_far_away_is_one_extra_cell() -> None:
    rows = [make_row(1, HEADER), *(make_row(number, [str(number), "a", "1"]) for number in range(2, 300))]
    rows[150] = make_row(151, {0: "151", 1: "a", 2: "1", 9_000: "stray"})
    reader = _open(rows)
    assert reader.labels == HEADER
    assert _errors(list(reader.chunks())) == [(151, 9_001, "extra-cell")]


def test_cell_in_a_column_that_is_left_out_is_an_extra_cell() -> None:
    rows = make_rows(["", *HEADER], *(["", str(number), "a", "1"] for number in range(2, 300)))
    rows[250].cells[0] = "stray"
    reader = _open(rows)
    assert reader.column_numbers == [2, 3, 4]
    assert [note.code for note in reader.notes] == ["empty-columns"]
    assert "Column A " in reader.notes[0].message
    assert _errors(list(reader.chunks())) == [(251, 1, "extra-cell")]


def test_other_table_is_not_read_and_its_rows_alone_are_blank() -> None:
    records = [[*([str(number), "a"] if number < 20 else ["", ""]), "", "c", "m"] for number in range(25)]
    rows = make_rows(["id", "name", "", "code", "meaning"], *records)
    reader = _open(rows)
    chunks = list(reader.chunks())
    assert reader.labels == ["id", "name"]
    assert [note.code for note in reader.notes] == ["other-tables"]
    assert "columns D to E" in reader.notes[0].message
    assert (_errors(chunks), sum(len(chunk.row_numbers) for chunk in chunks)) == ([], 20)


def test_cells_without_a_value_are_errors_with_a_sentence() -> None:
    bad = [
        BadCell(0, "#N/A", CellTrouble.ERROR_VALUE),
        BadCell(1, "=A2*2", CellTrouble.NOT_COMPUTED),
        BadCell(2, "#VALUE!", CellTrouble.PICTURE),
    ]
    chunks = list(_open([make_row(1, HEADER), make_row(2, bad), make_row(3, ["1", "a", "2"])]).chunks())
    assert _errors(chunks) == [(2, 1, "formula-error"), (2, 2, "formula-error"), (2, 3, "formula-error")]
    said = [message for finding in chunks[0].findings if not isinstance(finding.message, str) for message in finding.message.to_pylist()]
    assert "This cell holds the error #N/A and no value: a value that was looked for was not found." in said[0]
    assert "Open the file in Excel, save it" in said[1]
    assert "picture" in said[2]
    assert _cells(chunks)[2] == [None, None, None]


def test_label_without_a_value_is_an_error_of_the_header() -> None:
    header: list[Cell] = ["id", BadCell(1, '="na"&"me"', CellTrouble.NOT_COMPUTED), "amount"]
    reader = _open([make_row(1, header), make_row(2, ["1", "a", "2"])])
    assert reader.labels == ["id", "", "amount"]
    assert [(finding.error_type, finding.column_number, finding.row_numbers.tolist()) for finding in reader.header_findings] == [("formula-error", 2, [1])]


def test_other_table_beside_a_named_header_is_not_read() -> None:
    rows = make_rows(["id", "name", "", "code", "meaning"], *([str(number), "a", "", *(["c", "m"] if number < 8 else [])] for number in range(25)))
    reader = _open(rows, dialect={"headerRows": [1]})
    assert (reader.labels, [note.code for note in reader.notes]) == (["id", "name"], ["other-tables"])


def test_title_merged_over_more_columns_than_the_table_has_makes_no_columns() -> None:
    facts = SheetFacts(merged=[MergedRange(1, 1, 0, 16_383)], merged_count=1)
    reader = _open(make_rows(["Sales"], ["id", "amount"], ["1", "2"], ["2", "3"]), dialect={"headerRows": [1, 2]}, facts=facts)
    assert reader.labels == ["Sales id", "Sales amount"]


def test_merged_ranges_that_overlap_cost_little() -> None:
    facts = SheetFacts(merged=[MergedRange(1, 3, 1, 16_383)] * 10_000, merged_count=10_000)
    header = [f"c{column}" for column in range(16_384)]
    started = time.process_time()
    reader = _open([make_row(1, {0: "id", 1: "all"}), make_row(2, header), make_row(4, ["1", "2"])], dialect={"headerRows": [1, 2, 3]}, facts=facts)
    assert reader.labels is not None
    assert reader.labels[:3] == ["id c0", "all c1 all", "all c2 all"]
    assert time.process_time() - started < 5


def test_label_of_several_rows_leaves_out_the_part_without_a_value() -> None:
    bad = BadCell(1, '="x"', CellTrouble.NOT_COMPUTED)
    rows = [make_row(1, ["a", bad, BadCell(2, "=B1", CellTrouble.NOT_COMPUTED)]), make_row(2, ["b", "v"]), make_row(3, ["1", "2", "3"])]
    reader = _open(rows, dialect={"headerRows": [1, 2]})
    assert reader.labels == ["a b", "v", ""]
    assert [(finding.column_number, finding.row_numbers.tolist()) for finding in reader.header_findings] == [(2, [1]), (3, [1])]


def test_header_after_titles_is_found_and_noted() -> None:
    reader = _open(make_rows(["Sales"], ["May 2026"], [], HEADER, ["1", "a", "2"], ["2", "b", "3"]))
    assert (reader.header_row, [note.code for note in reader.notes]) == (4, ["rows-above-header"])
    assert list(_cells(list(reader.chunks()))) == [5, 6]


def test_merged_labels_are_those_of_every_column_they_span() -> None:
    facts = SheetFacts(merged=[MergedRange(1, 2, 0, 0), MergedRange(1, 1, 1, 2), MergedRange(1, 1, 3, 4)], merged_count=3)
    rows = make_rows(["id", "north", "", "south", ""], ["", "sales", "cost", "sales", "cost"], ["1", "2", "3", "4", "5"])
    reader = _open(rows, dialect={"headerRows": [1, 2]}, facts=facts)
    assert reader.labels == ["id", "north sales", "north cost", "south sales", "south cost"]
    assert reader.notes == []


def test_merged_cells_of_the_body_are_noted_when_they_are_known() -> None:
    facts = SheetFacts()
    reader = _open(make_rows(HEADER, ["1", "a", "2"], ["2", "", "3"], ["3", "c", "4"]), facts=facts)
    list(reader.chunks())
    facts.merged += [MergedRange(1, 1, 0, 1), MergedRange(2, 3, 1, 1), MergedRange(2, 3, 7, 8)]
    facts.merged_count = 3
    notes = reader.notes
    assert [(note.code, note.row_number) for note in notes] == [("merged-cells", 2)]
    assert "B2:B3;" in notes[0].message


def test_long_numbers_are_noted_with_their_column() -> None:
    facts = SheetFacts(long_numbers={0: 3, 5: 2})
    reader = _open(make_rows(HEADER, ["1", "a", "2"]), facts=facts)
    assert [(note.code, note.row_number, note.column_name) for note in reader.notes] == [("digits-lost", 3, "id")]


def test_rows_before_a_damaged_place_are_read() -> None:
    def break_off() -> Any:
        yield from in_batches(make_rows(HEADER, ["1", "a", "2"]))
        raise FileUnreadable("broken here")

    reader = SheetReader(break_off(), facts=SheetFacts(), dialect=None, limits=ReadLimits(), field_names=None)
    read = []
    with pytest.raises(FileUnreadable, match="broken here"):
        read += list(reader.chunks()) or []
    assert reader.labels == HEADER


def test_sheet_without_a_row_has_no_header() -> None:
    with pytest.raises(FileUnreadable, match="no header"):
        _open([])


def test_sheet_of_nothing_but_a_row_that_is_too_long_says_so() -> None:
    with pytest.raises(FileUnreadable, match=r"row 1 is longer than 10 bytes"):
        SheetReader(in_batches(make_rows(["x" * 30])), facts=SheetFacts(), dialect=None, limits=ReadLimits(max_row_bytes=10), field_names=None)


def test_table_without_a_header_is_as_wide_as_its_first_rows() -> None:
    rows = [make_row(1, {0: "1", 9_000: "far"}), make_row(2, ["2", "b", "x"]), make_row(3, ["3"]), make_row(4, ["3", "c", "y"])]
    reader = _open(rows, dialect={"header": False})
    chunks = list(reader.chunks())
    assert (reader.labels, reader.header_row) == (None, None)
    assert _cells(chunks) == {1: ["1", "", ""], 2: ["2", "b", "x"], 3: ["3", "", ""], 4: ["3", "c", "y"]}
    assert _errors(chunks) == [(1, 9_001, "extra-cell")]


def test_table_without_a_header_has_at_least_the_columns_of_the_schema() -> None:
    chunks = list(_open(make_rows(["1", "a"], ["2", "b"]), dialect={"header": False}, names=["id", "name", "amount"]).chunks())
    assert _cells(chunks) == {1: ["1", "a", ""], 2: ["2", "b", ""]}


def test_comment_in_a_table_that_begins_in_b_is_passed() -> None:
    rows = make_rows(["", "# made by hand"], ["", *HEADER], ["", "1", "a", "2"], ["", "#2", "b", "3"], ["", "3", "c", "4"])
    reader = _open(rows, dialect={"commentChar": "#"})
    assert list(_cells(list(reader.chunks()))) == [3, 5]


def test_comment_rows_are_passed() -> None:
    reader = _open(make_rows(["# made by hand"], HEADER, ["# old"], ["1", "a", "2"]), dialect={"commentChar": "#"})
    assert reader.header_row == 2
    assert list(_cells(list(reader.chunks()))) == [4]


def test_cell_far_from_the_others_of_its_row_is_read_like_them() -> None:
    width = 400
    rows = [make_row(1, [f"c{column}" for column in range(width)]), *(make_row(number, [("1", NativeType.NUMBER)] * width) for number in range(2, 40))]
    far: list[dict[int, Cell]] = [{0: "x", width - 1: ("77", NativeType.NUMBER)}, {width - 2: "y"}]
    rows[3], rows[4] = make_row(4, far[0]), make_row(5, far[1])
    assert rows[3].beyond is not None
    chunks = list(_open(rows).chunks())
    assert _cells(chunks)[4] == ["x", *[""] * (width - 2), "77"]
    assert _cells(chunks)[5] == [*[""] * (width - 2), "y", ""]
    assert chunks[0].native_types is not None
    assert chunks[0].native_types[width - 1][2] == NativeType.NUMBER  # type: ignore[index]


def test_grids_give_what_single_rows_give() -> None:
    chooser = random.Random(4)
    kinds: list[Cell] = ["", "", "a", " ", "\u00a0", "é", ("1", NativeType.NUMBER), ("true", NativeType.BOOLEAN), ("2026-01-01", NativeType.DATE)]
    for _ in range(60):
        rows, number = [make_row(1, ["a", "b", "", "d"])], 1
        for index in range(150):
            number += chooser.choice([1, 1, 1, 2, 5])
            cells: dict[int, Cell] = {column: chooser.choice(kinds) for column in range(chooser.choice([0, 2, 4, 4, 4]))}
            if chooser.random() < 0.1:
                column = chooser.choice([0, 3, 6, 300])
                cells[column] = BadCell(column, "#N/A", CellTrouble.ERROR_VALUE) if chooser.random() < 0.5 else "z"
            row = make_row(number, cells)
            while row.cells and not row.cells[-1]:  # as no reader gives them
                del row.cells[-1], row.types[-1]
            row.is_too_long = index > SAMPLE_ROWS and chooser.random() < 0.05
            rows.append(row)
        dialect = chooser.choice([None, {"commentRows": [3, 7]}, {"commentChar": "a"}, {"header": False}])
        found = []
        for gather in (in_batches, in_grids):
            given = None if dialect is None else parse_table_dialect(dict(dialect))
            limits = ReadLimits(chunk_rows=7, keep_rows=True)
            copies = copy.deepcopy(rows)
            reader = SheetReader(gather(copies, 5), facts=SheetFacts(), dialect=given, limits=limits, field_names=None)
            found.append(describe_chunks(reader.chunks()))
        assert found[0] == found[1]


def test_rows_that_were_read_together_stay_small_when_their_far_cells_are_brought_near() -> None:
    width = 5_000
    rows = [make_row(1, [f"h{column}" for column in range(width)]), *(make_row(number, {0: "1", width - 1: "2"}) for number in range(2, 500))]
    chunks = list(_open(rows, size=1000).chunks())
    assert sum(len(chunk.row_numbers) for chunk in chunks) == 498
    assert {chunk.columns[width - 1][0].as_py() for chunk in chunks} == {"2"}
    assert max(len(row.cells) for row in rows[1:]) == 1
