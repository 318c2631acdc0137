"""Check the JSON Schema of a `jsonSchema` constraint before it is used: its form, its references and its regular expressions."""

from __future__ import annotations

import json
import re
import warnings
from collections import deque
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

import jsonschema
import referencing
import referencing.exceptions
import referencing.jsonschema

from shared.descriptors.problems import Place, ProblemList, describe_json_type, pointer_of
from shared.texts import quote_briefly

_REFERENCES = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})
_NAMES = ("$id", "id", "$anchor", "$dynamicAnchor", "$recursiveAnchor")
"""Members that give a part of a JSON Schema a name of its own, by which references find it."""
_DRAFTS = (
    jsonschema.Draft3Validator,
    jsonschema.Draft4Validator,
    jsonschema.Draft6Validator,
    jsonschema.Draft7Validator,
    jsonschema.Draft201909Validator,
    jsonschema.Draft202012Validator,
)
_BY_NAME = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"})
"""Keywords whose value is an object with a schema for each name."""
_NESTED = frozenset(
    {
        *("additionalItems", "additionalProperties", "allOf", "anyOf", "contains", "contentSchema", "disallow", "else", "extends", "if", "items", "not"),
        *("oneOf", "prefixItems", "propertyNames", "then", "type", "unevaluatedItems", "unevaluatedProperties"),
    }
)
"""Keywords whose value is a schema, or a list of them, in any version; other members hold no schema, unless a reference points there."""
_DRAFT3_ONLY = frozenset({"disallow", "extends", "type"})
_ANY_TEXT = frozenset({"title", "description", "$comment", "pattern", "format", "$ref"})
"""Keywords that may have any text."""
_MEMO_CHARACTERS = 1000


def check_json_schema(value: object, pointer: str, problems: ProblemList) -> None:
    """Add a problem for whatever keeps this JSON Schema from being used as its author means it."""
    if not isinstance(value, dict):
        problems.add(pointer, f"A JSON Schema must be an object here, not {describe_json_type(value)}.")
        return
    draft = find_draft(value)
    if draft is None:
        problems.add(f"{pointer}/$schema", "This version of JSON Schema is not known.")
        return
    references = list(_list_references(value))
    for place, reference in references:
        if not reference.startswith("#"):
            problems.add(pointer_of(pointer, place), "Only references within the same JSON Schema (#...) can be followed.")
    count = len(problems.problems)
    _check_forms(value, _FormCheck(draft), pointer, problems)
    if references and len(problems.problems) == count:
        # Only now is it certain that names and references are texts.
        try:
            _check_references(value, _FormCheck(draft), _Resolver(value, draft), pointer, problems)
        except (AttributeError, LookupError, TypeError, ValueError):
            # The library looks for names also where the metaschema allows anything.
            problems.add(pointer, "This is not valid JSON Schema: references in it cannot be followed.")


def _check_forms(schema: dict[str, Any], form: _FormCheck, pointer: str, problems: ProblemList) -> None:
    """Check the form of each schema within a JSON Schema, and its regular expressions."""
    pending: list[tuple[object, Place]] = [(schema, None)]
    while pending:
        part, place = pending.pop()
        if not isinstance(part, dict) or not part:
            continue
        for path in form.find_problems(part):
            problems.add(pointer_of(pointer, place, *path), "This is not valid JSON Schema.")
        for here, expression in _list_expressions(part, place):
            _check_expression(expression, pointer, here, problems)
        pending.extend((child, here) for here, child in reversed(list(form.list_subschemas(part, place))))


def _check_references(schema: dict[str, Any], form: _FormCheck, references: _Resolver, pointer: str, problems: ProblemList) -> None:
    """Check that each reference leads somewhere, and also the regular expressions of what is only there to be referred to."""
    pending: deque[tuple[object, Place, Any, bool]] = deque([(schema, None, references.root, True)])
    seen: set[int] = set()
    while pending:
        part, place, scope, was_checked = pending.pop()
        if not isinstance(part, dict) or not part or id(part) in seen:
            continue
        seen.add(id(part))
        if place is not None:
            scope = references.enter(part, scope)
        if not was_checked:
            for here, expression in _list_expressions(part, place):
                _check_expression(expression, pointer, here, problems)
        for name in _REFERENCES & part.keys():
            reference = part[name]
            if not isinstance(reference, str) or not reference.startswith("#"):
                continue
            target = references.find(reference, scope)
            if target is None:
                problems.add(pointer_of(pointer, (place, name)), "This reference leads nowhere: the JSON Schema has no such part.")
            else:
                # Looked at last, when all parts that stand where schemas are looked for have been seen.
                pending.appendleft((target[0], (place, name), target[1], False))
        pending.extend((child, here, scope, was_checked) for here, child in reversed(list(form.list_subschemas(part, place))))


class _FormCheck:
    """Checks each schema within a JSON Schema against the metaschema of its version, without the schemas in it, which are checked by themselves.

    The library takes 200 µs for the smallest schema, so schemas that differ only in what any value satisfies are checked once.
    """

    def __init__(self, draft: type[jsonschema.protocols.Validator]) -> None:
        is_draft3 = draft is jsonschema.Draft3Validator
        self._takes_booleans = not is_draft3 and draft is not jsonschema.Draft4Validator
        # The versions from 2019-09 on spread their keywords over several documents, and have all of them.
        known = draft.META_SCHEMA["properties"].keys() if draft not in _DRAFTS[-2:] else _BY_NAME | _NESTED
        self._by_name = _BY_NAME & known
        foreign = {*(() if is_draft3 else _DRAFT3_ONLY), *(("prefixItems",) if draft is jsonschema.Draft201909Validator else ())}
        self._nested = _NESTED & known - foreign
        self._validator = draft(draft.META_SCHEMA)
        self._good: set[str] = set()

    def find_problems(self, part: dict[str, Any]) -> Iterator[Sequence[str | int]]:
        """Yield the path within this schema of whatever is wrong with it."""
        shallow: dict[str, Any] = {name: self._reduce(name, child) for name, child in part.items()}
        key = json.dumps(shallow, sort_keys=True)
        if key in self._good:
            return
        is_good = True
        for error in self._validator.iter_errors(shallow):
            is_good = False
            yield list(error.absolute_path)
        if is_good and len(key) <= _MEMO_CHARACTERS:
            self._good.add(key)

    def _reduce(self, name: str, child: object) -> object:
        """Return what the metaschema says the same of as of `child`, with schemas left out."""
        if name in self._by_name and isinstance(child, dict):
            return {key: item for key, item in child.items() if not isinstance(item, dict)}
        if name in self._nested and isinstance(child, dict):
            return {}
        if name in self._nested and name != "type" and isinstance(child, list) and all(map(self._is_schema, child)):
            return [{}] if child else []
        if name in _ANY_TEXT and isinstance(child, str):
            return ""
        if isinstance(child, int | float) and not isinstance(child, bool) and child > 0:
            # The metaschemas ask whether a number is whole, and whether it is positive.
            return 1 if isinstance(child, int) else 1.0 if child.is_integer() else 0.5
        return child

    def _is_schema(self, item: object) -> bool:
        return isinstance(item, dict) or (self._takes_booleans and isinstance(item, bool))

    def list_subschemas(self, part: dict[str, Any], place: Place) -> Iterator[tuple[Place, object]]:
        """Yield every schema directly within another one, and its place."""
        for name, child in part.items():
            here = (place, name)
            if name in self._by_name and isinstance(child, dict):
                yield from (((here, key), item) for key, item in child.items())
            elif name in self._nested and isinstance(child, list):
                yield from (((here, index), item) for index, item in enumerate(child))
            elif name in self._nested:
                yield here, child


class _Resolver:
    """Finds what references within one JSON Schema refer to. A scope is what a reference is relative to."""

    def __init__(self, schema: dict[str, Any], draft: type[jsonschema.protocols.Validator]) -> None:
        self._schema = schema
        self._specification = referencing.jsonschema.specification_with(str(draft.META_SCHEMA.get("$id", draft.META_SCHEMA.get("id"))))
        self.root: Any = None
        if _has_names(schema):
            resource = self._specification.create_resource(schema)
            registry: referencing.Registry[Any] = referencing.Registry().with_resource(resource.id() or "", resource).crawl()
            self.root = registry.resolver(resource.id() or "")

    def enter(self, part: dict[str, Any], scope: Any) -> Any:  # noqa: ANN401 - None, or a resolver of the library
        """Return the scope of references within `part`."""
        return scope if scope is None else scope.in_subresource(self._specification.create_resource(part))

    def find(self, reference: str, scope: Any) -> tuple[object, Any] | None:  # noqa: ANN401 - None, or a resolver of the library
        """Return the part that `reference` refers to and the scope within it; None if there is no such part."""
        try:
            if scope is None:
                return self._follow(reference), None
            found = scope.lookup(reference)
        except (referencing.exceptions.Unresolvable, ValueError, LookupError, TypeError):
            return None
        return found.contents, found.resolver

    def _follow(self, reference: str) -> object:
        """Follow a JSON pointer (RFC 6901) in a JSON Schema none of whose parts has a name; the library takes 200 µs for each."""
        part: Any = self._schema
        pointer = unquote(reference[1:])
        if not pointer:
            return part
        if pointer[0] != "/":
            raise LookupError(pointer)
        for step in pointer[1:].split("/"):
            part = part[int(step)] if isinstance(part, list) else part[step.replace("~1", "/").replace("~0", "~")]
        return part


def _has_names(schema: object) -> bool:
    pending = [schema]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            if any(isinstance(item.get(name), str | bool) for name in _NAMES):
                return True
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
    return False


def find_draft(schema: Mapping[str, object]) -> type[jsonschema.protocols.Validator] | None:
    """Return the validator for the version that `$schema` names (2020-12 if it is absent); None if that version is not known."""
    dialect = schema.get("$schema", jsonschema.Draft202012Validator.META_SCHEMA["$id"])
    if not isinstance(dialect, str):
        return None
    known = {str(draft.META_SCHEMA.get("$id", draft.META_SCHEMA.get("id"))).removesuffix("#"): draft for draft in _DRAFTS}
    return known.get(dialect.removesuffix("#"))


def _find_repeated(validator: Any, unique: object, instance: object, schema: object) -> Iterator[jsonschema.ValidationError]:  # noqa: ANN401 - untyped in the library
    """Check `uniqueItems` by hashes: the library compares each item with each other one if they cannot be sorted, and quotes the whole list."""
    del validator, schema
    if unique is True and isinstance(instance, list) and len({_identity(item) for item in instance}) < len(instance):
        yield jsonschema.ValidationError("The items are not unique.")


def _identity(value: object) -> Hashable:
    if isinstance(value, dict):
        return ("object", frozenset((key, _identity(item)) for key, item in value.items()))
    if isinstance(value, list):
        return ("array", tuple(map(_identity, value)))
    # 1 and true are equal in Python, but not in JSON.
    return ("boolean", value) if isinstance(value, bool) else value if isinstance(value, Hashable) else str(value)


for _draft in _DRAFTS:
    # Validators of subschemas are made by the library itself, from `$schema`, so that a subclass would not be asked.
    _draft.VALIDATORS["uniqueItems"] = _find_repeated


def _list_references(value: object) -> Iterator[tuple[Place, str]]:
    """Yield every reference and its place."""
    pending: list[tuple[object, Place]] = [(value, None)]
    while pending:
        item, place = pending.pop()
        if isinstance(item, dict):
            for key, child in item.items():
                if key in _REFERENCES and isinstance(child, str):
                    yield (place, key), child
                else:
                    pending.append((child, (place, key)))
        elif isinstance(item, list):
            pending.extend((child, (place, index)) for index, child in enumerate(item))


def _list_expressions(part: dict[str, Any], place: Place) -> Iterator[tuple[Place, str]]:
    """Yield every regular expression of one schema, and its place."""
    if isinstance(part.get("pattern"), str):
        yield (place, "pattern"), part["pattern"]
    by_pattern = part.get("patternProperties")
    if isinstance(by_pattern, dict):
        for expression in by_pattern:
            yield ((place, "patternProperties"), expression), expression


def _check_expression(expression: str, pointer: str, place: Place, problems: ProblemList) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            re.compile(expression)
        except (re.error, RecursionError, OverflowError) as error:
            problems.add(pointer_of(pointer, place), f"This is not a regular expression that can be used: {quote_briefly(str(error))}.")
