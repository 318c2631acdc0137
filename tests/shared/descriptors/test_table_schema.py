"""A Table Schema is either accepted completely or refused with every problem at its pointer; hostile input neither passes nor crashes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.descriptors.table_schema import DescriptorInvalid, ForeignKey, TableSchema, parse_table_schema, parse_table_schema_json


def _problems(descriptor: object) -> dict[str, str]:
    with pytest.raises(DescriptorInvalid) as caught:
        parse_table_schema_json(descriptor) if isinstance(descriptor, str | bytes) else parse_table_schema(descriptor)
    return {problem.pointer: problem.message for problem in caught.value.problems}


def _field(**properties: Any) -> dict[str, Any]:
    return {"fields": [{"name": "a", **properties}]}


def test_full_descriptor_is_taken_and_kept_as_it_was() -> None:
    descriptor = {
        "$schema": "https://datapackage.org/profiles/2.0/tableschema.json",
        "title": "Orders",
        "fields": [
            {
                "name": "id",
                "type": "integer",
                "title": "Id",
                "description": "…",
                "example": 1,
                "rdfType": "http://x/y",
                "constraints": {"required": True, "minimum": "1"},
            },
            {"name": "parent", "type": "integer", "groupChar": ",", "bareNumber": False},
            {"name": "price", "type": "number", "decimalChar": ",", "constraints": {"exclusiveMinimum": 0, "enum": [1, 2.5]}},
            {
                "name": "size",
                "categories": [{"value": "S", "label": "small"}, {"value": "L"}],
                "categoriesOrdered": True,
                "type": "string",
                "constraints": {"enum": ["S"]},
            },
            {"name": "when", "type": "datetime", "format": "%d.%m.%Y %H:%M", "missingValues": [{"value": "-", "label": "unknown"}]},
            {"name": "tags", "type": "list", "itemType": "integer", "delimiter": ";", "constraints": {"minLength": 1, "maxLength": 3}},
            {"name": "flag", "type": "boolean", "trueValues": ["ja"], "falseValues": ["nein"], "constraints": {"enum": [True]}},
            {"name": "extra", "type": "object", "constraints": {"jsonSchema": {"type": "object"}}},
            {"name": "any"},
        ],
        "primaryKey": ["id"],
        "uniqueKeys": [["parent", "price"]],
        "foreignKeys": [{"fields": ["parent"], "reference": {"fields": ["id"]}}],
        "missingValues": ["", "NA"],
        "fieldsMatch": ["subset"],
    }
    schema = parse_table_schema_json(json.dumps(descriptor))
    assert schema.descriptor == descriptor
    assert schema == parse_table_schema_json(json.dumps(schema.descriptor))
    assert (schema.primary_key, schema.unique_keys, schema.fields_match, schema.missing_values) == (("id",), (("parent", "price"),), "subset", ("", "NA"))
    assert schema.foreign_keys == (ForeignKey(fields=("parent",), reference_fields=("id",)),)
    by_name = {field.name: field for field in schema.fields}
    assert by_name["size"].categories == ("S", "L")
    assert by_name["when"].missing_values == ("-",)
    assert by_name["any"].type == "any"


def test_v1_forms_of_keys_are_taken() -> None:
    schema = parse_table_schema(
        {"fields": [{"name": "a"}, {"name": "b"}], "primaryKey": "a", "foreignKeys": [{"fields": "b", "reference": {"resource": "", "fields": "a"}}]}
    )
    assert schema.primary_key == ("a",)
    assert schema.foreign_keys == (ForeignKey(fields=("b",), reference_fields=("a",)),)


@pytest.mark.parametrize(("type_name", "given", "used"), [("date", "fmt:%d.%m.%Y", "%d.%m.%Y"), ("time", "fmt:any", "any"), ("string", "fmt:email", "email")])
def test_v0_prefix_of_a_format_is_read_past(type_name: str, given: str, used: str) -> None:
    schema = parse_table_schema(_field(type=type_name, format=given))
    assert schema.fields[0].format == used
    assert schema.descriptor == _field(type=type_name, format=given)


def test_every_problem_is_told_at_its_pointer() -> None:
    problems = _problems(
        {
            "fields": [
                {"name": "a", "type": "integer", "constraints": {"minimum": "abc", "required": 1, "foo": 2, "enum": [1, "1", "x"]}},
                {"name": "a", "type": "nonsense"},
                {"type": "date", "format": "%Q"},
                3,
                {"name": "e/~", "type": "string", "constraints": {"minimum": 1, "pattern": "(", "minLength": -1}},
            ],
            "primaryKey": ["z", "a", "a"],
            "uniqueKeys": [],
            "foreignKeys": [{"fields": "a", "reference": {"resource": "other", "fields": "b"}}, {"fields": ["a"], "reference": {"fields": ["a", "e/~"]}}],
            "missingValues": ["", "", 1],
            "fieldsMatch": "most",
            "primarykey": "a",
        },
    )
    assert set(problems) == {
        "/schema/fields/0/constraints/minimum",
        "/schema/fields/0/constraints/required",
        "/schema/fields/0/constraints/foo",
        "/schema/fields/0/constraints/enum/1",
        "/schema/fields/0/constraints/enum/2",
        "/schema/fields/1/type",
        "/schema/fields/1/name",
        "/schema/fields/2/name",
        "/schema/fields/2/format",
        "/schema/fields/3",
        "/schema/fields/4/constraints/minimum",
        "/schema/fields/4/constraints/pattern",
        "/schema/fields/4/constraints/minLength",
        "/schema/primaryKey/0",
        "/schema/primaryKey/2",
        "/schema/uniqueKeys",
        "/schema/foreignKeys/0/reference/resource",
        "/schema/foreignKeys/1/reference/fields",
        "/schema/missingValues/1",
        "/schema/missingValues/2",
        "/schema/fieldsMatch",
        "/schema/primarykey",
    }
    assert all(message.endswith((".", "?")) for message in problems.values())


@pytest.mark.parametrize(
    ("descriptor", "pointer"),
    [
        ([], "/schema"),
        (None, "/schema"),
        ({}, "/schema/fields"),
        ({"fields": {}}, "/schema/fields"),
        ({"fields": []}, "/schema/fields"),
        ({"fields": [{"name": str(number)} for number in range(16_385)]}, "/schema/fields"),
        (_field(name=1), "/schema/fields/0/name"),
        (_field(type=["string"]), "/schema/fields/0/type"),
        (_field(type="integer", format="x"), "/schema/fields/0/format"),
        (_field(type="date", format="YYYY"), "/schema/fields/0/format"),
        (_field(type="date", format="fmt:Y"), "/schema/fields/0/format"),
        (_field(type="date", format="%Y %Y"), "/schema/fields/0/format"),
        (_field(type="string", decimalChar=","), "/schema/fields/0/decimalChar"),
        (_field(type="number", decimalChar="1"), "/schema/fields/0/decimalChar"),
        (_field(type="number", groupChar="."), "/schema/fields/0/groupChar"),
        (_field(type="boolean", trueValues=["x"], falseValues=["x"]), "/schema/fields/0/falseValues"),
        (_field(type="boolean", trueValues=[]), "/schema/fields/0/trueValues"),
        (_field(type="list", itemType="object"), "/schema/fields/0/itemType"),
        (_field(type="number", categories=[1]), "/schema/fields/0/categories"),
        (_field(type="integer", categories=[1, "1"]), "/schema/fields/0/categories/1"),
        (_field(type="integer", categories=[{"label": "x"}]), "/schema/fields/0/categories/0/value"),
        (_field(type="integer", categories=[1], constraints={"enum": [2]}), "/schema/fields/0/constraints/enum/0"),
        (_field(type="integer", categoriesOrdered=True), "/schema/fields/0/categoriesOrdered"),
        (_field(required=True), "/schema/fields/0/required"),
        (_field(missingvalues=[""]), "/schema/fields/0/missingvalues"),
        (_field(arrayItem={}), "/schema/fields/0/arrayItem"),
        (_field(missingValues=[{"value": ""}, "x"]), "/schema/fields/0/missingValues/1"),
        (_field(constraints=[]), "/schema/fields/0/constraints"),
        (_field(type="string", constraints={"minLength": 3, "maxLength": 2}), "/schema/fields/0/constraints/maxLength"),
        (_field(type="integer", constraints={"minimum": True}), "/schema/fields/0/constraints/minimum"),
        (_field(type="integer", constraints={"minimum": 1.5}), "/schema/fields/0/constraints/minimum"),
        (_field(type="date", constraints={"minimum": 2020}), "/schema/fields/0/constraints/minimum"),
        (_field(type="date", format="%d/%m/%Y", constraints={"minimum": "2020-01-01"}), "/schema/fields/0/constraints/minimum"),
        (_field(type="string", constraints={"enum": []}), "/schema/fields/0/constraints/enum"),
        (_field(type="object", constraints={"jsonSchema": {"type": "x"}}), "/schema/fields/0/constraints/jsonSchema/type"),
        (_field(type="object", constraints={"jsonSchema": {"$ref": "http://127.0.0.1/x"}}), "/schema/fields/0/constraints/jsonSchema/$ref"),
        (_field(type="object", constraints={"jsonSchema": {"$schema": "http://127.0.0.1/x"}}), "/schema/fields/0/constraints/jsonSchema/$schema"),
        (_field(type="string", constraints={"jsonSchema": {}}), "/schema/fields/0/constraints/jsonSchema"),
        ({"fields": [{"name": "a"}], "constraints": {}}, "/schema/constraints"),
        ({"fields": [{"name": "a"}], "foreignKeys": [{"fields": "a"}]}, "/schema/foreignKeys/0/reference"),
        (_field(title="\x00"), "/schema/fields/0/title"),
        (_field(title="\ud800"), "/schema/fields/0/title"),
        (_field(x=float("inf")), "/schema/fields/0/x"),
        ('{"fields": [1,]}', "/schema"),
        ('{"fields": [], "fields": []}', "/schema"),
        ('{"x": NaN}', "/schema"),
        ("1" + "0" * 5000, "/schema"),
        ("[" * 100_000, "/schema"),
        ('{"a":' * 100_000, "/schema"),
        (b"\xff", "/schema"),
        (b"", "/schema"),
        (" " * (2**20 + 1), "/schema"),
    ],
)
def test_wrong_or_hostile_descriptor_is_refused_at_its_pointer(descriptor: object, pointer: str) -> None:
    assert list(_problems(descriptor)) == [pointer]


def test_bad_json_tells_line_and_column() -> None:
    assert "line 2, column 3" in _problems("{\n  x}")["/schema"]


def test_nesting_is_bounded() -> None:
    value: object = 1
    for _ in range(100):
        value = [value]
    assert next(iter(_problems(_field(x=value)))).startswith("/schema/fields/0/x/0/0")


def test_bom_before_the_descriptor_does_no_harm() -> None:
    assert parse_table_schema_json(b'\xef\xbb\xbf{"fields": [{"name": "a"}]}').fields[0].name == "a"


_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.floats(), st.text(max_size=3), st.sampled_from(["integer", "string", "a", "exact", "default"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                [
                    "fields",
                    "name",
                    "type",
                    "format",
                    "constraints",
                    "enum",
                    "minimum",
                    "pattern",
                    "primaryKey",
                    "foreignKeys",
                    "reference",
                    "missingValues",
                    "uniqueKeys",
                    "categories",
                    "value",
                    "jsonSchema",
                    "$ref",
                ],
            ),
            inner,
            max_size=5,
        ),
    ),
    max_leaves=25,
)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    _JSON, st.lists(st.dictionaries(st.sampled_from(["name", "type", "format", "constraints", "categories", "missingValues", "trueValues"]), _JSON), max_size=3)
)
def test_any_json_is_taken_or_refused_and_never_a_crash(value: Any, fields: list[Any]) -> None:
    for descriptor in (value, {"fields": fields} | (value if isinstance(value, dict) else {})):
        try:
            schema = parse_table_schema(descriptor)
        except DescriptorInvalid as error:
            refused = error
        else:
            assert isinstance(schema, TableSchema)
            json.dumps(schema.descriptor, allow_nan=False)
            continue
        assert refused.problems
        assert all(problem.pointer.startswith("/schema") for problem in refused.problems)


@pytest.mark.parametrize(
    ("descriptor", "name"),
    [
        ({"name": "p", "resources": [{"name": "r", "schema": {"fields": []}}]}, "data package"),
        ({"name": "r", "path": "r.csv", "schema": {"fields": [{"name": "a"}]}}, "data resource"),
        ({"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object"}, "JSON Schema"),
        ({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}, "JSON Schema"),
        ({"@context": "http://www.w3.org/ns/csvw", "url": "r.csv", "tableSchema": {"columns": []}}, "CSV on the Web"),
    ],
)
def test_descriptor_of_another_kind_is_called_by_its_name(descriptor: object, name: str) -> None:
    problems = _problems(descriptor)
    assert list(problems) == ["/schema"]
    assert name in problems["/schema"]


def test_schema_with_fields_and_members_of_its_own_is_no_other_kind() -> None:
    assert parse_table_schema({"fields": [{"name": "a"}], "properties": {}, "resources": []}).fields[0].name == "a"
    assert _problems({"columns": []}) == {"/schema/fields": "A schema must have fields."}
