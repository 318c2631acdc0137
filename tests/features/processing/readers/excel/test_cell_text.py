"""Conversion of cell values to text."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.styles.numbers import BUILTIN_FORMATS, is_date_format
from openpyxl.utils.datetime import from_excel

from features.processing.readers.excel.cell_text import FormatKind, built_in_kind, format_kind, number_text, parse_number, serial_text, unescape_text


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("General", FormatKind.NUMBER),
        ("Standard", FormatKind.NUMBER),
        ("@", FormatKind.NUMBER),
        ("0.00E+00", FormatKind.NUMBER),
        ('#,##0.00 "days"', FormatKind.NUMBER),
        (r"0.0\ \h", FormatKind.NUMBER),
        ("[$USD-409]#,##0.00", FormatKind.NUMBER),
        ("[Red]-0;[Blue]0", FormatKind.NUMBER),
        ("0_s", FormatKind.NUMBER),
        ("yyyy-mm-dd", FormatKind.DATE),
        ("[$-407]d. mmmm yyyy;@", FormatKind.DATE),
        ("DD/MM/YYYY", FormatKind.DATE),
        ("mmm-yy", FormatKind.DATE),
        ("mmmm", FormatKind.DATE),
        ("h:mm", FormatKind.TIME),
        ("hh:mm:ss.000", FormatKind.TIME),
        ("mm:ss", FormatKind.TIME),
        ("h:mm AM/PM", FormatKind.TIME),
        ('h"h"mm"m"', FormatKind.TIME),
        ("m/d/yyyy h:mm", FormatKind.DATETIME),
        ('yyyy-mm-dd"T"hh:mm:ss', FormatKind.DATETIME),
        ("dd.mm. hh:mm", FormatKind.DATETIME),
        ("[h]:mm:ss", FormatKind.DURATION),
        ("[mm]:ss", FormatKind.DURATION),
        ("[ss].00", FormatKind.DURATION),
    ],
)
def test_format_code_gives_its_kind(code: str, kind: FormatKind) -> None:
    assert format_kind(code) == kind


def test_built_in_formats_are_dates_where_openpyxl_says_so() -> None:
    for number, code in BUILTIN_FORMATS.items():
        assert (built_in_kind(number) != FormatKind.NUMBER) == is_date_format(code), code
        assert built_in_kind(number) == format_kind(code), code


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (-0.0, "0"),
        (0.1, "0.1"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1e-7, "0.0000001"),
        (-2.5e-10, "-0.00000000025"),
        (1e22, "10000000000000000000000"),
        (12345678901234567890, "12345678901234567890"),
        (1.5e300, "15" + "0" * 299),
    ],
)
def test_number_is_written_out(value: float, text: str) -> None:
    assert number_text(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_number_text_is_the_same_number_without_exponent(value: float) -> None:
    text = number_text(value)
    assert float(text) == value
    assert set(text) <= set("-.0123456789")


@pytest.mark.parametrize("text", ["", "x", "1_0", "nan", "inf", "1e999", "0x1F", "\u0661", "9" * 5000])
def test_text_that_no_cell_holds_is_no_number(text: str) -> None:
    assert parse_number(text) is None


@pytest.mark.parametrize(
    ("serial", "kind", "is_1904", "text"),
    [
        (45000, FormatKind.DATE, False, "2023-03-15"),
        (45000.75, FormatKind.DATE, False, "2023-03-15"),
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
        (0.4166666666666667, FormatKind.TIME, False, "10:00:00"),
        (45000.5, FormatKind.TIME, False, "12:00:00"),
        (0.50000578703, FormatKind.TIME, False, "12:00:00.500"),
        (0.5, FormatKind.MOMENT, False, "12:00:00"),
        (45000, FormatKind.MOMENT, False, "2023-03-15"),
        (1.260416666666667, FormatKind.DURATION, False, "PT30H15M"),
        (-0.5, FormatKind.DURATION, False, "-PT12H"),
        (0, FormatKind.DURATION, False, "PT0S"),
        (0.0000173611, FormatKind.DURATION, False, "PT1.500S"),
        (1e300, FormatKind.DURATION, False, "1" + "0" * 300),
    ],
)
def test_serial_number_is_shown_by_its_format(serial: float, kind: FormatKind, is_1904: bool, text: str) -> None:
    assert serial_text(serial, kind, is_1904=is_1904) == text


@given(st.integers(61, 2958465), st.integers(0, 86_399_999))
def test_date_time_is_the_one_that_openpyxl_gives(day: int, time_ms: int) -> None:
    serial = day + time_ms / 86_400_000
    expected = from_excel(serial)
    assert isinstance(expected, datetime)
    shown = datetime.fromisoformat(serial_text(serial, FormatKind.DATETIME, is_1904=False))
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
