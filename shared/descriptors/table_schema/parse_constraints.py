"""Parse the constraints of one field of a Table Schema descriptor."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import jsonschema

from shared.descriptors.problems import ProblemList, describe_json_type, join_pointer
from shared.descriptors.table_schema.model import Constraints, Field
from shared.descriptors.table_schema.patterns import PatternInvalidError, plan_pattern
from shared.descriptors.table_schema.temporal import NotOfTypeError
from shared.descriptors.table_schema.values import constraint_value, identity_of

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
_JSON_SCHEMA_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_DRAFTS = (
    jsonschema.Draft3Validator,
    jsonschema.Draft4Validator,
    jsonschema.Draft6Validator,
    jsonschema.Draft7Validator,
    jsonschema.Draft201909Validator,
    jsonschema.Draft202012Validator,
)


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
            problems.add(own_pointer, f"There is no constraint {name}; the constraints are {', '.join(CONSTRAINT_TYPES)}.")
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
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            problems.add(pointer, "This must be a whole number, 0 or greater.")
    elif name == "pattern":
        _check_pattern(value, pointer, problems)
    elif name == "jsonSchema":
        _check_json_schema(value, pointer, problems)
    elif name == "enum":
        return _read_enum(value, field, pointer, problems, judge_values=judge_values)
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
        judge_each(list(enumerate(value)), field, pointer, problems)
        categories = _identities(field.categories, field) if field.categories is not None else None
        for index, item in enumerate(value):
            if categories is not None and not _identities((item,), field) <= categories:
                problems.add(join_pointer(pointer, index), "This is not among the categories.")
    return tuple(value)


def _identities(values: tuple[object, ...], field: Field) -> frozenset[Hashable]:
    found: set[Hashable] = set()
    for value in values:
        try:
            found.add(identity_of(constraint_value(field, value)))
        except NotOfTypeError:
            # This value was already reported as a problem.
            continue
    return frozenset(found)


def _check_pattern(value: object, pointer: str, problems: ProblemList) -> None:
    if not isinstance(value, str):
        problems.add(pointer, f"A pattern must be text, not {describe_json_type(value)}.")
        return
    try:
        plan_pattern(value)
    except PatternInvalidError as error:
        problems.add(pointer, str(error))


def _check_json_schema(value: object, pointer: str, problems: ProblemList) -> None:
    if not isinstance(value, dict):
        problems.add(pointer, f"A JSON Schema must be an object here, not {describe_json_type(value)}.")
        return
    validator = json_schema_validator(value)
    if validator is None:
        problems.add(f"{pointer}/$schema", "This version of JSON Schema is not known.")
        return
    try:
        for error in validator(validator.META_SCHEMA).iter_errors(value):
            problems.add(join_pointer(pointer, *error.absolute_path), "This is not valid JSON Schema.")
    except RecursionError:
        problems.add(pointer, "This JSON Schema is nested too deeply.")
    for where, reference in _references(value, pointer):
        if not isinstance(reference, str) or not reference.startswith("#"):
            problems.add(where, "Only references within the same JSON Schema (#...) can be followed.")


def json_schema_validator(schema: Mapping[str, object]) -> type[jsonschema.protocols.Validator] | None:
    """Return the validator for the version that `$schema` names (2020-12 if it is absent); None if that version is not known."""
    dialect = schema.get("$schema", jsonschema.Draft202012Validator.META_SCHEMA["$id"])
    if not isinstance(dialect, str):
        return None
    known = {str(draft.META_SCHEMA.get("$id", draft.META_SCHEMA.get("id"))).removesuffix("#"): draft for draft in _DRAFTS}
    return known.get(dialect.removesuffix("#"))


def _references(value: object, pointer: str) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, child in value.items():
            if key in _JSON_SCHEMA_REFERENCES and isinstance(child, str):
                yield join_pointer(pointer, key), child
            else:
                yield from _references(child, join_pointer(pointer, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _references(child, join_pointer(pointer, index))


def judge_each(items: list[tuple[int, object]], field: Field, pointer: str, problems: ProblemList) -> frozenset[Hashable]:
    """Return the identities of the values in a list of the descriptor; values of the wrong type and repeated values are added to `problems`."""
    seen: set[Hashable] = set()
    for index, item in items:
        try:
            identity = identity_of(constraint_value(field, item))
        except NotOfTypeError:
            problems.add(join_pointer(pointer, index), f"This is not a value of the type {_describe_type(field)}.")
            continue
        if identity in seen:
            problems.add(join_pointer(pointer, index), "This value is given twice.")
        seen.add(identity)
    return frozenset(seen)


def _describe_type(field: Field) -> str:
    return field.type if field.format == "default" else f"{field.type} with the format {field.format}"


def read_bool(value: object, pointer: str, problems: ProblemList) -> bool:
    """Return a value that must be true or false; False, with a problem added, if it is neither."""
    if not isinstance(value, bool):
        problems.add(pointer, f"This must be true or false, not {describe_json_type(value)}.")
    return value is True
