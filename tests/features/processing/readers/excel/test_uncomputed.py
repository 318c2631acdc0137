"""Formulas that cannot give 0, in workbooks whose formulas were never computed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st

from features.processing.readers.excel.xlsx.uncomputed import can_be_zero
from tests.features.processing.readers.excel.workbooks import WORKBOOK, read_rows, read_xlsx, sheet_xml, write_package

NEVER_ZERO = [
    'A1&"x"',
    '"text"',
    '"a""b"',
    '("text")',
    'CONCATENATE(A1,"-",B1)',
    "_xlfn.CONCAT(A1:B2)",
    '_xlfn.TEXTJOIN(",",TRUE,A1:A3)',
    'TEXT(A1,"0.00")',
    "left(A1,3)",
    " UPPER( A1 ) ",
    'HYPERLINK("http://example.org")',
    'HYPERLINK("http://example.org","here")',
    "TODAY()",
    "NOW()",
    "DATE(2024,1,1)",
    "ROW()",
    "PI()",
    "A1=B1",
    "A1>=2",
    "A1+1<>B1*2",
    "TRUE",
    "AND(A1,B1)",
    "ISBLANK(A1)",
    "5",
    "-1.5",
    "2.5%",
    "1E-3",
    'IF(A1>0,"yes","no")',
    'IF(A1>0,"yes",IF(B1>0,"perhaps",A1&"!"))',
    'IFERROR(A1&B1,"")',
    "'It''s, a sheet'!A1&B1",
]
PERHAPS_ZERO = [
    "",
    "A1",
    "A1+B1",
    "A1*2",
    "SUM(A1:A3)",
    "VLOOKUP(A1,B1:C9,2,FALSE)",
    "VLOOKUP(A1&B1,C1:D9,2,FALSE)",
    'SUMIF(A1:A3,"x",B1:B3)',
    "SUM((A1:A3=B1)*1)",
    'LEN("x")',
    'VALUE("1")-VALUE(LEFT(A1,1))',
    "TODAY()-A1",
    "LEFT(A1,1)*1",
    "--(A1=B1)",
    "0",
    "0.00",
    "-0",
    'IF(A1>0,"yes",0)',
    'IF(A1>0,"yes",)',
    'IF(A1>0,B1,"no")',
    "IFERROR(A1/B1,0)",
    'HYPERLINK("http://example.org",A1)',
    "Table1[[#This Row],[a=b]]",
    "[1]Sheet!A1",
    "'a=b&c'!A1",
    "_xlfn.UNKNOWN(A1)",
    "LEFT",
    "LEFT(A1,1",
    "IF",
    "(((((((((((TODAY())))))))))))",
]


@pytest.mark.parametrize("formula", NEVER_ZERO)
def test_formula_that_gives_text_or_never_0_is_known(formula: str) -> None:
    assert not can_be_zero(formula)


@pytest.mark.parametrize("formula", PERHAPS_ZERO)
def test_formula_that_may_give_0_is_left_alone(formula: str) -> None:
    assert can_be_zero(formula)


@given(st.text(st.sampled_from("A1(){}[]\"',&=+-*/^<> IF.E%"), max_size=60))
def test_any_text_is_judged(formula: str) -> None:
    assert can_be_zero(formula) in (True, False)


@pytest.mark.parametrize("piece", ["(", "IF(", '"', "'", "IF(1,", "A1+", "[", '""', "IFERROR(A,(", "1", "1.", " ", "(1)", ",", "&"])
def test_formula_of_any_length_takes_little_time(piece: str) -> None:
    started = time.process_time()
    for length in (8_192, 100_000):
        can_be_zero((piece * length)[:length])
    assert time.process_time() - started < 1


def write_formulas(path: Path) -> Path:
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["id", "name", "sum", "done"])
        for number in range(1, 6):
            sheet.write(number, 0, number)
            sheet.write_formula(number, 1, f'="n"&A{number + 1}')
            sheet.write_formula(number, 2, f"=A{number + 1}*2", None, number * 2 if number % 2 else 0)
            sheet.write_formula(number, 3, "=TODAY()", book.add_format({"num_format": "yyyy-mm-dd"}))
    return path


@pytest.mark.parametrize("reader", ["fast", "openpyxl"])
def test_zeros_of_a_workbook_that_was_never_computed_are_no_values(tmp_path: Path, reader: str) -> None:
    path = write_formulas(tmp_path / "a.xlsx")
    reading = read_xlsx(path, excel_reader=reader)
    assert reading.errors == [error for row in range(2, 7) for error in [(row, 2, "formula-error", f'="n"&A{row}'), (row, 4, "formula-error", "=TODAY()")]]
    assert [row[2] for row in reading.rows.values()] == ["2", "0", "6", "0", "10"]
    assert read_rows(path, excel_reader=reader)[1].doubtful_zeros == {2: 3}


@pytest.mark.parametrize("reader", ["fast", "openpyxl"])
@pytest.mark.parametrize("says", ["", '<calcPr calcId="1"/>', '<calcPr fullCalcOnLoad="0"/>'])
def test_zeros_of_a_computed_workbook_are_values(tmp_path: Path, reader: str, says: str) -> None:
    rows = '<row r="2"><c r="A2"><f>"x"&amp;B2</f><v>0</v></c><c r="B2"><f>1+1</f><v>0</v></c></row>'
    path = write_package(tmp_path / "a.xlsx", {"xl/workbook.xml": WORKBOOK.replace("</workbook>", f"{says}</workbook>")}, sheet=sheet_xml(rows))
    assert read_xlsx(path, excel_reader=reader).rows == {2: ["0", "0"]}
    assert read_rows(path, excel_reader=reader)[1].doubtful_zeros == {}
