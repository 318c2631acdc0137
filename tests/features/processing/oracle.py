"""Check a table against a schema as slowly and simply as possible: one rule at a time, in plain Python, without any code of the engine."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import Any

Error = tuple[int, int | None, str]
"""Row number, column number (None for the whole row), error type."""


class Wrong(Exception):
    """The text is not a value of its type."""


def logical_value(field: dict[str, Any], text: str) -> Any:
    """Return the value in a cell. Raises `Wrong`."""
    kind = field.get("type", "any")
    try:
        return _READERS[kind](field, text)
    except (ValueError, ArithmeticError) as error:
        raise Wrong from error


def _require(condition: object) -> None:
    if not condition:
        raise ValueError


def _integer(field: dict[str, Any], text: str) -> Any:
    digits = text[1:] if text[:1] in ("+", "-") else text
    _require(digits != "" and all(character in "0123456789" for character in digits))
    return int(text)


def _number(field: dict[str, Any], text: str) -> Any:
    if text.lower() in ("nan", "inf", "-inf"):
        return Decimal(text)
    _require(text and all(character in "0123456789+-.eE" for character in text))
    return Decimal(text)


def _boolean(field: dict[str, Any], text: str) -> Any:
    if text in field.get("trueValues", ["true", "True", "TRUE", "1"]):
        return True
    _require(text in field.get("falseValues", ["false", "False", "FALSE", "0"]))
    return False


def _date(field: dict[str, Any], text: str) -> Any:
    pattern = field.get("format", "default")
    if pattern != "default":
        return dt.datetime.strptime(text, pattern)  # noqa: DTZ007 - dates have no zone
    _require(len(text) == 10 and text.isascii() and text[4] == text[7] == "-" and (text[:4] + text[5:7] + text[8:]).isdigit())
    return dt.date(int(text[:4]), int(text[5:7]), int(text[8:]))


def _time(field: dict[str, Any], text: str) -> Any:
    _require(len(text) == 8 and text.isascii() and text[2] == text[5] == ":" and (text[:2] + text[3:5] + text[6:]).isdigit())
    return dt.time(int(text[:2]), int(text[3:5]), int(text[6:]))


def _datetime(field: dict[str, Any], text: str) -> Any:
    _require(len(text) >= 19 and text[10] == "T")
    day, time = _date({}, text[:10]), text[11:19]
    rest = text[19:]
    fraction = Decimal(0)
    if rest.startswith("."):
        digits = re.match(r"\.[0-9]+", rest)
        _require(digits)
        assert digits is not None
        fraction, rest = Decimal(digits.group()), rest[digits.end() :]
    shift = 0
    if rest not in ("", "Z"):
        _require(re.fullmatch(r"[+-][0-9][0-9]:[0-9][0-9]", rest))
        hours, minutes = int(rest[1:3]), int(rest[4:])
        _require(minutes < 60 and hours * 60 + minutes <= 14 * 60)
        shift = (hours * 60 + minutes) * 60 * (-1 if rest[0] == "-" else 1)
    if time == "24:00:00" and not fraction:
        seconds = 86_400
    else:
        clock = _time({}, time)
        seconds = clock.hour * 3600 + clock.minute * 60 + clock.second
    return day.toordinal() * 86_400 + seconds - shift + fraction


def _year(field: dict[str, Any], text: str) -> Any:
    _require(re.fullmatch(r"-?([1-9][0-9]{3,}|0[0-9]{3})(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9]|[+-]14:00)?", text, re.ASCII))
    year = int(re.match(r"-?[0-9]+", text).group())  # type: ignore[union-attr]
    _require(year != 0)
    return year


def _text(field: dict[str, Any], text: str) -> Any:
    return text


_READERS = {
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
    "time": _time,
    "datetime": _datetime,
    "year": _year,
    "string": _text,
    "any": _text,
}


def is_blank(text: str) -> bool:
    return text.strip() == ""


def is_missing(schema: dict[str, Any], field: dict[str, Any], text: str) -> bool:
    missing = field.get("missingValues", schema.get("missingValues", [""]))
    return ("" if is_blank(text) else text) in ["" if is_blank(value) else value for value in missing]


def _in(value: Any, values: list[Any]) -> bool:
    return any(_same(value, other) for other in values)


def _same(value: Any, other: Any) -> bool:
    if isinstance(value, Decimal) and isinstance(other, Decimal) and value.is_nan() and other.is_nan():
        return True
    return bool(value == other)


def _below(value: Any, limit: Any) -> bool:
    if isinstance(value, Decimal) and isinstance(limit, Decimal) and (value.is_nan() or limit.is_nan()):
        return False  # NaN is neither below nor above anything
    return bool(value < limit)


def check_table(  # noqa: PLR0912 - one rule after the other
    schema: dict[str, Any], rows: list[list[str | None]], *, first_row: int = 2
) -> set[Error]:
    """Return all errors of rows whose columns are the fields in order; None stands for a cell that was already reported."""
    errors: set[Error] = set()
    values: list[list[Any]] = []
    for row in rows:
        values.append([])
        for cell, field in zip(row, schema["fields"], strict=True):
            state: Any = ("skip",)
            if cell is not None and is_missing(schema, field, cell):
                state = ("missing",)
            elif cell is not None:
                try:
                    state = ("value", logical_value(field, "" if is_blank(cell) else cell), "" if is_blank(cell) else cell)
                except Wrong:
                    state = ("wrong",)
            values[-1].append(state)
    for column, field in enumerate(schema["fields"]):
        seen: list[Any] = []
        for index, states in enumerate(values):
            error = _cell_error(field, states[column], seen)
            if error:
                errors.add((first_row + index, column + 1, error))
    names = [field["name"] for field in schema["fields"]]
    for key, is_primary in [(schema.get("primaryKey", []), True), *((key, False) for key in schema.get("uniqueKeys", []))]:
        if key:
            errors |= _key_errors([names.index(name) for name in key], values, first_row, is_primary=is_primary)
    for foreign in schema.get("foreignKeys", []):
        mine = [names.index(name) for name in foreign["fields"]]
        theirs = [names.index(name) for name in foreign["reference"]["fields"]]
        as_text = any(schema["fields"][a].get("type") != schema["fields"][b].get("type") for a, b in zip(mine, theirs, strict=True))
        known = [[states[place][2 if as_text else 1] for place in theirs] for states in values if all(states[place][0] == "value" for place in theirs)]
        for index, states in enumerate(values):
            if all(states[place][0] == "value" for place in mine):
                wanted = [states[place][2 if as_text else 1] for place in mine]
                if not any(all(_same(a, b) for a, b in zip(wanted, other, strict=True)) for other in known):
                    errors.add((first_row + index, None, "foreign-key-error"))
    return errors


def _key_errors(key: list[int], values: list[list[Any]], first_row: int, *, is_primary: bool) -> set[Error]:
    errors: set[Error] = set()
    seen: list[list[Any]] = []
    for index, states in enumerate(values):
        parts = [states[place] for place in key]
        if is_primary and any(part[0] == "missing" for part in parts):
            errors.add((first_row + index, None, "primary-key-error"))
        if all(part[0] == "value" for part in parts):
            own = [part[1] for part in parts]
            if any(all(_same(a, b) for a, b in zip(own, other, strict=True)) for other in seen):
                errors.add((first_row + index, None, "primary-key-error" if is_primary else "unique-key-error"))
            seen.append(own)
    return errors


def _cell_error(field: dict[str, Any], state: Any, seen: list[Any]) -> str | None:  # noqa: PLR0911, PLR0912 - one rule after the other
    constraints = field.get("constraints", {})
    if state[0] == "wrong":
        return "type-error"
    if state[0] == "missing":
        return "required-error" if constraints.get("required") else None
    if state[0] == "skip":
        return None
    value = state[1]
    is_repeated = _in(value, seen)
    seen.append(value)

    def limit(name: str) -> Any:
        given = constraints[name]
        return logical_value(field, given if isinstance(given, str) else str(given))

    if constraints.get("unique") and is_repeated:
        return "unique-error"
    if "enum" in constraints and not _in(value, [logical_value(field, item if isinstance(item, str) else str(item)) for item in constraints["enum"]]):
        return "enum-error"
    if "pattern" in constraints and re.fullmatch(constraints["pattern"], value) is None:
        return "pattern-error"
    if "minimum" in constraints and not (_below(limit("minimum"), value) or value == limit("minimum")):
        return "minimum-error"
    if "maximum" in constraints and not (_below(value, limit("maximum")) or value == limit("maximum")):
        return "maximum-error"
    if "exclusiveMinimum" in constraints and not _below(limit("exclusiveMinimum"), value):
        return "exclusive-minimum-error"
    if "exclusiveMaximum" in constraints and not _below(value, limit("exclusiveMaximum")):
        return "exclusive-maximum-error"
    if "minLength" in constraints and len(value) < constraints["minLength"]:
        return "min-length-error"
    if "maxLength" in constraints and len(value) > constraints["maxLength"]:
        return "max-length-error"
    if "categories" in field and not _in(value, [item["value"] if isinstance(item, dict) else item for item in field["categories"]]):
        return "category-error"
    return None
