"""Parse a Table Schema descriptor, or refuse it with a pointer for each problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shared.descriptors.problems import ProblemList, decode_descriptor, describe_json_type, join_pointer, require_object
from shared.descriptors.table_schema.model import Field, ForeignKey, TableSchema
from shared.descriptors.table_schema.parse_field import FIELD_ONLY, parse_field, read_missing_values
from shared.texts import quote_briefly

ROOT = "/schema"
MAX_FIELDS = 16_384
MAX_KEYS = 64
"""Most entries of `uniqueKeys` and of `foreignKeys`: each of them has its own set of the file's values."""
FIELDS_MATCH = ("exact", "equal", "subset", "superset", "partial")
_PROPERTIES = ("fields", "fieldsMatch", "missingValues", "primaryKey", "uniqueKeys", "foreignKeys")
_REFERENCE_PROPERTIES = frozenset({"fields", "resource"})


def parse_table_schema_json(text: str | bytes) -> TableSchema:
    """Parse the schema in a form field. Raises `DescriptorInvalid` with every problem; pointers start at `/schema`."""
    return parse_table_schema(decode_descriptor(text, root=ROOT))


def parse_table_schema(descriptor: object) -> TableSchema:
    """Parse a schema that is already decoded from JSON. Raises `DescriptorInvalid` with every problem."""
    descriptor = require_object(descriptor, root=ROOT, noun="schema")
    problems = ProblemList()
    if "fields" not in descriptor and (other := _recognise(descriptor)) is not None:
        problems.add(ROOT, other)
        problems.raise_if_any()
    _refuse_misplaced(descriptor, problems)
    fields = _parse_fields(descriptor, problems)
    # Names are known even if a field is refused, so keys are checked in the same pass.
    names = _names_in(descriptor)
    missing_values = read_missing_values(descriptor["missingValues"], f"{ROOT}/missingValues", problems) if "missingValues" in descriptor else ("",)
    fields_match = _read_fields_match(descriptor["fieldsMatch"], problems) if "fieldsMatch" in descriptor else "exact"
    primary_key = _read_key(descriptor["primaryKey"], f"{ROOT}/primaryKey", names, problems) if "primaryKey" in descriptor else ()
    unique_keys = _read_unique_keys(descriptor["uniqueKeys"], names, problems) if "uniqueKeys" in descriptor else ()
    foreign_keys = _read_foreign_keys(descriptor["foreignKeys"], names, problems) if "foreignKeys" in descriptor else ()
    problems.raise_if_any()
    return TableSchema(
        fields=fields,
        missing_values=missing_values,
        primary_key=primary_key,
        unique_keys=unique_keys,
        foreign_keys=foreign_keys,
        fields_match=fields_match,
        descriptor=descriptor,
    )


def _recognise(descriptor: Mapping[str, object]) -> str | None:
    """Say what a descriptor without fields is if it is of another kind that people send as a schema; None if it is of none."""
    if "resources" in descriptor:
        return "This is a data package. Send the Table Schema of one of its resources: the object in resources/0/schema."
    if isinstance(descriptor.get("schema"), dict):
        return "This is a data resource, or a Table Schema within another object. Send the Table Schema alone: the object in its schema."
    if "tableSchema" in descriptor or "@context" in descriptor:
        return "This is metadata for CSV on the Web. Send a Table Schema: an object with fields, each with a name and a type."
    if "properties" in descriptor or "json-schema.org" in str(descriptor.get("$schema", ""))[:200]:
        return (
            "This is a JSON Schema, which describes objects. Send a Table Schema: an object with fields, each with a name and a type; "
            "a field of the type object may have your JSON Schema as the constraint jsonSchema."
        )
    return None


def _refuse_misplaced(descriptor: Mapping[str, object], problems: ProblemList) -> None:
    known = {name.casefold(): name for name in _PROPERTIES}
    for name in descriptor:
        right = known.get(name.casefold().replace("_", "").replace("-", ""))
        if right is not None and name != right:
            problems.add(join_pointer(ROOT, name), f"The property {quote_briefly(name)} is not part of Table Schema. Did you mean {right}?")
        elif name in FIELD_ONLY:
            problems.add(join_pointer(ROOT, name), f"The property {name} belongs to a field, not to the schema.")


def _parse_fields(descriptor: Mapping[str, object], problems: ProblemList) -> tuple[Field, ...]:
    pointer = f"{ROOT}/fields"
    if "fields" not in descriptor:
        problems.add(pointer, "A schema must have fields.")
        return ()
    given = descriptor["fields"]
    if not isinstance(given, list):
        problems.add(pointer, f"The fields must be a list, not {describe_json_type(given)}.")
        return ()
    if not 1 <= len(given) <= MAX_FIELDS:
        problems.add(pointer, f"A schema must have between 1 and {MAX_FIELDS} fields.")
        return ()
    fields: list[Field] = []
    seen: dict[str, int] = {}
    for index, item in enumerate(given):
        field_pointer = f"{pointer}/{index}"
        field = parse_field(item, field_pointer, problems)
        name = item.get("name") if isinstance(item, dict) else None
        if isinstance(name, str):
            if name in seen:
                problems.add(f"{field_pointer}/name", f"Field {seen[name] + 1} already has this name; names must be unique.")
            seen.setdefault(name, index)
        if field is not None:
            fields.append(field)
    return tuple(fields)


def _names_in(descriptor: Mapping[str, object]) -> frozenset[str]:
    fields = descriptor.get("fields")
    items: Sequence[object] = fields if isinstance(fields, list) else ()
    return frozenset(item["name"] for item in items if isinstance(item, dict) and isinstance(item.get("name"), str))


def _read_fields_match(value: object, problems: ProblemList) -> str:
    pointer = f"{ROOT}/fieldsMatch"
    # The text of v2 specifies a string, its published profile an array; both are in use.
    if isinstance(value, list):
        if len(value) != 1:
            problems.add(pointer, "This list must hold one value.")
            return "exact"
        pointer, value = f"{pointer}/0", value[0]
    if not isinstance(value, str) or value not in FIELDS_MATCH:
        problems.add(pointer, f"This must be one of {', '.join(FIELDS_MATCH)}.")
        return "exact"
    return value


def _read_key(value: object, pointer: str, names: frozenset[str], problems: ProblemList) -> tuple[str, ...]:
    if isinstance(value, str):
        if value not in names:
            problems.add(pointer, f"There is no field {quote_briefly(value)}.")
        return (value,)
    if not isinstance(value, list) or not value:
        problems.add(pointer, f"This must be a list of field names, not {'an empty list' if value == [] else describe_json_type(value)}.")
        return ()
    seen: set[str] = set()
    for index, name in enumerate(value):
        item_pointer = join_pointer(pointer, index)
        if not isinstance(name, str):
            problems.add(item_pointer, f"This must be a field name, not {describe_json_type(name)}.")
        elif name not in names:
            problems.add(item_pointer, f"There is no field {quote_briefly(name)}.")
        elif name in seen:
            problems.add(item_pointer, f"The field {quote_briefly(name)} is named twice.")
        else:
            seen.add(name)
    return tuple(name for name in value if isinstance(name, str))


def _read_unique_keys(value: object, names: frozenset[str], problems: ProblemList) -> tuple[tuple[str, ...], ...]:
    pointer = f"{ROOT}/uniqueKeys"
    if not isinstance(value, list) or not value:
        problems.add(pointer, f"This must be a list of keys, not {'an empty list' if value == [] else describe_json_type(value)}.")
        return ()
    if len(value) > MAX_KEYS:
        problems.add(pointer, f"A schema may have at most {MAX_KEYS} unique keys.")
        return ()
    keys: list[tuple[str, ...]] = []
    seen: set[frozenset[str]] = set()
    for index, item in enumerate(value):
        item_pointer = join_pointer(pointer, index)
        if isinstance(item, str):
            problems.add(item_pointer, "Each unique key must be a list of field names.")
            continue
        key = _read_key(item, item_pointer, names, problems)
        if key and frozenset(key) in seen:
            problems.add(item_pointer, "This key is given twice.")
        seen.add(frozenset(key))
        keys.append(key)
    return tuple(keys)


def _read_foreign_keys(value: object, names: frozenset[str], problems: ProblemList) -> tuple[ForeignKey, ...]:
    pointer = f"{ROOT}/foreignKeys"
    if not isinstance(value, list):
        problems.add(pointer, f"This must be a list of foreign keys, not {describe_json_type(value)}.")
        return ()
    if len(value) > MAX_KEYS:
        problems.add(pointer, f"A schema may have at most {MAX_KEYS} foreign keys.")
        return ()
    keys = [_read_foreign_key(item, join_pointer(pointer, index), names, problems) for index, item in enumerate(value)]
    return tuple(key for key in keys if key is not None)


def _read_foreign_key(value: object, pointer: str, names: frozenset[str], problems: ProblemList) -> ForeignKey | None:
    if not isinstance(value, dict):
        problems.add(pointer, f"A foreign key must be an object, not {describe_json_type(value)}.")
        return None
    fields: tuple[str, ...] = ()
    if "fields" in value:
        fields = _read_key(value["fields"], f"{pointer}/fields", names, problems)
    else:
        problems.add(f"{pointer}/fields", "A foreign key must name its fields.")
    reference = value.get("reference")
    if not isinstance(reference, dict):
        problems.add(f"{pointer}/reference", "A foreign key must have a reference, and it must be an object.")
        return None
    for name in reference:
        if name not in _REFERENCE_PROPERTIES:
            problems.add(join_pointer(pointer, "reference", name), f"The property {quote_briefly(name)} is not part of a reference.")
    resource = reference.get("resource", "")
    # v0 writes "self", v1 "", and v2 leaves it out.
    if resource not in ("", "self"):
        problems.add(f"{pointer}/reference/resource", "Only references within the same file can be checked: leave this out.")
        return None
    if "fields" not in reference:
        problems.add(f"{pointer}/reference/fields", "A reference must name its fields.")
        return None
    reference_fields = _read_key(reference["fields"], f"{pointer}/reference/fields", names, problems)
    if fields and reference_fields and len(fields) != len(reference_fields):
        problems.add(f"{pointer}/reference/fields", f"This must name as many fields as the key has: {len(fields)}.")
    return ForeignKey(fields=fields, reference_fields=reference_fields)
