"""Compare the cells of a sheet as two readers give them, and name the kind of each difference; `docs/beside-calamine.md` explains the kinds."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

from bench.sweep_readers import PLACE, OurCell, SheetCells
from features.processing.readers.excel.cell_text import unescape_text
from tests.cases.workbook_packages import column_letters

EXAMPLES = 3
_ERROR_VALUE, _NOT_COMPUTED, _PICTURE = 0, 1, 2
_DURATION = re.compile(r"(-?)PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.(\d+))?S)?")
_DATE_LIKE = re.compile(r"\d{4}-\d\d-\d\d(?:T|$)|\d\d:\d\d:\d\d|-?PT\d")
_ERROR_TEXT = re.compile(r"#(?:DIV/0!|N/A|NAME\?|NULL!|NUM!|REF!|VALUE!|SPILL!|CALC!|GETTING_DATA)", re.IGNORECASE)
_SECOND = timedelta(seconds=1)
_LEAP_BUG_DAYS = ("1899-", "1900-01-00", "1900-02-29")
"""Days that Excel counts and no calendar has."""


@dataclass(slots=True)
class Differences:
    """Counts of differences by kind, and the first examples of each."""

    compared: int = 0
    """Cells that at least one of the two has."""
    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[dict[str, str]]] = field(default_factory=dict)

    def add(self, kind: str, file: str, place: PLACE, ours: str, theirs: str) -> None:
        """Count a difference."""
        self.counts[kind] += 1
        kept = self.examples.setdefault(kind, [])
        if len(kept) < EXAMPLES and all(each["file"] != file for each in kept):
            kept.append({"file": file, "cell": f"{column_letters(place[1])}{place[0]}", "ours": ours[:120], "theirs": theirs[:120]})

    def merge(self, other: Differences) -> None:
        """Add those of another file."""
        self.compared += other.compared
        self.counts.update(other.counts)
        for kind, examples in other.examples.items():
            kept = self.examples.setdefault(kind, [])
            kept += examples[: EXAMPLES - len(kept)]


def compare_sheets(ours: SheetCells, theirs: SheetCells, *, file: str) -> Differences:
    """Compare all cells that one of the two has."""
    found = Differences()
    places = ours.cells.keys() | theirs.cells.keys()
    found.compared = len(places)
    for place in sorted(places):
        our, their = ours.cells.get(place, OurCell("")), theirs.cells.get(place)
        kind = find_kind(our, their)
        if kind == "only-here" and _is_merged(place, theirs.merged):
            kind = "merged"
        if kind is not None:
            found.add(kind, file, place, _show(our), repr(their))
    return found


def find_kind(our: OurCell, their: Any) -> str | None:  # noqa: ANN401  # any value of a cell
    """Return the kind of difference between two values of a cell; None if they are the same value."""
    if their == "":
        their = None
    if our.trouble is not None:
        return _kind_of_trouble(our, their)
    if their is None:
        return None if not our.text else "only-here" if our.text.strip() else "blanks-alone"
    if not our.text:
        return _kind_of_absent(their)
    return _KINDS[type(their)](our.text, their) if type(their) in _KINDS else "other"


def _kind_of_trouble(our: OurCell, their: Any) -> str | None:  # noqa: ANN401
    if our.trouble == _NOT_COMPUTED:
        return "formula-not-computed"
    if our.trouble == _PICTURE:
        return "picture"
    return None if their == our.text else "error-value"


def _kind_of_absent(their: Any) -> str:  # noqa: ANN401
    if isinstance(their, str):
        return "blanks-alone" if not their.strip() else "error-value" if _ERROR_TEXT.fullmatch(their) else "only-there"
    return "only-there"


def _kind_of_boolean(text: str, their: bool) -> str | None:  # noqa: FBT001
    return None if text == ("true" if their else "false") else "boolean"


def _kind_of_number(text: str, their: float) -> str | None:
    number = _parse(text)
    if number is None:
        return "date-or-number" if _DATE_LIKE.match(text) else "boolean" if text in ("true", "false") else "number-or-text"
    if number == their:
        return "shown-zeros" if re.match(r"-?0\d", text) else None
    if not math.isfinite(their):
        return "other"
    return "beyond-15-digits" if number == float(f"{their:.15g}") or math.isclose(number, their, rel_tol=1e-14) else "number"


def _kind_of_moment(text: str, their: datetime) -> str | None:
    their = their.replace(tzinfo=None)
    ours = None if text.startswith(_LEAP_BUG_DAYS) else _parse_moment(text)
    if isinstance(ours, datetime):
        return _kind_of_distance(ours, their)
    if isinstance(ours, date):
        distance = abs(datetime.combine(ours, time(0)) - their)
        return None if not distance else "hidden-time" if ours == their.date() else "rounding" if distance <= _SECOND else "date"
    if isinstance(ours, time):
        near = abs(datetime.combine(their.date(), ours) - their)
        return "hidden-date" if min(near, timedelta(days=1) - near) <= _SECOND else "date"
    if text.startswith(_LEAP_BUG_DAYS):
        return "day-of-1900"
    return "duration" if _DURATION.fullmatch(text) else "date-or-number" if _parse(text) is not None else "date"


def _kind_of_day(text: str, their: date) -> str | None:
    return _kind_of_moment(text, datetime.combine(their, time(0)))


def _kind_of_time(text: str, their: time) -> str | None:
    ours = _parse_moment(text)
    their = their.replace(tzinfo=None)
    if isinstance(ours, time):
        return _kind_of_distance(datetime.combine(date.min, ours), datetime.combine(date.min, their))
    if (length := _parse_duration(text)) is not None:
        return None if length == _length_of(their) else "duration"
    if _parse(text) is not None:
        return "date-or-number"
    return "day-of-1900" if text.startswith((*_LEAP_BUG_DAYS, "1904-01-01")) else "date"


def _length_of(moment: time) -> timedelta:
    return timedelta(hours=moment.hour, minutes=moment.minute, seconds=moment.second, microseconds=moment.microsecond)


def _kind_of_length(text: str, their: timedelta) -> str | None:
    length = _parse_duration(text)
    if length is not None:
        return None if length == their else "rounding" if abs(length - their) <= _SECOND else "duration"
    return "date-or-number" if _parse(text) is not None else "duration"


def _kind_of_distance(ours: datetime, theirs: datetime) -> str | None:
    """Two moments are the same to the millisecond; Excel rounds to what it shows."""
    distance = abs(ours - theirs)
    return None if distance < timedelta(milliseconds=1) else "rounding" if distance <= _SECOND else "date"


def _kind_of_text(text: str, their: str) -> str | None:
    if text == their:
        return None
    plain = unescape_text(their)
    kinds = {
        "blanks-at-ends": text.strip() == their.strip(),
        "line-ends": _join_lines(text) == _join_lines(their),
        "escape": _join_lines(text).strip() == _join_lines(plain).strip(),
        "boolean": text in ("true", "false") and text == their.lower(),
        "error-value": _ERROR_TEXT.fullmatch(their),
        "date-or-text": _DATE_LIKE.match(text),
        "number-or-text": _parse(text) is not None,
        "phonetic": not text.isascii() and (text in their or their in text),
        "character-set": their.replace("\0", "") == text or (not text.isascii() and _ascii_of(text) == _ascii_of(their)),
    }
    return next((kind for kind, is_it in kinds.items() if is_it), "text")


_KINDS: Mapping[type, Any] = {
    bool: _kind_of_boolean,
    int: _kind_of_number,
    float: _kind_of_number,
    datetime: _kind_of_moment,
    date: _kind_of_day,
    time: _kind_of_time,
    timedelta: _kind_of_length,
    str: _kind_of_text,
}


def _ascii_of(text: str) -> list[str]:
    """Return what of a text all character sets agree on."""
    return [character for character in text if " " < character < "\x7f" and character != "?"]


def _join_lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _parse(text: str) -> float | None:
    try:
        return float(text) if text.isascii() and "_" not in text else None
    except ValueError:
        return None


def _parse_moment(text: str) -> datetime | date | time | None:
    for kind in (date, datetime, time):
        try:
            return kind.fromisoformat(text)
        except ValueError:
            continue
    return None


def _parse_duration(text: str) -> timedelta | None:
    match = _DURATION.fullmatch(text)
    if match is None:
        return None
    sign, hours, minutes, seconds, fraction = match.groups()
    length = timedelta(hours=int(hours or 0), minutes=int(minutes or 0), seconds=float(f"{seconds or 0}.{fraction or 0}"))
    return -length if sign else length


def _is_merged(place: PLACE, ranges: Sequence[tuple[int, int, int, int]]) -> bool:
    return any(first <= place[0] <= last and left <= place[1] <= right for first, last, left, right in ranges)


def _show(cell: OurCell) -> str:
    return repr(cell.text) if cell.trouble is None else f"{('error value', 'formula not computed', 'picture')[cell.trouble]} {cell.text!r}"
