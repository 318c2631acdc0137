"""Rule that allows only listed values, for `enum` and `categories`."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from features.processing.checking.declarations import ColumnRule
from features.processing.checking.params import make_params
from features.processing.checking.type_rule import Typed, is_compared_as_text
from features.processing.column import Mask, TextSet
from shared.descriptors.table_schema import Field, constraint_parser, identity_of
from shared.texts import list_briefly


def build_list_rule(field: Field, name: str, given: Sequence[object] | None) -> ColumnRule | None:
    """Build the rule that allows the values in `given`; None if there is no list. `name` (such as `enum`) is that of its params."""
    if given is None:
        return None
    parse = constraint_parser(field)
    allowed = frozenset(identity_of(parse(item)) for item in given)
    texts = [item if isinstance(item, str) else json.dumps(item) for item in given]
    message = f"This value must be one of {list_briefly(texts)}."
    is_text = is_compared_as_text(field)
    # Texts that are allowed as they are; for types other than text the same value may be written differently (01 for 1).
    known = texts if is_text or field.type in ("integer", "number") else [item for item in given if isinstance(item, str)]
    value_set = TextSet(known)

    def find_bad(typed: Typed) -> Mask:
        found = value_set.find_in(typed.column)
        bad = ~found if typed.as_written is None else ~(found & typed.as_written)
        if not is_text:
            doubtful = np.flatnonzero(bad & typed.ok)
            bad[doubtful] = [identity_of(value) not in allowed for value in typed.values(doubtful)]
        return bad

    return ColumnRule(message=message, find_bad_values=find_bad, params=make_params(**{name: given}))
