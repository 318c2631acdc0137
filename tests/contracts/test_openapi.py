"""The OpenAPI document is for people: it begins at the beginning, every example is true, and nothing is filled in that nobody chose."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import jsonschema
import pytest
from fastapi import FastAPI

from features.webhooks.schemas import WebhookBody
from shared.vocabulary import ERROR_TYPES, NOTE_CODES
from shared.web.introduction import INTRODUCTION
from shared.web.problems import MEDIA_TYPE, Problem

KNOWN_ORDER = ["upload", "jobs", "events", "processing", "errors", "outputs", "retry", "webhooks", "health"]
FORMATS = jsonschema.FormatChecker(formats=())


@FORMATS.checks("date-time", raises=ValueError)
def is_time(value: object) -> bool:
    return not isinstance(value, str) or (datetime.fromisoformat(value).tzinfo is not None and value.endswith("Z"))


@FORMATS.checks("uuid")
def is_uuid(value: object) -> bool:
    return not isinstance(value, str) or re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value) is not None


@FORMATS.checks("uri")
def is_url(value: object) -> bool:
    return not isinstance(value, str) or urlsplit(value).scheme in {"http", "https"}


@pytest.fixture
def document(app: FastAPI) -> dict[str, Any]:
    return app.openapi()


def list_operations(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for part in ("paths", "webhooks"):
        for path, operations in document[part].items():
            for method, operation in operations.items():
                yield f"{method.upper()} {path}", operation


def list_contents(operation: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield (status, media type, content) of each response, and of the request with an empty status."""
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        yield "", media_type, content
    for status, response in operation["responses"].items():
        for media_type, content in response.get("content", {}).items():
            yield status, media_type, content


def list_examples(content: Mapping[str, Any]) -> list[Any]:
    return [content["example"]] if "example" in content else [named["value"] for named in content.get("examples", {}).values()]


def list_schemas(part: Any) -> Iterator[dict[str, Any]]:
    """Yield every object within a part of the document; those that are no schemas do no harm."""
    if isinstance(part, dict):
        yield part
        part = list(part.values())
    for value in part if isinstance(part, list) else ():
        yield from list_schemas(value)


def find_mistakes(document: Mapping[str, Any], schema: Mapping[str, Any], example: Any) -> list[str]:
    whole = {**schema, "components": document["components"]}
    return [f"{error.json_path}: {error.message}" for error in jsonschema.Draft202012Validator(whole, format_checker=FORMATS).iter_errors(example)]


def list_problems(base: type[Problem] = Problem) -> Iterator[type[Problem]]:
    for problem in base.__subclasses__():
        yield problem
        yield from list_problems(problem)


def test_introduction_is_there_and_names_endpoints_that_exist(document: dict[str, Any]) -> None:
    assert document["info"]["description"] == INTRODUCTION
    named = set(re.findall(r"`([A-Z]+ /\S*)`", INTRODUCTION))
    assert len(named) >= 8
    assert named - {name for name, _ in list_operations(document)} == set()


def test_tags_are_introduced_in_the_order_of_a_files_way(document: dict[str, Any]) -> None:
    names = [tag["name"] for tag in document["tags"]]
    assert [name for name in names if name in KNOWN_ORDER] == KNOWN_ORDER
    assert all(tag.get("description") for tag in document["tags"] if tag["name"] in KNOWN_ORDER)
    assert {name for _, operation in list_operations(document) for name in operation["tags"]} == set(names)


def test_tag_that_no_slice_declares_comes_last(app: FastAPI) -> None:
    app.add_api_route("/api/added", lambda: None, tags=["added"])
    assert app.openapi()["tags"][-1] == {"name": "added"}


def test_every_problem_has_an_example_of_its_own(document: dict[str, Any]) -> None:
    known = {(int(problem.status), f"/problems/{problem.slug}"): problem for problem in list_problems()}
    seen = 0
    for name, operation in list_operations(document):
        for status, media_type, content in list_contents(operation):
            if media_type != MEDIA_TYPE:
                continue
            examples = list_examples(content)
            assert examples, (name, status)
            for example in examples:
                problem = known[int(status), example["type"]]
                assert (example["status"], example["title"]) == (int(status), problem.title), (name, status)
                assert find_mistakes(document, content["schema"], example) == []
                seen += 1
    assert seen > 100


def test_operation_with_several_problems_of_one_status_shows_each(document: dict[str, Any]) -> None:
    responses = document["paths"]["/api/files/upload"]["post"]["responses"]
    shown = responses["400"]["content"][MEDIA_TYPE]["examples"]
    assert list(shown) == ["invalid-upload", "malformed-body", "key-reused", "bad-request"]
    assert shown["malformed-body"]["value"]["title"] == "Malformed body"
    alone = responses["507"]["content"][MEDIA_TYPE]
    assert alone["example"] == {
        "type": "/problems/disk-full",
        "title": "Insufficient storage",
        "status": 507,
        "detail": "There is no room left for this file; try again later, or tell the operator.",
    }


async def test_examples_of_bad_requests_are_what_is_answered(document: dict[str, Any], client: httpx.AsyncClient) -> None:
    for path in ("/api/jobs", "/api/jobs/{job_id}/errors", "/api/jobs/{job_id}/deliveries"):
        content = document["paths"][path]["get"]["responses"]["400"]["content"][MEDIA_TYPE]
        answer = await client.get(path.format(job_id="549910e9-5cd2-47a9-abde-af4c878305ff"), params={"sort": "name"})
        assert answer.json() == list_examples(content)[0]
    upload = document["paths"]["/api/files/upload"]["post"]["responses"]["400"]["content"][MEDIA_TYPE]["examples"]
    data = {"encoding": "utf-9", "schema": '{"fields": [{"type": "integer"}]}'}
    answer = await client.post("/api/files/upload", files={"file": ("a.csv", b"a\n1\n")}, data=data)
    found = answer.json()
    assert sorted(found["errors"], key=str) == sorted(upload["invalid-upload"]["value"]["errors"], key=str)
    assert (found["type"], found["title"]) == ("/problems/invalid-upload", "Invalid upload")


def test_every_success_with_a_body_has_an_example_that_fits_its_schema(document: dict[str, Any]) -> None:
    without = []
    for name, operation in list_operations(document):
        for status, media_type, content in list_contents(operation):
            if media_type != "application/json":
                continue
            resolved = document["components"]["schemas"].get(content["schema"].get("$ref", "").rpartition("/")[2], content["schema"])
            examples = list_examples(content) or resolved.get("examples", [])
            for example in examples:
                assert find_mistakes(document, content["schema"], example) == [], (name, status)
                if status:
                    assert set(example) >= set(resolved.get("required", [])), (name, status)
            if status and not examples and set(operation["tags"]) & set(KNOWN_ORDER):
                without.append(name)
    assert without == ["GET /api/health/live", "GET /api/health/ready"]  # they have one member with one value


def test_examples_of_schemas_fit_them(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        for example in schema.get("examples", []):
            assert find_mistakes(document, {"$ref": f"#/components/schemas/{name}"}, example) == [], name


def list_jobs(part: Any) -> Iterator[dict[str, Any]]:
    yield from (
        found for found in list_schemas(part) if {"status", "rows_processed", "total_rows", "progress"} <= set(found) and isinstance(found["status"], str)
    )


def test_jobs_in_examples_agree_with_themselves(document: dict[str, Any]) -> None:
    found = list(list_jobs(document))
    assert {job["status"] for job in found} >= {"COMPLETED", "CANCELLED", "QUEUED"}
    for job in found:
        has_ended = job["status"] in {"COMPLETED", "FAILED", "CANCELLED"}
        assert job["valid"] == ((job["status"] == "COMPLETED" and job["error_count"] == 0) if has_ended else None)
        assert (job["completed_at"] is not None) == has_ended
        assert (job["progress"] == 100) == (job["status"] == "COMPLETED")
        assert job["rows_failed"] <= job["rows_processed"] <= (job["total_rows"] or 0)
        assert job["status"] != "COMPLETED" or job["rows_processed"] == job["total_rows"]
        assert job["created_at"] <= (job["started_at"] or job["updated_at"]) <= (job["completed_at"] or job["updated_at"]) <= job["updated_at"]


def test_counts_in_examples_add_up(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    [job], [summary], [page] = (schemas[name]["examples"] for name in ("JobRead", "ErrorSummary", "ErrorList"))
    assert {name: summary[name] for name in ("rows_processed", "rows_failed", "error_count", "valid")} == {
        name: job[name] for name in ("rows_processed", "rows_failed", "error_count", "valid")
    }
    assert sum(entry["count"] for entry in summary["by_type"]) == sum(entry["count"] for entry in summary["by_column"]) == summary["error_count"]
    assert page["total"] == summary["error_count"]
    assert (page["total_pages"], len(page["errors"])) == (-(-page["total"] // page["page_size"]), page["page_size"])


def test_form_fills_in_nothing(document: dict[str, Any]) -> None:
    """Swagger UI fills in the first of `examples`, else the default, else the example, else a text of its own making."""
    content = document["paths"]["/api/files/upload"]["post"]["requestBody"]["content"]["multipart/form-data"]
    fields = content["schema"]["properties"]
    assert not {"example", "examples", "default"} & (set(content) | set(content["schema"]) | set(fields["file"]))
    for name, field in fields.items():
        if name != "file":
            assert (field["type"], field["examples"]) == ("string", [""]), name
            assert not {"example", "default", "enum", "const"} & set(field), name
            assert not {"contentMediaType", "contentEncoding"} & set(field), name  # with one of them Swagger UI wants a file
            assert "`" in field["description"], name


async def test_empty_fields_of_the_form_are_none(client: httpx.AsyncClient, document: dict[str, Any]) -> None:
    fields = document["paths"]["/api/files/upload"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    answer = await client.post("/api/files/upload", files={"file": ("a.csv", b"a\n1\n")}, data={name: "" for name in fields if name != "file"})
    assert answer.status_code == 202, answer.text
    job = (await client.get(answer.headers["location"])).json()
    assert (job["webhook_url"], job["external_id"], job["labels"], job["schema"]) == (None, None, {}, None)


def test_optional_parameters_fill_in_nothing_but_true_defaults(document: dict[str, Any]) -> None:
    for name, operation in list_operations(document):
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "path":
                continue
            assert not any({"example", "examples"} & set(found) for found in list_schemas(parameter)), (name, parameter["name"])
            assert "default" not in parameter["schema"] or parameter["name"] in {"page", "page_size"}, (name, parameter["name"])
            assert parameter.get("description"), (name, parameter["name"])


def test_times_ids_and_urls_are_called_that(document: dict[str, Any]) -> None:
    seen = set()
    for model, schema in document["components"]["schemas"].items():
        for name, member in schema.get("properties", {}).items():
            formats = {found["format"] for found in list_schemas(member) if "format" in found}
            expected = (
                "date-time"
                if name.endswith("_at")
                else "uuid"
                if name == "id" or (name.endswith("_id") and name != "external_id") or name == "checked_again_from"
                else None
            )
            if expected is not None:
                assert formats == {expected}, (model, name)
                seen.add(expected)
    assert seen == {"date-time", "uuid"}
    for model in ("JobUpdate", "CheckAgain"):
        assert document["components"]["schemas"][model]["properties"]["webhook_url"]["anyOf"][0]["format"] == "uri"
    for model in ("OutputRead", "WebhookOutput"):
        assert document["components"]["schemas"][model]["properties"]["url"]["format"] == "uri-reference"


@pytest.mark.parametrize(("name", "words"), [("ErrorType", ERROR_TYPES), ("NoteCode", NOTE_CODES)])
def test_words_are_listed_with_their_meanings_and_others_may_come(document: dict[str, Any], name: str, words: Mapping[str, Any]) -> None:
    schema = document["components"]["schemas"][name]
    known, other = schema["anyOf"]
    assert (known["type"], known["enum"]) == ("string", list(words))
    assert (other["type"], "enum" in other) == ("string", False)
    for word, meaning in words.items():
        assert f"- `{word}`: {meaning.text}" in schema["description"]


def test_every_error_type_in_the_document_refers_to_the_list(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for model in ("ErrorRead", "TypeCount", "CauseCount", "RowErrorRead"):
        assert schemas[model]["properties"]["error_type"]["$ref"] == "#/components/schemas/ErrorType"
    assert schemas["NoteRead"]["properties"]["code"]["$ref"] == "#/components/schemas/NoteCode"
    parameters = document["paths"]["/api/jobs/{job_id}/errors"]["get"]["parameters"]
    [wanted] = [parameter["schema"] for parameter in parameters if parameter["name"] == "error_type"]
    assert wanted["anyOf"][0]["enum"] == list(ERROR_TYPES)


def test_webhooks_are_described(document: dict[str, Any]) -> None:
    assert list(document["webhooks"]) == ["job.completed", "job.failed", "job.cancelled", "job.outputs_ready"]
    for event, operations in document["webhooks"].items():
        operation = operations["post"]
        assert {parameter["name"]: parameter["required"] for parameter in operation["parameters"]} == {
            "webhook-id": True,
            "webhook-timestamp": True,
            "webhook-signature": False,
        }
        content = operation["requestBody"]["content"]["application/json"]
        assert content["schema"] == {"$ref": "#/components/schemas/WebhookBody"}
        assert content["example"]["type"] == event
        assert WebhookBody.model_validate(content["example"]).model_dump(mode="json") == content["example"]
        assert {"204", "408", "429", "3XX", "4XX", "5XX"} <= set(operation["responses"])


def test_links_lead_from_a_job_id_that_the_answer_has(document: dict[str, Any]) -> None:
    linked = {(name, status) for name, operation in list_operations(document) for status, response in operation["responses"].items() if "links" in response}
    assert linked == {("POST /api/files/upload", "202"), ("POST /api/jobs/{job_id}/check-again", "202")}


def test_nothing_of_the_framework_or_the_code_is_told(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    assert "Successful Response" not in text
    assert "HTTPValidationError" not in text
    assert re.findall(r"(?:shared|features)\.\w+", text) == []
