"""The job that every example of the OpenAPI document is about, so that they agree: a file of 48 rows, of which two have three errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

JOB_ID = "549910e9-5cd2-47a9-abde-af4c878305ff"
CREATED_AT, STARTED_AT, COMPLETED_AT = "2026-11-23T18:36:07.742993Z", "2026-11-23T18:36:07.761204Z", "2026-11-23T18:36:08.339407Z"
SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
COUNTS: dict[str, Any] = {"rows_processed": 48, "rows_failed": 2, "error_count": 3}
TABLE_SCHEMA: dict[str, Any] = {
    "fields": [
        {"name": "order_id", "type": "integer", "constraints": {"required": True}},
        {"name": "customer", "type": "string", "constraints": {"required": True}},
        {"name": "email", "type": "string", "format": "email", "constraints": {"required": True}},
        {"name": "quantity", "type": "integer", "constraints": {"required": True}},
    ]
}
ACCEPTED: dict[str, Any] = {"filename": "orders.csv", "file_size": 2048, "file_type": "csv", "status": "QUEUED", "created_at": CREATED_AT}

ENTRY: dict[str, Any] = {
    "id": JOB_ID,
    **ACCEPTED,
    "status": "COMPLETED",
    "progress": 100,
    **COUNTS,
    "total_rows": 48,
    "errors_truncated": False,
    "error_message": None,
    "webhook_url": "https://example.com/hooks/rowgate",
    "started_at": STARTED_AT,
    "completed_at": COMPLETED_AT,
    "updated_at": COMPLETED_AT,
    "attempt": 1,
    "valid": False,
    "source": {"encoding": "utf-8", "delimiter": ";", "quote_char": '"', "sheet": None, "header_row": 1},
    "notes": [],
    "sha256": SHA256,
    "submitted_by": None,
    "external_id": "order-import-4711",
    "labels": {"team": "sales"},
    "checked_again_from": None,
}
"""The job as lists show it."""
JOB = {**ENTRY, "queue_position": None, "schema": TABLE_SCHEMA}
WAITING = {
    **JOB,
    "status": "QUEUED",
    "progress": 0,
    "rows_processed": 0,
    "rows_failed": 0,
    "error_count": 0,
    "total_rows": None,
    "started_at": None,
    "completed_at": None,
    "updated_at": CREATED_AT,
    "attempt": 0,
    "valid": None,
    "source": None,
    "notes": None,
    "schema": None,
}
"""The job before a worker has begun with it."""


def show(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return, for one of an endpoint's `responses=`, an example of its JSON body."""
    return {"content": {"application/json": {"example": body}}}
