"""Conversion of cell values to text."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.utils.datetime import from_excel

from features.processing.readers.excel.cell_text import is_long_number, number_text, parse_number, show_value, unescape_text
from features.processing.readers.excel.number_formats import FormatKind, NumberFormat
from features.processing.readers.native_types import NativeType


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (-0.0, "0"),
        (0.1, "0.1"),
        (0.1 + 0.2, "0.3"),
        (434.99999999999994, "435"),
        (57.699999999999996, "57.7"),
        (999999999999999, "999999999999999"),
        (123456789012345.6, "123456789012346"),
        (1e-7, "0.0000001"),
        (-2.5e-10, "-0.00000000025"),
        (1e22, "10000000000000000000000"),
        (12345678901234567890, "12345678901234600000"),
        (1234567890123456, "1234567890123460"),
        (1.5e300, "15" + "0" * 299),
    ],
)
def test_number_is_written_out(value: float, text: str) -> None:
    assert number_text(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_number_text_is_the_number_to_15_digits_without_exponent(value: float) -> None:
    text = number_text(value)
    assert float(text) == float(f"{value:.15g}")
    assert set(text) <= set("-.0123456789")


@pytest.mark.parametrize("text", ["", "x", "1_0", "nan", "inf", "1e999", "0x1F", "\u0661", "9" * 5000])
def test_text_that_no_cell_holds_is_no_number(text: str) -> None:
    assert parse_number(text) is None


@pytest.mark.parametrize(
    ("serial", "kind", "is_1904", "text"),
    [
        (45000, FormatKind.DATE, False, "2023-03-15"),
        (45000.75, FormatKind.DATE, False, "2023-03-15"),
        (41551.9999999998, FormatKind.DATE, False, "2013-10-05"),
        (1, FormatKind.DATE, False, "1900-01-01"),
        (59, FormatKind.DATE, False, "1900-02-28"),
        (60, FormatKind.DATE, False, "1900-02-29"),
        (61, FormatKind.DATE, False, "1900-03-01"),
        (0, FormatKind.DATE, True, "1904-01-01"),
        (43538, FormatKind.DATE, True, "2023-03-15"),
        (2958465, FormatKind.DATE, False, "9999-12-31"),
        (2958466, FormatKind.DATE, False, "2958466"),
        (-1, FormatKind.DATE, False, "-1"),
        (45000.416666666664, FormatKind.DATETIME, False, "2023-03-15T10:00:00"),
        (45000, FormatKind.DATETIME, False, "2023-03-15T00:00:00"),
        (45000.99999999999, FormatKind.DATETIME, False, "2023-03-16T00:00:00"),
        (2958465.9999999999, FormatKind.DATETIME, False, "2958466"),
        (45000.9999999, FormatKind.MOMENT, False, "2023-03-16"),
        (45000.5, FormatKind.MOMENT, False, "2023-03-15T12:00:00"),
        (0.4166666666666667, FormatKind.TIME, False, "10:00:00"),
        (45000.5, FormatKind.TIME, False, "12:00:00"),
        (0.50000578703, FormatKind.TIME, False, "12:00:00"),
        (0.5, FormatKind.MOMENT, False, "12:00:00"),
        (45000, FormatKind.MOMENT, False, "2023-03-15"),
        (1.260416666666667, FormatKind.DURATION, False, "PT30H15M"),
        (-0.5, FormatKind.DURATION, False, "-PT12H"),
        (0, FormatKind.DURATION, False, "PT0S"),
        (0.0000173611, FormatKind.DURATION, False, "PT1S"),
        (1e300, FormatKind.DURATION, False, "1" + "0" * 300),
    ],
)
def test_serial_number_is_shown_by_its_format(serial: float, kind: FormatKind, is_1904: bool, text: str) -> None:
    assert show_value(serial, NumberFormat(kind), is_1904=is_1904)[0] == text


@pytest.mark.parametrize(
    ("serial", "shown_as", "text", "native_type"),
    [
        (501, NumberFormat(FormatKind.ZEROS, digits=5), "00501", NativeType.NUMBER),
        (-7, NumberFormat(FormatKind.ZEROS, digits=3), "-007", NativeType.NUMBER),
        (1.5, NumberFormat(FormatKind.ZEROS, digits=5), "1.5", NativeType.NUMBER),
        (123456, NumberFormat(FormatKind.ZEROS, digits=5), "123456", NativeType.NUMBER),
        (0.50000578703, NumberFormat(FormatKind.TIME, decimals=1), "12:00:00.500", NativeType.TIME),
        (0.0000173611, NumberFormat(FormatKind.DURATION, decimals=3), "PT1.500S", NativeType.DURATION),
        (45000, NumberFormat(FormatKind.DATE), "2023-03-15", NativeType.DATE),
        (45000, NumberFormat(FormatKind.DATETIME), "2023-03-15T00:00:00", NativeType.DATETIME),
        (-1, NumberFormat(FormatKind.DATE), "-1", NativeType.NUMBER),
        (7, NumberFormat(), "7", NativeType.NUMBER),
    ],
)
def test_value_has_the_type_that_its_format_shows(serial: float, shown_as: NumberFormat, text: str, native_type: NativeType) -> None:
    assert show_value(serial, shown_as, is_1904=False) == (text, native_type)


@pytest.mark.parametrize(
    ("value", "is_long"), [(10**15 - 1, False), (10**15, True), (-(10**18), True), (1.5, False), (1e19, True), (1e20, False), (1e300, False)]
)
def test_long_whole_numbers_may_have_lost_digits(value: float, is_long: bool) -> None:
    assert is_long_number(value) == is_long


@given(st.integers(61, 2958465), st.integers(0, 86_399_999))
def test_date_time_is_the_one_that_openpyxl_gives(day: int, time_ms: int) -> None:
    serial = day + time_ms / 86_400_000
    expected = from_excel(serial)
    assert isinstance(expected, datetime)
    shown = datetime.fromisoformat(show_value(serial, NumberFormat(FormatKind.DATETIME, decimals=3), is_1904=False)[0])
    assert abs(shown - expected) <= timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a_x000D_\nb", "a\r\nb"),
        ("_x005F_x000D_", "_x000D_"),
        ("_x0000_", "\0"),
        ("_xD83D_", "_xD83D_"),
        ("_x12_ _xyz_", "_x12_ _xyz_"),
    ],
)
def test_escapes_are_put_in(text: str, expected: str) -> None:
    assert unescape_text(text) == expected
