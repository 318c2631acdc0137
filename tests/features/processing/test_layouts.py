"""How the engine reads files as people lay them out: titles, empty columns, no header, stray quotes, doubled line ends."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from features.processing.engine import inspect_file
from features.processing.readers.base import Note, Source
from shared.descriptors.table_dialect import parse_table_dialect
from shared.descriptors.table_schema import parse_table_schema

Error = tuple[int, int | None, str]


@dataclass
class Inspected:
    """What the engine says about a file."""

    source: Source
    notes: list[Note]
    errors: list[Error]
    raw_values: list[str | None]
    rows_processed: int

    @property
    def codes(self) -> list[str]:
        return [note.code for note in self.notes]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def inspect(folder: Path, text: str | bytes, *, fields: dict[str, str] | None = None, dialect: dict[str, object] | None = None) -> Inspected:
    path = folder / "table.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    schema = parse_table_schema({"fields": [{"name": name, "type": type_name} for name, type_name in fields.items()]}) if fields else None
    inspection = inspect_file(path, table_schema=schema, dialect=parse_table_dialect(dialect) if dialect is not None else None)
    found: list[tuple[Error, str | None]] = []
    rows = 0
    for report in inspection.reports():
        rows += report.rows_processed
        for finding in report.findings:
            raws = finding.raw_values.to_pylist() if finding.raw_values is not None else [None] * len(finding)
            found += [((row, finding.column_number, finding.error_type), raw) for row, raw in zip(finding.row_numbers.tolist(), raws, strict=True)]
    inspection.close()
    found.sort(key=lambda item: (item[0][0], item[0][1] or 0))
    return Inspected(inspection.source, list(inspection.notes), [error for error, _ in found], [raw for _, raw in found], rows)


IDS = {"id": "integer", "qty": "integer"}


class TestHeader:
    @pytest.mark.parametrize("above", ["Report\n", "Report, all\nmade by hand\n", "\nReport\n\n", "sep=;\nReport\n"])
    def test_titles_are_no_records_and_errors_keep_their_place(self, folder: Path, above: str) -> None:
        read = inspect(folder, f"{above}id;qty\n1;5\nx;6\n", fields=IDS)
        header = above.count("\n") + 1
        assert (read.source.delimiter, read.source.header_row, read.rows_processed) == (";", header, 2)
        assert (read.errors, read.codes) == ([(header + 2, 1, "type-error")], ["rows-above-header"])
        assert "headerRows" in read.notes[0].message
        assert read.notes[0].row_number == header

    @pytest.mark.parametrize("above", ["", "\n\n", "sep=;\n", '"SEP=;"\n', "\ufeffsep=;\r\n"])
    def test_blank_rows_and_a_sep_line_are_no_titles(self, folder: Path, above: str) -> None:
        read = inspect(folder, f"{above}id;qty\n1;5\nx;6\n", fields=IDS)
        assert (read.source.delimiter, read.source.header_row, read.codes) == (";", above.count("\n") + 1, [])
        assert read.errors == [(above.count("\n") + 3, 1, "type-error")]

    def test_sep_line_wins_over_what_the_rows_look_like(self, folder: Path) -> None:
        read = inspect(folder, "sep=;\na,b;c\n1,2;3\n")
        assert (read.source.delimiter, read.errors) == (";", [])

    def test_sep_line_is_no_row_where_the_dialect_names_the_delimiter(self, folder: Path) -> None:
        assert inspect(folder, "sep=;\nid,qty\n1,2\n", dialect={"delimiter": ","}).source.header_row == 2

    def test_header_rows_of_the_dialect_win(self, folder: Path) -> None:
        read = inspect(folder, "Report,May\nid,qty\n1,5\n", dialect={"headerRows": [1]})
        assert (read.source.header_row, read.codes) == (1, [])

    def test_dialect_without_a_header_has_none(self, folder: Path) -> None:
        read = inspect(folder, "1,2024-01-01\n2,2024-01-02\n", dialect={"header": False})
        assert (read.source.header_row, read.codes, read.rows_processed) == (None, [], 2)

    def test_schema_tells_which_row_is_the_header(self, folder: Path) -> None:
        read = inspect(folder, "one,two\nthree,four\nid,qty\n1,x\n", fields=IDS)
        assert (read.source.header_row, read.errors) == (3, [(4, 2, "type-error")])

    def test_first_row_that_looks_like_a_record_is_noted(self, folder: Path) -> None:
        read = inspect(folder, "1,2024-01-01,5.5\n2,2024-01-02,6.5\n3,2024-01-03,7.5\n")
        assert (read.source.header_row, read.codes) == (1, ["no-header"])
        assert "header" in read.notes[0].message

    @pytest.mark.parametrize("text", ["name,city\nAnn,Ulm\nBob,Bonn\n", "id,qty\n1,5\n2,6\n", "a\n1\n2\n"])
    def test_ordinary_files_have_no_notes(self, folder: Path, text: str) -> None:
        assert inspect(folder, text).codes == []

    def test_row_with_an_unclosed_quote_above_a_header_that_fits_the_schema_is_a_title(self, folder: Path) -> None:
        read = inspect(folder, '"Report\nid,qty\n1,5\n', fields=IDS)
        assert (read.source.header_row, read.errors) == (2, [])


class TestEmptyColumns:
    @pytest.mark.parametrize(
        ("text", "left_out"),
        [
            ("id,qty\n1,5,\n2,6,\nx,7,\n", "Column 3"),
            ("id,qty,\n1,5\n2,6\nx,7\n", "Column 3"),
            ("id,qty,\n1,5,\n2,6,\nx,7,\n", "Column 3"),
            ("id,qty,,\n1,5,,\n2,6,,\nx,7,,\n", "Columns 3, 4"),
            ("id,qty\n1,5,,\n2,6,,\nx,7,,\n", "Columns 3, 4"),
        ],
    )
    def test_columns_at_the_end_without_a_label_and_a_cell_are_left_out(self, folder: Path, text: str, left_out: str) -> None:
        read = inspect(folder, text, fields=IDS)
        assert (read.errors, read.codes) == ([(4, 1, "type-error")], ["empty-columns"])
        assert read.notes[0].message.startswith(left_out + " ")

    def test_empty_first_column_is_left_out_and_numbers_stay_those_of_the_file(self, folder: Path) -> None:
        read = inspect(folder, ",id,qty\n,1,5\n,x,6\n,3\n,4,y\n", fields=IDS)
        assert read.errors == [(3, 2, "type-error"), (4, 3, "missing-cell"), (5, 3, "type-error")]
        assert read.codes == ["empty-columns"]

    def test_label_that_is_missing_behind_an_empty_first_column_has_the_next_number(self, folder: Path) -> None:
        read = inspect(folder, ",id,qty\n,1,5\n", fields={**IDS, "day": "date"})
        assert read.errors == [(1, 4, "missing-label")]

    def test_cell_in_a_column_that_was_left_out_is_extra(self, folder: Path) -> None:
        rows = "".join(f",{number},5,\n" for number in range(300))
        read = inspect(folder, f",id,qty,\n{rows}a,1,5,\n,2,6,b\n,3,7,c,d\n", fields=IDS)
        assert read.errors == [(302, 1, "extra-cell"), (303, 4, "extra-cell"), (304, 4, "extra-cell"), (304, 5, "extra-cell")]
        assert read.raw_values == ["a", "b", "c", "d"]

    @pytest.mark.parametrize("text", ["id,,qty\n1,,5\n2,x,6\n", "id,,qty\n1,a,5\n", "id,qty\n1,5\n2,6,\n3,7\n"])
    def test_columns_with_a_label_or_a_cell_stay(self, folder: Path, text: str) -> None:
        assert "empty-columns" not in inspect(folder, text).codes

    def test_blank_label_over_cells_is_an_error_as_before(self, folder: Path) -> None:
        assert inspect(folder, "id,,qty\n1,a,5\n2,b,6\n").errors == [(1, 2, "blank-label")]


class TestStrayQuotes:
    @pytest.mark.parametrize(
        ("cell", "is_stray"),
        [
            ('"the rainmaker" norton', True),
            ('"a"b', True),
            ('""a', True),
            ('"a "b" c"', True),
            ('"a, b" c', True),
            ('"a,"x', True),
            ('"say ""hi"" now" x', True),
            ('"the ""rainmaker"" norton"', False),
            ('5" pipe', False),
            ('the "rainmaker"', False),
            ('"two\nlines"', False),
            ('""', False),
            ('"a" ', False),
            ('"a,""b"', False),
        ],
    )
    def test_text_behind_a_closing_quote_is_an_error_of_its_cell(self, folder: Path, cell: str, is_stray: bool) -> None:
        read = inspect(folder, f'id,title,qty\n1,{cell},5\n2,"plain",6\n3,also plain,x\n', fields={"id": "integer", "title": "string", "qty": "integer"})
        assert read.errors == [*([(2, 2, "stray-quote")] if is_stray else []), (4, 3, "type-error")]
        if is_stray:
            assert read.raw_values[0] == cell

    def test_cell_with_a_stray_quote_is_reported_once(self, folder: Path) -> None:
        read = inspect(folder, 'id,qty\n1,"5" x\n2,6\n', fields=IDS)
        assert read.errors == [(2, 2, "stray-quote")]

    @pytest.mark.parametrize("quotes", ['"x ""y"" z"', "plain", '5" pipe'])
    def test_stray_quotes_are_found_among_many_rows(self, folder: Path, quotes: str) -> None:
        rows = [f'{number},{quotes},"z"' for number in range(3000)]
        rows[2500] = '2500,"a" b,"z"'
        assert inspect(folder, "\n".join(["id,t,z", *rows])).errors == [(2502, 2, "stray-quote")]


class TestLineEnds:
    def test_cr_cr_lf_is_one_line_end(self, folder: Path) -> None:
        read = inspect(folder, b"id,qty\r\r\n1,2\r\r\n2,x\r\r\n3,4\r\r\n", fields=IDS)
        assert (read.errors, read.rows_processed) == ([(3, 2, "type-error")], 3)

    def test_cr_cr_lf_in_a_large_file_is_one_line_end_wherever_blocks_end(self, folder: Path) -> None:
        rows = [f"{number},{'x' if number % 5000 == 0 else 5}" for number in range(1, 60_001)]
        read = inspect(folder, "\r\r\n".join(["id,qty", *rows]), fields=IDS)
        assert read.errors == [(number + 1, 2, "type-error") for number in range(5000, 60_001, 5000)]

    def test_blank_rows_between_cr_lf_are_still_blank(self, folder: Path) -> None:
        assert inspect(folder, "id,qty\r\n1,2\r\n\r\n2,3\r\n", fields=IDS).errors == [(3, None, "blank-row")]

    def test_blank_rows_between_single_crs_are_still_blank(self, folder: Path) -> None:
        assert inspect(folder, "id,qty\r1,2\r\r2,3\r", fields=IDS).errors == [(3, None, "blank-row")]


class TestWrappedRows:
    @pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r\r\n"])
    def test_rows_that_are_quoted_as_one_cell_are_read_as_rows(self, folder: Path, line_end: str) -> None:
        lines = ['"id,name,qty"', '"1,""Doe, Jane"",5"', '"2,Bob,x"', '"3,""Cy """"C"""""",7"', ""]
        read = inspect(folder, line_end.join(lines), fields={"id": "integer", "name": "string", "qty": "integer"})
        assert (read.source.delimiter, read.errors, read.rows_processed) == (",", [(3, 3, "type-error")], 3)

    def test_they_are_read_wherever_blocks_end(self, folder: Path) -> None:
        rows = [f'"{number},""a, b"",{"x" if number % 5000 == 0 else 5}"' for number in range(1, 60_001)]
        read = inspect(folder, "\n".join(['"id,name,qty"', *rows]), fields={"id": "integer", "name": "string", "qty": "integer"})
        assert read.errors == [(number + 1, 3, "type-error") for number in range(5000, 60_001, 5000)]

    @pytest.mark.parametrize(
        "text",
        [
            '"place"\n"Austin, TX"\n"Reno, NV"\n',
            '"City, State"\n"Austin, TX"\n"Reno, NV"\n',
            '"note"\n"Well, well, well"\n"No, no, no"\n',
            '"price"\n"1,50"\n"2,75"\n',
            '"id"\n"1"\n"2"\n',
        ],
    )
    def test_a_column_of_quoted_texts_is_one_column(self, folder: Path, text: str) -> None:
        path = folder / "one.csv"
        path.write_text(text)
        inspection = inspect_file(path)
        inspection.close()
        assert len(inspection.table_schema.fields) == 1

    def test_quoted_cells_are_no_quoted_rows(self, folder: Path) -> None:
        read = inspect(folder, '"id","qty"\n"1","5"\n"x","6"\n', fields=IDS)
        assert read.errors == [(3, 1, "type-error")]


class TestBlanksBehindDelimiters:
    def test_they_are_no_part_of_cells(self, folder: Path) -> None:
        text = 'age, job, pay\n39, clerk, 77516\n50, "boss, old", 83311\n38, guard, abc\n53, cook, 23472\n'
        read = inspect(folder, text, fields={"age": "integer", "job": "string", "pay": "integer"})
        assert (read.errors, read.codes) == ([(4, 3, "type-error")], [])

    def test_columns_that_are_aligned_with_blanks_are_read(self, folder: Path) -> None:
        read = inspect(folder, "id   name  qty\n1    Ann    15\n22   Bob     x\n333  Cy      7\n", fields={"id": "integer", "name": "string", "qty": "integer"})
        assert (read.source.delimiter, read.errors) == (" ", [(3, 3, "type-error")])

    def test_a_blank_in_front_of_few_cells_is_part_of_them(self, folder: Path) -> None:
        assert inspect(folder, "id,qty\n1,5\n2, 6\n3,7\n4,8\n", fields=IDS).errors == [(3, 2, "type-error")]


@pytest.mark.parametrize("cell", ["1.234,51 €", "12,50", "0,99"])
def test_table_of_one_column_has_no_delimiter_where_its_cells_hold_commas(folder: Path, cell: str) -> None:
    read = inspect(folder, f"price\n{cell}\n{cell}\n{cell}\nfree, today\n", fields={"price": "string"})
    assert (read.source.delimiter, read.errors, read.rows_processed) == (None, [], 4)


def test_sentence_on_a_repeated_label_names_the_column_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(",a,b,a\n,1,2,3\n,4,5,6\n,7,8,9\n")
    inspection = inspect_file(path)
    [finding] = next(iter(inspection.reports())).findings
    inspection.close()
    assert (finding.error_type, finding.column_number) == ("duplicate-label", 4)
    assert str(finding.message).endswith("it is first used in column 2.")
