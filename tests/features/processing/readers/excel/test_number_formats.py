"""Number formats: which of them show dates, times, durations or leading zeros."""

from __future__ import annotations

import pytest
from openpyxl.styles.numbers import BUILTIN_FORMATS, is_date_format

from features.processing.readers.excel.number_formats import GENERAL, FormatKind, NumberFormat, built_in_format, parse_format


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
    assert parse_format(code).kind == kind


def test_built_in_formats_are_dates_where_openpyxl_says_so() -> None:
    for number, code in BUILTIN_FORMATS.items():
        assert (built_in_format(number) != GENERAL) == is_date_format(code), code
        assert built_in_format(number).kind == parse_format(code).kind, code


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("00000", NumberFormat(FormatKind.ZEROS, digits=5)),
        ("000000000;-000000000", NumberFormat(FormatKind.ZEROS, digits=9)),
        ("0", GENERAL),
        ("0000.00", GENERAL),
        ("00-00", GENERAL),
        ("hh:mm:ss.0", NumberFormat(FormatKind.TIME, decimals=1)),
        ("yyyy-mm-dd hh:mm:ss,000", NumberFormat(FormatKind.DATETIME, decimals=3)),
        ("[ss].00", NumberFormat(FormatKind.DURATION, decimals=2)),
    ],
)
def test_format_code_gives_its_decimals_and_digits(code: str, shown: NumberFormat) -> None:
    assert parse_format(code) == shown
