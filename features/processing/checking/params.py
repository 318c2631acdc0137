"""The values that an error's sentence says, for programs: `{"minimum": 1}`. They are bounded like the sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from shared.descriptors.table_schema import Field
from shared.texts import make_storable

_MAX_ITEMS = 100
_MAX_CHARACTERS = 4_000
"""Of all values as JSON: what takes more is left out."""


def make_params(**given: object) -> dict[str, Any]:
    """Return the values that are not None, as JSON; long texts and lists are cut, and values that are still too long are left out."""
    params: dict[str, Any] = {}
    left = _MAX_CHARACTERS
    for name, value in given.items():
        if value is None:
            continue
        bounded = _bound(value)
        left -= len(json.dumps(bounded))
        if left < 0:
            break
        params[name] = bounded
    return params


def type_params(field: Field) -> dict[str, Any]:
    """Return what a value of the field has to be: its type, and its format and ways of writing if they are not the usual ones."""
    is_number, is_boolean = field.type in ("integer", "number"), field.type == "boolean"
    return make_params(
        type=field.type,
        format=field.format if field.format != "default" else None,
        decimal_char=field.decimal_char if is_number and field.decimal_char != "." else None,
        group_char=(field.group_char or None) if is_number else None,
        true_values=field.true_values if is_boolean else None,
        false_values=field.false_values if is_boolean else None,
    )


def _bound(value: object) -> Any:  # noqa: ANN401  # JSON
    if isinstance(value, str):
        return make_storable(value)
    if isinstance(value, Mapping):
        return {str(name): _bound(item) for name, item in list(value.items())[:_MAX_ITEMS]}
    if isinstance(value, Sequence):
        return [_bound(item) for item in value[:_MAX_ITEMS]]
    return value
