"""Parse one field of a Table Schema descriptor: its type, options, categories and constraints."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from shared.descriptors.problems import ProblemList, describe_json_type, join_pointer
from shared.descriptors.table_schema.model import Field
from shared.descriptors.table_schema.parse_constraints import CONSTRAINT_TYPES, judge_each, read_bool, read_constraints
from shared.descriptors.table_schema.temporal import check_strptime_pattern
from shared.texts import quote_briefly

_TEMPORAL = ("date", "time", "datetime")
_FORMATS: Mapping[str, tuple[str, ...]] = {
    "string": ("default", "email", "uri", "binary", "uuid"),
    "geopoint": ("default", "array", "object"),
    "geojson": ("default", "topojson"),
    **dict.fromkeys(("number", "integer", "boolean", "object", "array", "list", "year", "yearmonth", "duration", "any"), ("default",)),
}
TYPES = (*_FORMATS, *_TEMPORAL)
_ITEM_TYPES = ("string", "integer", "boolean", "number", *_TEMPORAL)

_NUMERIC = frozenset({"number", "integer"})
_OPTION_TYPES: Mapping[str, frozenset[str]] = {
    "decimalChar": frozenset({"number"}),
    "groupChar": _NUMERIC,
    "bareNumber": _NUMERIC,
    "trueValues": frozenset({"boolean"}),
    "falseValues": frozenset({"boolean"}),
    "delimiter": frozenset({"list"}),
    "itemType": frozenset({"list"}),
    "categories": frozenset({"string", "integer"}),
    "categoriesOrdered": frozenset({"string", "integer"}),
}
FIELD_ONLY = frozenset({*CONSTRAINT_TYPES, *_OPTION_TYPES, "constraints"})
_KNOWN = frozenset({*_OPTION_TYPES, "name", "type", "format", "constraints", "missingValues"})
_BY_FOLDED_NAME = {name.casefold(): name for name in _KNOWN}
MAX_FORMAT = 200
"""Longest `format`, in characters: what reads dates and times takes much longer for each further directive."""
MAX_OPTION = 255
"""Longest `decimalChar`, `groupChar` and `delimiter`, in characters."""
_SIGNS_AND_DIGITS = frozenset("0123456789+-")


def parse_field(descriptor: object, pointer: str, problems: ProblemList) -> Field | None:
    """Parse a field; None if it is invalid, with its problems added to `problems`."""
    if not isinstance(descriptor, dict):
        problems.add(pointer, f"A field must be an object, not {describe_json_type(descriptor)}.")
        return None
    count = len(problems.problems)
    name = _read_name(descriptor, pointer, problems)
    _refuse_misplaced(descriptor, pointer, problems)
    type_name = descriptor.get("type", "any")
    if not isinstance(type_name, str) or type_name not in TYPES:
        problems.add(f"{pointer}/type", f"This must be one of {', '.join(TYPES)}.")
        return None
    values: dict[str, Any] = {"name": name, "type": type_name, "format": _read_format(descriptor, type_name, pointer, problems), "descriptor": descriptor}
    if "missingValues" in descriptor:
        values["missing_values"] = read_missing_values(descriptor["missingValues"], f"{pointer}/missingValues", problems)
    options = _read_options(descriptor, type_name, pointer, problems)
    values |= options
    if len(problems.problems) > count:
        # Constraint values can be checked only against a valid type; everything that does not depend on it is checked anyway.
        read_constraints(descriptor, Field(name="", type=type_name), pointer, problems, judge_values=False)
        return None
    field = Field(**values)
    if options:
        _check_options(field, pointer, problems)
    if "categories" in descriptor:
        categories = _read_categories(descriptor["categories"], field, f"{pointer}/categories", problems)
        field = replace(field, categories=categories)
    elif "categoriesOrdered" in descriptor:
        problems.add(f"{pointer}/categoriesOrdered", "There are no categories to be ordered.")
    constraints = read_constraints(descriptor, field, pointer, problems, judge_values=True)
    if len(problems.problems) > count:
        return None
    # Most fields of very wide tables have none, and need not be made twice.
    return field if constraints == field.constraints else replace(field, constraints=constraints)


def _read_options(descriptor: Mapping[str, object], type_name: str, pointer: str, problems: ProblemList) -> dict[str, object]:
    values: dict[str, object] = {}
    for option, types in _OPTION_TYPES.items():
        if option not in descriptor:
            continue
        option_pointer = join_pointer(pointer, option)
        if type_name not in types:
            problems.add(option_pointer, f"The property {option} has no meaning for the type {type_name}.")
        elif option in _OPTIONS:
            attribute, read = _OPTIONS[option]
            values[attribute] = read(descriptor[option], option_pointer, problems)
    return values


def read_missing_values(value: object, pointer: str, problems: ProblemList) -> tuple[str, ...]:
    """Parse a list of texts, or a v2 list of objects with `value` and `label`; returns the values."""
    if not isinstance(value, list):
        problems.add(pointer, f"This must be a list of texts, not {describe_json_type(value)}.")
        return ()
    found = _values_and_labels(value, pointer, problems)
    texts: list[str] = []
    seen: set[str] = set()
    for index, item in found:
        if not isinstance(item, str):
            problems.add(join_pointer(pointer, index), f"A missing value must be text, not {describe_json_type(item)}.")
        elif item in seen:
            problems.add(join_pointer(pointer, index), "This value is given twice.")
        else:
            seen.add(item)
            texts.append(item)
    return tuple(texts)


def _read_name(descriptor: Mapping[str, object], pointer: str, problems: ProblemList) -> str:
    if "name" not in descriptor:
        problems.add(f"{pointer}/name", "A field must have a name.")
        return ""
    name = descriptor["name"]
    if not isinstance(name, str):
        problems.add(f"{pointer}/name", f"A name must be text, not {describe_json_type(name)}.")
        return ""
    return name


def _refuse_misplaced(descriptor: Mapping[str, object], pointer: str, problems: ProblemList) -> None:
    for name in descriptor:
        if name in _KNOWN:
            continue
        right = _BY_FOLDED_NAME.get(name.casefold().replace("_", "").replace("-", ""))
        if right is not None:
            problems.add(join_pointer(pointer, name), f"The property {quote_briefly(name)} is not part of Table Schema. Did you mean {right}?")
        elif name in CONSTRAINT_TYPES:
            problems.add(join_pointer(pointer, name), f"The property {name} belongs in constraints.")
        elif name == "arrayItem":
            problems.add(join_pointer(pointer, name), "This property is not supported. Use the type list, or the constraint jsonSchema.")


def _read_format(descriptor: Mapping[str, object], type_name: str, pointer: str, problems: ProblemList) -> str:
    value = descriptor.get("format", "default")
    pointer = f"{pointer}/format"
    if not isinstance(value, str):
        problems.add(pointer, f"A format must be text, not {describe_json_type(value)}.")
        return "default"
    if len(value) > MAX_FORMAT:
        problems.add(pointer, f"A format must have at most {MAX_FORMAT} characters.")
        return "default"
    # v0 writes fmt:%d.%m.%Y; the standard asks readers to ignore the prefix.
    value = value.removeprefix("fmt:")
    if type_name in _TEMPORAL:
        if value not in ("default", "any") and (message := check_strptime_pattern(value)):
            problems.add(pointer, message)
        return value
    if value not in _FORMATS[type_name]:
        problems.add(pointer, f"The type {type_name} has no such format; it has {', '.join(_FORMATS[type_name])}.")
        return "default"
    return value


def _read_text(value: object, pointer: str, problems: ProblemList) -> str:
    if isinstance(value, str) and 0 < len(value) <= MAX_OPTION:
        return value
    problems.add(
        pointer, "This must be one or more characters." if not value or not isinstance(value, str) else f"At most {MAX_OPTION} characters are allowed."
    )
    return "?"


def _read_texts(value: object, pointer: str, problems: ProblemList) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        problems.add(pointer, "This must be a list of at least one text.")
        return ()
    for index, item in enumerate(value):
        if not isinstance(item, str):
            problems.add(join_pointer(pointer, index), f"This must be text, not {describe_json_type(item)}.")
    return tuple(item for item in value if isinstance(item, str))


def _read_item_type(value: object, pointer: str, problems: ProblemList) -> str:
    if isinstance(value, str) and value in _ITEM_TYPES:
        return value
    problems.add(pointer, f"This must be one of {', '.join(_ITEM_TYPES)}.")
    return "string"


_OPTIONS: Mapping[str, tuple[str, Callable[[object, str, ProblemList], object]]] = {
    "decimalChar": ("decimal_char", _read_text),
    "groupChar": ("group_char", _read_text),
    "bareNumber": ("bare_number", read_bool),
    "trueValues": ("true_values", _read_texts),
    "falseValues": ("false_values", _read_texts),
    "delimiter": ("delimiter", _read_text),
    "itemType": ("item_type", _read_item_type),
    "categoriesOrdered": ("categories_ordered", read_bool),
}


def _check_options(field: Field, pointer: str, problems: ProblemList) -> None:
    for option, text in (("decimalChar", field.decimal_char), ("groupChar", field.group_char)):
        if _SIGNS_AND_DIGITS & set(text):
            problems.add(f"{pointer}/{option}", "This must not contain digits or signs.")
    if field.type == "number" and field.group_char and (field.group_char in field.decimal_char or field.decimal_char in field.group_char):
        problems.add(f"{pointer}/groupChar", "This must differ from decimalChar.")
    false_values = frozenset(field.false_values)
    both = next((text for text in field.true_values if text in false_values), None)
    if both is not None:
        problems.add(f"{pointer}/falseValues", f"The value {json.dumps(quote_briefly(both))} cannot be both true and false.")


def _values_and_labels(items: list[Any], pointer: str, problems: ProblemList) -> list[tuple[int, object]]:
    """Return the values of a list, each with its index: the items themselves, or the `value` of each item if the items are objects."""
    if not any(isinstance(item, dict) for item in items):
        return list(enumerate(items))
    found: list[tuple[int, object]] = []
    labels: set[str] = set()
    for index, item in enumerate(items):
        item_pointer = join_pointer(pointer, index)
        if not isinstance(item, dict):
            problems.add(item_pointer, "Either all items of this list must be objects, or none.")
            continue
        label = item.get("label")
        if "value" not in item:
            problems.add(f"{item_pointer}/value", "An object in this list must have a value.")
        else:
            found.append((index, item["value"]))
        if "label" in item and not isinstance(label, str):
            problems.add(f"{item_pointer}/label", f"A label must be text, not {describe_json_type(label)}.")
        elif isinstance(label, str):
            if label in labels:
                problems.add(f"{item_pointer}/label", "This label is given twice.")
            labels.add(label)
    return found


def _read_categories(value: object, field: Field, pointer: str, problems: ProblemList) -> tuple[object, ...]:
    if not isinstance(value, list) or not value:
        problems.add(pointer, "This must be a list of at least one category.")
        return ()
    items = _values_and_labels(value, pointer, problems)
    judge_each(items, field, pointer, problems)
    return tuple(item for _, item in items)
