"""Cells that are no text: what is written is read as the same text and type, by our reader's own rules."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.processing.exporting.workbooks.native_values import native_cell
from features.processing.readers.excel.cell_text import number_text, parse_number, show_value
from features.processing.readers.excel.number_formats import FormatKind, NumberFormat, parse_format
from features.processing.readers.native_types import NativeType

FORMATS = [
    NumberFormat(),
    NumberFormat(FormatKind.DATE),
    NumberFormat(FormatKind.TIME),
    NumberFormat(FormatKind.TIME, decimals=3),
    NumberFormat(FormatKind.DATETIME),
    NumberFormat(FormatKind.DATETIME, decimals=3),
    NumberFormat(FormatKind.DURATION),
    NumberFormat(FormatKind.DURATION, decimals=3),
    NumberFormat(FormatKind.MOMENT),
    NumberFormat(FormatKind.ZEROS, digits=5),
    NumberFormat(FormatKind.ZEROS, digits=12),
]
# The largest number that Excel takes in is a little less than 1e308.
NUMBERS = st.integers(-(10**16), 10**16) | st.floats(-1e307, 1e307) | st.floats(0, 60_000)


def read(text: str, native_type: int) -> tuple[str, int] | None:
    cell = native_cell(text, native_type)
    if cell is None:
        return None
    found = re.fullmatch(r"><v>(.*)</v></c>", cell.xml)
    assert found is not None
    number = parse_number(found[1])
    assert number is not None
    return show_value(number, parse_format(cell.number_format), is_1904=False)


@given(NUMBERS, st.sampled_from(FORMATS), st.booleans())
def test_whatever_a_workbook_shows_is_read_as_the_same_or_stays_text(value: float, shown_as: NumberFormat, is_1904: bool) -> None:
    shown = show_value(value, shown_as, is_1904=is_1904)
    assert read(*shown) in (shown, None)


@given(NUMBERS)
def test_every_number_is_written_as_one(value: float) -> None:
    text = number_text(value)
    assert read(text, NativeType.NUMBER) == (text, NativeType.NUMBER)


@given(st.datetimes(datetime(1900, 3, 1), datetime(9999, 12, 31)))  # noqa: DTZ001  # cells have no zone
def test_every_day_and_moment_of_the_calendar_is_written_as_one(moment: datetime) -> None:
    text = moment.isoformat(timespec="seconds")
    assert read(text, NativeType.DATETIME) == (text, NativeType.DATETIME)
    assert read(text[:10], NativeType.DATE) == (text[:10], NativeType.DATE)
    assert read(text[11:], NativeType.TIME) == (text[11:], NativeType.TIME)


@pytest.mark.parametrize(
    ("text", "native_type", "number_format", "value"),
    [
        ("00042", NativeType.NUMBER, "00000", "42"),
        ("-00042", NativeType.NUMBER, "00000", "-42"),
        ("0.1", NativeType.NUMBER, "", "0.1"),
        ("2024-01-31", NativeType.DATE, "yyyy-mm-dd", "45322"),
        ("1900-02-29", NativeType.DATE, "yyyy-mm-dd", "60"),
        ("12:00:00", NativeType.TIME, "hh:mm:ss", "0.5"),
        ("12:00:00.250", NativeType.TIME, "hh:mm:ss.000", "0.5000028935185186"),
        ("2024-01-31T12:00:00", NativeType.DATETIME, 'yyyy-mm-dd"T"hh:mm:ss', "45322.5"),
        ("PT30H15M", NativeType.DURATION, "[h]:mm:ss", "1.2604166666666667"),
        ("-PT6H", NativeType.DURATION, "[h]:mm:ss", "-0.25"),
    ],
)
def test_native_cell_has_the_format_that_shows_it(text: str, native_type: int, number_format: str, value: str) -> None:
    cell = native_cell(text, native_type)
    assert cell is not None
    assert cell == (number_format, f"><v>{value}</v></c>")


@pytest.mark.parametrize("text", ["1899-12-30", "0033-01-01", "2024-02-30", "x", ""])
def test_day_that_no_serial_number_means_stays_text(text: str) -> None:
    assert native_cell(text, NativeType.DATE) is None


@pytest.mark.parametrize(("text", "xml"), [("true", ' t="b"><v>1</v></c>'), ("false", ' t="b"><v>0</v></c>')])
def test_boolean_is_written_as_one(text: str, xml: str) -> None:
    assert native_cell(text, NativeType.BOOLEAN) == ("", xml)


def test_text_is_never_native() -> None:
    assert native_cell(str(datetime.now(UTC).year), NativeType.TEXT) is None
