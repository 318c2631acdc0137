"""Say why a cell is no date, time or datetime of its field's format: the parts in another order, no such day, a blank where a T belongs."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable

from shared.descriptors.table_schema import Field

OR = " or "
"""Stands between two orders where a date could have either."""
_DATE = re.compile(r"(?P<a>[0-9]{1,4})(?P<mark>[./-])(?P<b>[0-9]{1,2})(?P=mark)(?P<c>[0-9]{1,4})(?P<rest>.*)", re.DOTALL)
_NAMED = re.compile(r"\b[^\W\d_]{3,9}\b")
_TIME = re.compile(
    r"(?P<h>[0-9]{1,2}):(?P<m>[0-9]{1,2})(?::(?P<s>[0-9]{1,2})(?P<fraction>[.,][0-9]+)?)?"
    r"(?P<noon> ?[AaPp]\.?[Mm]\.?)?(?P<zone> ?(?:Z|[+-][0-9]{2}:?[0-9]{0,2}))?"
)
_PARTS = {"d": "day", "m": "month", "b": "month", "B": "month", "Y": "year", "y": "year"}
_DEFAULT_ORDER = ("year", "month", "day")
_MONTHS, _HOURS, _MINUTES = 12, 24, 60


def date_explainer(field: Field) -> Callable[[str], str | None]:
    """Return the explainer of a field of type date, time or datetime; see `explain.py`."""
    if field.format == "any":
        return lambda _text: None
    directives = "YmdTHMS" if field.format == "default" else "".join(re.findall(r"%([a-zA-Z])", field.format))
    order = tuple(_PARTS[each] for each in directives if each in _PARTS)
    mark = "-" if field.format == "default" else _mark_of(field.format)
    has_name = "b" in directives or "B" in directives

    def explain(text: str) -> str | None:
        if field.type == "time":
            match = _TIME.fullmatch(text)
            return None if match is None else _explain_time(match, field, directives)
        match = _DATE.match(text)
        if match is None:
            if _NAMED.search(text) and any(map(str.isdigit, text)) and not has_name:
                return "its month is written as a word" if _TIME.fullmatch(text) is None else None
            return "it has no date" if _TIME.fullmatch(text) else None
        return _explain_date(match, order, mark, directives) or _explain_rest(match["rest"], field, directives)

    return explain


def _mark_of(pattern: str) -> str | None:
    """Return the character between the parts of a date in a pattern; None if it is not a single one."""
    match = re.search(r"%[dmYyb]([./-])%", pattern)
    return match[1] if match else None


def _explain_date(match: re.Match[str], order: tuple[str, ...], mark: str | None, directives: str) -> str | None:
    """Explain a date of digits by its order, its marks, its digits and the calendar; None if it is as it should be."""
    written = _orders_of(match)
    said = (mark or " ").join(order)
    if order not in written or (mark is not None and mark != match["mark"]):
        here = OR.join(match["mark"].join(each) for each in written)
        return f"it is written {here} here; the schema says {said}" if here else "there is no such day in the calendar"
    parts = dict(zip(order, (match["a"], match["b"], match["c"]), strict=True))
    if "Y" in directives and len(parts["year"]) != 4:  # noqa: PLR2004
        return "its year does not have four digits"
    if "y" in directives and len(parts["year"]) != 2:  # noqa: PLR2004
        return "its year does not have two digits"
    year, month, day = int(parts["year"]), int(parts["month"]), int(parts["day"])
    if not 1 <= month <= _MONTHS or not 1 <= day <= calendar.monthrange(max(year, 1) if "Y" in directives else 2000 + year % 100, month)[1]:
        return "there is no such day in the calendar"
    if "T" in directives and (len(parts["month"]) == 1 or len(parts["day"]) == 1):
        return "its month and its day need two digits each"
    return None


def _orders_of(match: re.Match[str]) -> list[tuple[str, ...]]:
    """Return the orders in which the parts can be a date, or could be but for the calendar."""
    first, second = int(match["a"]), int(match["b"])
    if len(match["a"]) > 2:  # noqa: PLR2004
        return [("year", "day", "month") if second > _MONTHS and int(match["c"]) <= _MONTHS else ("year", "month", "day")]
    if first > _MONTHS and second > _MONTHS:
        return []
    if first > _MONTHS:
        return [("day", "month", "year")]
    return [("month", "day", "year")] if second > _MONTHS else [("day", "month", "year"), ("month", "day", "year")]


def _explain_rest(rest: str, field: Field, directives: str) -> str | None:
    """Explain what follows the digits of a good date."""
    if field.type == "date":
        return "it has a time of day, too" if _TIME.fullmatch(rest.lstrip("T ,")) else None
    if not rest:
        return "it has no time of day"
    match = _TIME.fullmatch(rest.lstrip("T ,"))
    if match is None:
        return None
    if field.format == "default" and rest[0] == " ":
        return "it has a blank between date and time; the schema says T"
    if field.format != "default" and rest[0] == "T" and "T" not in field.format:
        return "it has a T between date and time"
    return _explain_time(match, field, directives)


def _explain_time(match: re.Match[str], field: Field, directives: str) -> str | None:
    hour, minute, second, zone = int(match["h"]), int(match["m"]), int(match["s"] or 0), (match["zone"] or "").strip()
    is_default = field.format == "default"
    slips = (
        (hour >= _HOURS + (field.type == "datetime") or max(minute, second) >= _MINUTES, "there is no such time of day"),
        (match["noon"] and "p" not in directives, "it has AM or PM; the schema says hours from 0 to 23"),
        (not match["noon"] and "p" in directives, "it has neither AM nor PM"),
        ("S" in directives and match["s"] is None, "it has no seconds"),
        (match["s"] is not None and "S" not in directives, "it has seconds"),
        (is_default and field.type == "datetime" and zone not in ("", "Z") and ":" not in zone, "its zone has no colon, as in +01:00"),
        (zone and "z" not in directives and not (is_default and field.type == "datetime"), "it has a zone"),
        (match["fraction"] and "f" not in directives and not (is_default and field.type == "datetime"), "it has a fraction of a second"),
        (is_default and min(len(match["h"]), len(match["m"])) == 1, "its hours and minutes need two digits each"),
    )
    return next((said for is_so, said in slips if is_so), None)
