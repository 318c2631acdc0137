"""Complete the OpenAPI document: problems instead of the framework's errors, tags in the order of a file's way, and examples with their nulls."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import BaseModel

from shared.web.introduction import INTRODUCTION
from shared.web.parameters import describe_unknown
from shared.web.problems import MEDIA_TYPE, BadRequest, ProblemRead
from shared.web.schemas import Read


@dataclass(frozen=True, slots=True)
class Tag:
    """How the endpoints of one tag are introduced."""

    place: int
    description: str


_tags: dict[str, Tag] = {}


def declare_tag(name: str, *, place: int, description: str) -> str:
    """Declare, for a router's `tags=`, how the document introduces its endpoints, and return the tag's name.

    Tags stand in the order of their places, and those that are not declared after them.
    """
    _tags[name] = Tag(place, description)
    return name


def install_openapi(app: FastAPI) -> None:
    """Make `app.openapi()` describe the service for people, and its problems instead of the framework's errors."""
    describe = app.openapi
    app.description = INTRODUCTION

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _correct(describe(), app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # the framework's own way to change the document


def _correct(document: dict[str, Any], app: FastAPI) -> dict[str, Any]:
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    described = ProblemRead.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(described.pop("$defs", {}))
    schemas["ProblemRead"] = described
    _restore_nulls(document, app)
    links = _link_jobs(document)
    for operation in _list_operations(document):
        operation["summary"] = operation["summary"].capitalize()  # made of the name of a function: "List Jobs"
        responses = operation["responses"]
        responses.pop("422", None)
        for response in responses.values():
            body = _find_schema(response, schemas)
            if response["description"] == "Successful Response":  # the framework's words
                response["description"] = body.get("description", "Done")
            if "Location" in response.get("headers", {}) and "job_id" in body.get("properties", {}):
                response["links"] = links
        _complete_bad_request(operation)
    document["tags"] = _describe_tags(document)
    return document


def _list_operations(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for part in ("paths", "webhooks"):
        for operations in document.get(part, {}).values():
            yield from operations.values()


def _find_schema(response: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of a response's JSON body; an empty one if it has none."""
    schema: Mapping[str, Any] = response.get("content", {}).get("application/json", {}).get("schema", {})
    found: Mapping[str, Any] = schemas.get(schema.get("$ref", "").rpartition("/")[2], schema)
    return found


def _link_jobs(document: dict[str, Any]) -> dict[str, Any]:
    """Return OpenAPI links from an answer that names a job to every operation on that job."""
    names = [operation["operationId"] for path, operations in document.get("paths", {}).items() if "{job_id}" in path for operation in operations.values()]
    return {name: {"operationId": name, "parameters": {"job_id": "$response.body#/job_id"}} for name in names}


def _describe_tags(document: Mapping[str, Any]) -> Sequence[dict[str, str]]:
    used = dict.fromkeys(name for operation in _list_operations(document) for name in operation.get("tags", []))
    declared = sorted((name for name in used if name in _tags), key=lambda name: (_tags[name].place, name))
    return [*({"name": name, "description": _tags[name].description} for name in declared), *({"name": name} for name in used if name not in _tags)]


def _complete_bad_request(operation: Mapping[str, Any]) -> None:
    """List, in the example of a request that is malformed, what every endpoint refuses: a query parameter that it does not know."""
    content = operation["responses"].get("400", {}).get("content", {}).get(MEDIA_TYPE, {})
    known = {parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "query"}
    for example in (content.get("example", {}), *(named["value"] for named in content.get("examples", {}).values())):
        if example.get("type") == f"/problems/{BadRequest.slug}":
            part = describe_unknown("sort", known)
            example |= {"detail": "Correct these and send the request again: sort.", "errors": [part.model_dump(exclude_none=True)]}


def _restore_nulls(document: dict[str, Any], app: FastAPI) -> None:
    """Put the examples of endpoints and models into the document as they were given: the framework drops what is null from them."""
    for part, routes in (("paths", app.routes), ("webhooks", app.webhooks.routes)):
        for context in iter_route_contexts(routes):
            route = context.original_route
            if not isinstance(route, APIRoute) or not route.include_in_schema:
                continue
            for method in route.methods or ():
                operation = document[part][route.path_format][method.lower()]
                _restore(operation["responses"], {str(status): response for status, response in route.responses.items()})
                _restore(operation, route.openapi_extra or {})
    schemas = document["components"]["schemas"]
    for model in _list_models(Read):
        _restore(schemas.get(model.__name__, {}), typing.cast("Mapping[str, Any]", model.model_config.get("json_schema_extra") or {}))


def _restore(told: dict[str, Any], given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        if name in {"example", "examples"}:
            told[name] = value
        elif isinstance(value, Mapping) and isinstance(told.get(name), dict):
            _restore(told[name], value)


def _list_models(base: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for model in base.__subclasses__():
        yield model
        yield from _list_models(model)
