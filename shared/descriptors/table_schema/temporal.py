"""Parse dates, times, datetimes, years, yearmonths and durations strictly into exact numbers.

Source: https://datapackage.org/standard/table-schema/#date and the XML Schema types that it refers to (https://www.w3.org/TR/xmlschema-2/).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import total_ordering
from typing import TypeVar

from shared.descriptors.table_schema.model import Field

_Value = TypeVar("_Value")

_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])")
_ZONE = r"(Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))?"
_DATETIME = re.compile(rf"([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})T(24|[01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])(\.[0-9]+)?{_ZONE}")
_YEAR = re.compile(rf"(-?(?:[0-9]{{4}}|[1-9][0-9]{{4,17}})){_ZONE}")
_YEARMONTH = re.compile(rf"(-?(?:[0-9]{{4}}|[1-9][0-9]{{4,17}}))-(0[1-9]|1[0-2]){_ZONE}")
_DURATION = re.compile(
    r"(-)?P(?=[0-9T])(?:([0-9]{1,18})Y)?(?:([0-9]{1,18})M)?(?:([0-9]{1,18})D)?"
    r"(?:T(?=[0-9])(?:([0-9]{1,18})H)?(?:([0-9]{1,18})M)?(?:([0-9]{1,18}(?:\.[0-9]+)?)S)?)?",
)
_DAY_S = 86_400
# The four instants at which XML Schema compares durations (section 3.2.6.2).
_REFERENCE_MONTHS = ((1696, 9), (1697, 2), (1903, 3), (1903, 7))

# The format `any` leaves the choice of forms to the implementation. These forms are unambiguous; 03/04/2024 is not, so it is left out.
_ANY_DATES = ("%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%d.%m.%Y", "%d %b %Y", "%d %B %Y", "%d-%b-%Y", "%b %d, %Y", "%B %d, %Y")
_ANY_TIMES = ("%H:%M", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p")
_ANY_DATES_OF_DATETIMES = ("%Y-%m-%d", *_ANY_DATES)
_ANY_ENDS_OF_DATETIMES = tuple(f"{separator}{time}" for separator in (" ", "T") for time in ("%H:%M:%S", *_ANY_TIMES, "%H:%M:%S%z"))
# For each directive of these forms, a regular expression of everything that strptime takes for it, and of little more.
_SHAPES = {
    "%Y": r"\d{4}",
    **dict.fromkeys(("%m", "%d", "%H", "%I", "%M", "%S"), r"[ \d]?\d"),
    "%f": r"\d{1,6}",
    **dict.fromkeys(("%b", "%B", "%p"), r"[^\W\d_.]+\.?"),
    "%z": r"(?:[+-][\d:.]+|z)",
}
_DIRECTIVE_OR_SPACE = re.compile(r"(%.|\s+)")


class NotOfTypeError(ValueError):
    """The text is not a value of the field's type and format. A message, if there is one, is a sentence for the person with the file."""


@total_ordering
@dataclass(frozen=True, slots=True, eq=True)
class Duration:
    """A duration in months and seconds.

    One is less than another if it is less at each of the four reference instants of XML Schema; if these disagree, neither is less.
    """

    months: int
    seconds: Decimal

    def _lengths(self) -> list[Decimal]:
        lengths = []
        for year, month in _REFERENCE_MONTHS:
            start = year * 12 + month - 1
            lengths.append((_day_of_month(start + self.months) - _day_of_month(start)) * _DAY_S + self.seconds)
        return lengths

    def __lt__(self, other: Duration) -> bool:
        return all(mine < theirs for mine, theirs in zip(self._lengths(), other._lengths(), strict=True))

    def __le__(self, other: Duration) -> bool:
        return all(mine <= theirs for mine, theirs in zip(self._lengths(), other._lengths(), strict=True))

    def __gt__(self, other: Duration) -> bool:
        return other < self

    def __ge__(self, other: Duration) -> bool:
        return other <= self


def date_parser(field: Field) -> Callable[[str], int]:
    """Return a parser from text to day number, 1 for 0001-01-01."""
    if field.format == "default":
        return parse_date
    if field.format == "any":
        return _any_parser(parse_date, [("", _ANY_DATES)], _day_of)
    return _pattern_parser(field.format, _day_of)


def time_parser(field: Field) -> Callable[[str], int]:
    """Return a parser from text to microseconds since midnight."""
    if field.format == "default":
        return parse_time
    if field.format == "any":
        return _any_parser(parse_time, [("", _ANY_TIMES)], _microseconds_of)
    return _pattern_parser(field.format, _microseconds_of)


def datetime_parser(field: Field) -> Callable[[str], Decimal]:
    """Return a parser from text to seconds, in which the start of day n (1 for 0001-01-01, UTC) is n times 86,400."""
    if field.format == "default":
        return parse_datetime
    if field.format == "any":
        return _any_parser(parse_datetime, [(date, _ANY_ENDS_OF_DATETIMES) for date in _ANY_DATES_OF_DATETIMES], _seconds_of)
    return _pattern_parser(field.format, _seconds_of)


def parse_date(text: str) -> int:
    """Parse `yyyy-mm-dd` to the day number, 1 for 0001-01-01. Raises `NotOfTypeError`."""
    match = _DATE.fullmatch(text)
    if match is None:
        raise NotOfTypeError
    try:
        return dt.date(int(match[1]), int(match[2]), int(match[3])).toordinal()
    except ValueError as error:
        raise NotOfTypeError from error


def parse_time(text: str) -> int:
    """Parse `hh:mm:ss` to microseconds since midnight. Raises `NotOfTypeError`."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise NotOfTypeError
    return (int(match[1]) * 3600 + int(match[2]) * 60 + int(match[3])) * 1_000_000


def parse_datetime(text: str) -> Decimal:
    """Parse a `dateTime` of XML Schema, years 0001 to 9999, to seconds as in `datetime_parser`. Raises `NotOfTypeError`."""
    match = _DATETIME.fullmatch(text)
    if match is None:
        raise NotOfTypeError
    hour, minute, second = int(match[2]), int(match[3]), int(match[4])
    fraction = Decimal(match[5] or 0)
    if hour == 24 and (minute or second or fraction):  # noqa: PLR2004 - 24:00:00 is the midnight at the end of a day
        raise NotOfTypeError
    seconds = parse_date(match[1]) * _DAY_S + hour * 3600 + minute * 60 + second - _zone_s(match[6])
    return seconds + fraction if len(fraction.as_tuple().digits) < 15 else Decimal(f"{seconds}{match[5]}")  # noqa: PLR2004 - within the context's 28 digits


def parse_year(text: str) -> int:
    """Parse a `gYear` of XML Schema; there is no year 0. Raises `NotOfTypeError`."""
    match = _YEAR.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise NotOfTypeError
    return int(match[1])


def parse_yearmonth(text: str) -> int:
    """Parse a `gYearMonth` of XML Schema to a number of months. Raises `NotOfTypeError`."""
    match = _YEARMONTH.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise NotOfTypeError
    return int(match[1]) * 12 + int(match[2]) - 1


def parse_duration(text: str) -> Duration:
    """Parse a `duration` of XML Schema. Raises `NotOfTypeError`."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise NotOfTypeError
    years, months, days, hours, minutes = (int(match[index] or 0) for index in range(2, 7))
    seconds = days * _DAY_S + hours * 3600 + minutes * 60 + Decimal(match[7] or 0)
    return Duration(-(years * 12 + months), -seconds) if match[1] else Duration(years * 12 + months, Decimal(seconds))


def check_strptime_pattern(pattern: str) -> str | None:
    """Return the problem with a date or time pattern as one sentence; None if it can be used."""
    if "%" not in pattern:
        return 'This is neither "default" nor "any" nor a pattern with % directives.'
    try:
        # This compiles the pattern; the text need not match it, and the message distinguishes the two failures.
        dt.datetime.strptime("", pattern)  # noqa: DTZ007 - only the pattern matters
    except (ValueError, IndexError, KeyError, re.error) as error:
        if "does not match format" not in str(error):
            return "This pattern has a directive that strptime does not know."
    return None


def _pattern_parser(pattern: str, value_of: Callable[[dt.datetime], _Value]) -> Callable[[str], _Value]:
    def parse(text: str) -> _Value:
        # In strptime, \d accepts the digits of every script.
        if not text.isascii() and any(character.isdecimal() and character > "9" for character in text):
            raise NotOfTypeError
        try:
            return value_of(dt.datetime.strptime(text, pattern))  # noqa: DTZ007 - text without a zone has none
        except (ValueError, OverflowError) as error:
            raise NotOfTypeError from error

    return parse


def _any_parser(
    parse_default: Callable[[str], _Value], forms: Sequence[tuple[str, Sequence[str]]], value_of: Callable[[dt.datetime], _Value]
) -> Callable[[str], _Value]:
    """Return a parser for the default form, and for all forms that begin with the first part of one of `forms` and end with one of its second parts.

    `strptime` takes 10 to 50 µs for a text, so it is only asked about forms whose shape the text has: mostly one, or none.
    """
    groups = [
        (
            re.compile(_shape_of(start), re.IGNORECASE),
            [(re.compile(_shape_of(start + end), re.IGNORECASE), _pattern_parser(start + end, value_of)) for end in ends],
        )
        for start, ends in forms
    ]

    def parse(text: str) -> _Value:
        try:
            return parse_default(text)
        except NotOfTypeError:
            pass
        for start, shapes in groups:
            if start.match(text) is None:
                continue
            for shape, parser in shapes:
                if shape.fullmatch(text) is not None:
                    try:
                        return parser(text)
                    except NotOfTypeError:
                        continue
        raise NotOfTypeError

    return parse


def _shape_of(pattern: str) -> str:
    """Return a regular expression that matches every text that `strptime` takes for the pattern."""
    return "".join(_SHAPES.get(part) or (r"\s+" if part.isspace() else re.escape(part)) for part in _DIRECTIVE_OR_SPACE.split(pattern))


def _day_of(moment: dt.datetime) -> int:
    return moment.toordinal()


def _microseconds_of(moment: dt.datetime) -> int:
    offset = moment.utcoffset() or dt.timedelta()
    time = dt.timedelta(hours=moment.hour, minutes=moment.minute, seconds=moment.second, microseconds=moment.microsecond)
    return (time - offset) // dt.timedelta(microseconds=1)


def _seconds_of(moment: dt.datetime) -> Decimal:
    return moment.toordinal() * _DAY_S + Decimal(_microseconds_of(moment)) / 1_000_000


def _zone_s(zone: str | None) -> int:
    if zone is None or zone == "Z":
        return 0
    seconds = int(zone[1:3]) * 3600 + int(zone[4:6]) * 60
    return -seconds if zone[0] == "-" else seconds


def _day_of_month(months: int) -> int:
    """Return the day number of the first day of a month counted from year 0, in the Gregorian calendar extended in both directions."""
    years, month = divmod(months, 12)
    if month < 2:  # noqa: PLR2004 - the year begins in March, so that leap days come last
        years, month = years - 1, month + 12
    return 365 * years + years // 4 - years // 100 + years // 400 + (153 * (month - 2) + 2) // 5
