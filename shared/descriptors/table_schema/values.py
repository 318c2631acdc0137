"""The single definition of the values of each type: strict parsers from the text of a cell to its logical value.

Logical values are comparable and exact: integers are `int` (`Decimal` above 4,000 digits), numbers `Decimal`, dates day numbers, times
microseconds, datetimes seconds (`Decimal`, UTC; without a zone they count as UTC), years and yearmonths whole numbers, durations `Duration`,
booleans `bool`, lists and geopoints tuples, JSON types the values that `json` returns, with exact numbers, all others text. The text of a
cell is at most `MAX_CELL_BYTES` long when it comes here, except for plain text, and JSON at most `MAX_JSON_LEVELS` deep.
Source: https://datapackage.org/standard/table-schema/#field-types.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias

from shared.descriptors.table_schema.geo import is_geojson, is_topojson
from shared.descriptors.table_schema.model import Field
from shared.descriptors.table_schema.numbers import integer_parser, number_parser, parse_integer, parse_number
from shared.descriptors.table_schema.temporal import (
    NotOfTypeError,
    date_parser,
    datetime_parser,
    parse_duration,
    parse_year,
    parse_yearmonth,
    time_parser,
)

ValueParser: TypeAlias = Callable[[str], Any]

MAX_CELL_BYTES = 2**20
"""The longest cell, in UTF-8, of any type but plain text (`is_plain_text`)."""
MAX_JSON_LEVELS = 64
"""How deep arrays and objects may be nested in a cell; `[[1]]` has two levels."""
TOO_DEEP = f"The JSON in this cell is nested too deeply; at most {MAX_JSON_LEVELS} levels can be read."

_MAX_LONGITUDE, _MAX_LATITUDE = 180, 90
_ITEM_TYPES = ("string", "integer", "boolean", "number", "datetime", "date", "time")

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# The dot-atom of RFC 5322 before the @, a host name with at least one dot after it; non-ASCII letters as RFC 6531 allows them.
_ATOM = r"[a-zA-Z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+"
_LABEL = r"[a-zA-Z0-9\u0080-\U0010ffff](?:[a-zA-Z0-9\u0080-\U0010ffff-]{0,61}[a-zA-Z0-9\u0080-\U0010ffff])?"
EMAIL_PATTERN = rf"{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})+"
_EMAIL = re.compile(EMAIL_PATTERN)
_MAX_EMAIL, _MAX_EMAIL_LOCAL = 254, 64
# RFC 3986: a scheme, then only characters that a URI may contain, % only before two hexadecimal digits; http, https and ftp need a host.
_URI = re.compile(
    r"(?!(?:https?|ftp):(?!//[^/?#]))[A-Za-z][A-Za-z0-9+.\-]*:(?:[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=]++|%[0-9A-Fa-f]{2})*+"
    r"(?:#(?:[A-Za-z0-9\-._~:/?@!$&'()*+,;=]++|%[0-9A-Fa-f]{2})*+)?",
    re.IGNORECASE | re.ASCII,
)


def value_parser(field: Field) -> ValueParser:
    """Return a function from a cell's text to its logical value; it raises `NotOfTypeError` if the text is not a value of the field's type and format."""
    return _PARSER_MAKERS[field.type](field)


def constraint_value(field: Field, given: object) -> Any:  # noqa: ANN401 - a logical value of any type
    """Return the logical value of a value in the descriptor; see `constraint_parser`."""
    return constraint_parser(field)(given)


def constraint_parser(field: Field) -> Callable[[object], Any]:
    """Return a function from values in the descriptor, JSON of the field's type or text as in a cell, to logical values; made once for a list of them.

    The function raises `NotOfTypeError`.
    """
    parse_text = value_parser(field)
    native = _JSON_KINDS.get(field.type, ())
    parse_item = constraint_parser(Field(name=field.name, type=field.item_type)) if field.type == "list" else None

    def parse(given: object) -> Any:  # noqa: ANN401 - a logical value of any type
        if isinstance(given, str):
            return parse_text(given)
        if given is None or not isinstance(given, native) or (isinstance(given, bool) and bool not in native):
            raise NotOfTypeError
        if field.type in ("boolean", "any"):
            return given if field.type == "boolean" else json.dumps(given)
        if field.type in ("integer", "year"):
            return given if field.type == "integer" else parse_year(f"{given:04}")
        if field.type == "number":
            return Decimal(repr(given))
        if parse_item is not None:
            assert isinstance(given, list)
            return tuple(parse_item(part) for part in given)
        return parse_text(json.dumps(given))

    return parse


def is_plain_text(field: Field) -> bool:
    """Whether every text is a value of the field: only then may a cell be longer than `MAX_CELL_BYTES`."""
    return field.type == "any" or (field.type == "string" and field.format == "default")


def _make_string(field: Field) -> ValueParser:
    return _STRING_FORMATS[field.format]


def _parse_any(text: str) -> str:
    return text


def _parse_email(text: str) -> str:
    if len(text) > _MAX_EMAIL or text.find("@") > _MAX_EMAIL_LOCAL or _EMAIL.fullmatch(text) is None or any(map(str.isspace, text)):
        raise NotOfTypeError
    return text


def _parse_uri(text: str) -> str:
    if _URI.fullmatch(text) is None:
        raise NotOfTypeError
    return text


def _parse_binary(text: str) -> str:
    try:
        base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise NotOfTypeError from error
    return text


def _parse_uuid(text: str) -> str:
    if _UUID.fullmatch(text) is None:
        raise NotOfTypeError
    return text.lower()


def _make_boolean(field: Field) -> ValueParser:
    values = dict.fromkeys(field.true_values, True) | dict.fromkeys(field.false_values, False)

    def parse(text: str) -> bool:
        try:
            return values[text]
        except KeyError as error:
            raise NotOfTypeError from error

    return parse


def load_json(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return the JSON value in a cell, with exact numbers: `int` or `Decimal`.

    Raises `NotOfTypeError`, also for NaN, and with the reason if the value is nested too deeply.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_int=parse_integer, parse_float=Decimal)
    except RecursionError as error:
        raise NotOfTypeError(TOO_DEEP) from error
    except (ValueError, InvalidOperation) as error:
        # Decimal refuses exponents of more than 18 digits.
        raise NotOfTypeError from error
    if text.count("[") + text.count("{") > MAX_JSON_LEVELS and _is_too_deep(value):
        raise NotOfTypeError(TOO_DEEP)
    return value


def _is_too_deep(value: object) -> bool:
    """Whether arrays and objects are nested more than `MAX_JSON_LEVELS` deep; goes through the value level by level."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_JSON_LEVELS):
        level = [item for each in level for item in (each.values() if isinstance(each, dict) else each) if isinstance(item, dict | list)]
        if not level:
            return False
    return True


def _refuse_constant(name: str) -> float:
    raise ValueError(name)


def _make_json(kind: type) -> Callable[[Field], ValueParser]:
    def parse(text: str) -> Any:  # noqa: ANN401 - a JSON object or array
        value = load_json(text)
        if not isinstance(value, kind):
            raise NotOfTypeError
        return value

    return lambda _field: parse


def _make_geojson(field: Field) -> ValueParser:
    is_valid = is_topojson if field.format == "topojson" else is_geojson

    def parse(text: str) -> Any:  # noqa: ANN401 - a JSON object
        value = load_json(text)
        if not is_valid(value):
            raise NotOfTypeError
        return value

    return parse


def _make_geopoint(field: Field) -> ValueParser:
    def parse(text: str) -> tuple[Decimal, Decimal]:
        if field.format == "default":
            parts = text.split(",")
            pair = [parse_number(part) for part in (parts[0], parts[1].removeprefix(" "))] if len(parts) == 2 else []  # noqa: PLR2004
        else:
            value = load_json(text)
            if field.format == "object":
                value = [value["lon"], value["lat"]] if isinstance(value, dict) and value.keys() == {"lon", "lat"} else []
            items = value if isinstance(value, list) else []
            pair = [Decimal(item) for item in items if isinstance(item, int | Decimal) and not isinstance(item, bool)]
            if len(pair) != len(items):
                raise NotOfTypeError
        # Comparing a Decimal NaN raises an exception, so `is_finite` comes first; `abs` raises one for exponents of more than six digits.
        limits = (_MAX_LONGITUDE, _MAX_LATITUDE)
        if len(pair) != len(limits) or not all(part.is_finite() and part.copy_abs() <= most for part, most in zip(pair, limits, strict=True)):
            raise NotOfTypeError
        return pair[0], pair[1]

    return parse


def _make_list(field: Field) -> ValueParser:
    parse_item = value_parser(Field(name=field.name, type=field.item_type))

    def parse(text: str) -> tuple[Any, ...]:
        return tuple(parse_item(item) for item in text.split(field.delimiter))

    return parse


_STRING_FORMATS: dict[str, ValueParser] = {
    "default": _parse_any,
    "email": _parse_email,
    "uri": _parse_uri,
    "binary": _parse_binary,
    "uuid": _parse_uuid,
}

_PARSER_MAKERS: dict[str, Callable[[Field], ValueParser]] = {
    "string": _make_string,
    "number": number_parser,
    "integer": integer_parser,
    "boolean": _make_boolean,
    "object": _make_json(dict),
    "array": _make_json(list),
    "list": _make_list,
    "datetime": datetime_parser,
    "date": date_parser,
    "time": time_parser,
    "year": lambda _field: parse_year,
    "yearmonth": lambda _field: parse_yearmonth,
    "duration": lambda _field: parse_duration,
    "geopoint": _make_geopoint,
    "geojson": _make_geojson,
    "any": lambda _field: _parse_any,
}

_JSON_KINDS: dict[str, tuple[type, ...]] = {
    "boolean": (bool,),
    "integer": (int,),
    "year": (int,),
    "number": (int, float),
    "any": (bool, int, float),
    "object": (dict,),
    "array": (list,),
    "list": (list,),
    "geojson": (dict,),
    "geopoint": (list, dict),
}
