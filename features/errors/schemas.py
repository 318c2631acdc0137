"""Response bodies of the errors slice: pages of errors, and their summary."""

from __future__ import annotations

import uuid
from typing import Any, Self

from pydantic import ConfigDict, Field, model_validator

from shared.cell_names import name_cell
from shared.jobs.examples import COMPLETED_AT, COUNTS, JOB_ID
from shared.web.schemas import ErrorType, Read, UtcTime

_MISSING: dict[str, Any] = {
    "id": "5d0c8d52-3b0e-5f0a-9c1b-8a7d1f0e6a10",
    "job_id": JOB_ID,
    "row_number": 12,
    "column_number": 3,
    "column_name": "email",
    "cell": "C12",
    "error_type": "required-error",
    "error_message": "This cell must not be empty.",
    "params": {},
    "raw_value": "",
    "created_at": COMPLETED_AT,
}
_WRONG = {
    **_MISSING,
    "id": "e1a7c1de-0a4f-5b37-8d6e-2c9b7f3d5e11",
    "row_number": 17,
    "column_number": 4,
    "column_name": "quantity",
    "cell": "D17",
    "error_type": "type-error",
    "error_message": "This value must be a whole number.",
    "params": {"type": "integer"},
    "raw_value": "two",
}
_PAGE: dict[str, Any] = {"total": 3, "page": 1, "page_size": 2, "total_pages": 2, "next_cursor": "WzE3LDQsMV0", "errors": [_MISSING, _WRONG]}
_SUMMARY: dict[str, Any] = {
    **COUNTS,
    "errors_truncated": False,
    "valid": False,
    "by_type": [{"error_type": "required-error", "count": 2}, {"error_type": "type-error", "count": 1}],
    "by_column": [
        {
            "column_name": "email",
            "error_type": "required-error",
            "error_message": "This cell must not be empty.",
            "count": 2,
            "first_row_number": 12,
            "examples": [""],
        },
        {
            "column_name": "quantity",
            "error_type": "type-error",
            "error_message": "This value must be a whole number.",
            "count": 1,
            "first_row_number": 17,
            "examples": ["two"],
        },
    ],
}


class ErrorRead(Read):
    """One bad cell, row or label."""

    model_config = ConfigDict(json_schema_extra={"examples": [_WRONG]})

    id: uuid.UUID
    job_id: uuid.UUID
    row_number: int = Field(description="The row as a spreadsheet shows it: the header is row 1", examples=[2])
    column_number: int | None = Field(description="Counted from 1; null for an error of the whole row", examples=[3])
    column_name: str | None = Field(examples=["age"])
    cell: str | None = Field(None, description="The cell as a spreadsheet names it; null for an error of the whole row", examples=["C2"])
    error_type: ErrorType
    error_message: str = Field(description="One plain sentence, with the limit that was broken", examples=["This value must be a whole number."])
    params: dict[str, Any] = Field(
        description="What the sentence says, for programs; of a unique or key error also the row that has the value first", examples=[{"minimum": 1}]
    )
    raw_value: str | None = Field(description="The cell as it is in the file, at most 1,000 characters; null for an error of the whole row")
    created_at: UtcTime

    @model_validator(mode="after")
    def _name_cell(self) -> Self:
        self.cell = name_cell(self.row_number, self.column_number)
        return self


class ErrorList(Read):
    """One page of errors, ordered by row and column."""

    model_config = ConfigDict(json_schema_extra={"examples": [_PAGE]})

    total: int = Field(description="Stored errors that match, on all pages; the job's error_count also counts errors that were not stored")
    page: int
    page_size: int
    total_pages: int
    next_cursor: str | None = Field(description="Send it as cursor to get the next page, as fast as page 1; null on the last page")
    errors: list[ErrorRead]


class TypeCount(Read):
    """Errors of one type."""

    error_type: ErrorType
    count: int


class CauseCount(Read):
    """Errors with one cause: those of one type in one column that have the same sentence."""

    column_name: str | None = Field(description="Null for errors of whole rows and of cells beyond the header", examples=["age"])
    error_type: ErrorType
    error_message: str | None = Field(
        description="The sentence that they have in common; null for jobs of versions that did not record it", examples=["This value must be a whole number."]
    )
    count: int
    first_row_number: int | None = Field(description="The first row with such an error; null if the sentence is", examples=[3])
    examples: list[str] = Field(description="Up to three distinct raw values, each of at most 100 characters", examples=[["x", "12 apples"]])


class ErrorSummary(Read):
    """Exact counts over every row that was processed."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SUMMARY]})

    rows_processed: int
    rows_failed: int
    error_count: int
    errors_truncated: bool
    valid: bool | None = Field(description="Whether the job is COMPLETED without any error, header included; null until it has ended")
    by_type: list[TypeCount]
    by_column: list[CauseCount] = Field(description="One entry for each column, type and sentence, the most frequent first")
