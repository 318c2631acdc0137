"""Parse the constraints of one field of a Table Schema descriptor."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from shared.descriptors.problems import ProblemList, describe_json_type, join_pointer
from shared.descriptors.table_schema.identity import identity_of
from shared.descriptors.table_schema.model import Constraints, Field
from shared.descriptors.table_schema.patterns import PatternInvalidError, plan_pattern
from shared.descriptors.table_schema.temporal import NotOfTypeError
from shared.descriptors.table_schema.values import constraint_parser, constraint_value
from shared.texts import quote_briefly

_ORDERED = frozenset({"integer", "number", "date", "time", "datetime", "duration", "year", "yearmonth"})
_SIZED = frozenset({"string", "array", "object", "list", "geojson"})
_JSON = frozenset({"array", "object"})
# The types to which a constraint applies; None: all types.
CONSTRAINT_TYPES: Mapping[str, frozenset[str] | None] = {
    "required": None,
    "unique": None,
    "enum": None,
    "pattern": frozenset({"string"}),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _ORDERED),
    **dict.fromkeys(("minLength", "maxLength"), _SIZED),
    "jsonSchema": _JSON,
}
MAX_LENGTH = 2**63 - 1
MAX_LIMIT = 1000
"""Longest text of a `minimum`, `maximum` and their exclusive forms, in characters; each value is compared with it."""


def read_constraints(descriptor: Mapping[str, object], field: Field, pointer: str, problems: ProblemList, *, judge_values: bool) -> Constraints:
    """Parse the constraints of `field` from its descriptor; without `judge_values` their values are not checked against its type."""
    given = descriptor.get("constraints", {})
    pointer = f"{pointer}/constraints"
    if not isinstance(given, dict):
        problems.add(pointer, f"The constraints must be an object, not {describe_json_type(given)}.")
        return Constraints()
    values: dict[str, Any] = {}
    for name, value in given.items():
        own_pointer = join_pointer(pointer, name)
        if name not in CONSTRAINT_TYPES:
            problems.add(own_pointer, f"There is no constraint {quote_briefly(name)}; the constraints are {', '.join(CONSTRAINT_TYPES)}.")
            continue
        types = CONSTRAINT_TYPES[name]
        if types is not None and field.type not in types:
            problems.add(own_pointer, f"The constraint {name} cannot be used with the type {field.type}.")
            continue
        attribute = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
        values[attribute] = _read_constraint(name, value, field, own_pointer, problems, judge_values=judge_values)
    low, high = values.get("min_length"), values.get("max_length")
    if isinstance(low, int) and isinstance(high, int) and low > high:
        problems.add(f"{pointer}/maxLength", f"This must be at least minLength, which is {low}.")
    return Constraints(**values)


def _read_constraint(name: str, value: object, field: Field, pointer: str, problems: ProblemList, *, judge_values: bool) -> object:
    if name in ("required", "unique"):
        return read_bool(value, pointer, problems)
    if name in ("minLength", "maxLength"):
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_LENGTH:
            problems.add(pointer, f"This must be a whole number, 0 or greater, and at most {MAX_LENGTH}.")
    elif name == "pattern":
        _check_pattern(value, pointer, problems)
    elif name == "jsonSchema":
        # The library takes 4 MiB in every API process, and few schemas have this constraint.
        from shared.descriptors.table_schema.json_schema import check_json_schema  # noqa: PLC0415

        check_json_schema(value, pointer, problems)
    elif name == "enum":
        return _read_enum(value, field, pointer, problems, judge_values=judge_values)
    elif isinstance(value, str | int) and len(str(value)) > MAX_LIMIT:
        problems.add(pointer, f"A limit must have at most {MAX_LIMIT} characters.")
    elif judge_values:
        try:
            constraint_value(field, value)
        except NotOfTypeError:
            problems.add(pointer, f"This is not a value of the type {_describe_type(field)}.")
    return value


def _read_enum(value: object, field: Field, pointer: str, problems: ProblemList, *, judge_values: bool) -> tuple[object, ...]:
    if not isinstance(value, list) or not value:
        problems.add(pointer, "This must be a list of at least one value.")
        return ()
    if judge_values:
        identities = judge_each(list(enumerate(value)), field, pointer, problems)
        if field.categories is not None:
            # Values that are none of their type are reported as that.
            categories = frozenset(judge_each(list(enumerate(field.categories)), field, pointer, ProblemList()).values())
            for index, identity in identities.items():
                if identity not in categories:
                    problems.add(join_pointer(pointer, index), "This is not among the categories.")
    return tuple(value)


def _check_pattern(value: object, pointer: str, problems: ProblemList) -> None:
    if not isinstance(value, str):
        problems.add(pointer, f"A pattern must be text, not {describe_json_type(value)}.")
        return
    try:
        plan_pattern(value)
    except PatternInvalidError as error:
        problems.add(pointer, str(error))


def judge_each(items: list[tuple[int, object]], field: Field, pointer: str, problems: ProblemList) -> dict[int, Hashable]:
    """Return the identities, by index, of the values in a list of the descriptor; values of the wrong type and repeated values are added to `problems`."""
    parse = constraint_parser(field)
    identities: dict[int, Hashable] = {}
    seen: set[Hashable] = set()
    for index, item in items:
        try:
            identity = identities[index] = identity_of(parse(item))
        except NotOfTypeError:
            problems.add(join_pointer(pointer, index), f"This is not a value of the type {_describe_type(field)}.")
            continue
        if identity in seen:
            problems.add(join_pointer(pointer, index), "This value is given twice.")
        seen.add(identity)
    return identities


def _describe_type(field: Field) -> str:
    return field.type if field.format == "default" else f"{field.type} with the format {field.format}"


def read_bool(value: object, pointer: str, problems: ProblemList) -> bool:
    """Return a value that must be true or false; False, with a problem added, if it is neither."""
    if not isinstance(value, bool):
        problems.add(pointer, f"This must be true or false, not {describe_json_type(value)}.")
    return value is True
