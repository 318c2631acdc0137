"""Correct the OpenAPI document to match the service: a malformed request is a 400 problem, never a 422."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from shared.web.problems import ProblemRead


def install_openapi(app: FastAPI) -> None:
    """Make `app.openapi()` describe the service's problems instead of the framework's errors."""
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _correct(describe())
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # the framework's own way to change the document


def _correct(document: dict[str, Any]) -> dict[str, Any]:
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    described = ProblemRead.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(described.pop("$defs", {}))
    schemas["ProblemRead"] = described
    links = _link_jobs(document)
    for operations in document.get("paths", {}).values():
        for operation in operations.values():
            responses = operation.get("responses", {})
            responses.pop("422", None)
            for response in responses.values():
                if "Location" in response.get("headers", {}):
                    response["links"] = links
    return document


def _link_jobs(document: dict[str, Any]) -> dict[str, Any]:
    """Return OpenAPI links from an answer that names a job to every operation on that job."""
    names = [operation["operationId"] for path, operations in document.get("paths", {}).items() if "{job_id}" in path for operation in operations.values()]
    return {name: {"operationId": name, "parameters": {"job_id": "$response.body#/job_id"}} for name in names}
