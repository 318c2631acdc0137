"""How the file of a job is opened: the same for the job's own attempt and for its outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from features.processing.readers.base import FileUnreadable, ReadLimits
from shared.descriptors.problems import DescriptorInvalid
from shared.descriptors.table_dialect import TableDialect, parse_table_dialect
from shared.descriptors.table_schema import TableSchema, parse_table_schema

if TYPE_CHECKING:
    from shared.db.models import Job
    from shared.settings import Settings
    from shared.storage.arrival import Arrival


class ReadingOptions(TypedDict):
    """Arguments of `inspect_file`."""

    table_schema: TableSchema | None
    dialect: TableDialect | None
    encoding: str | None
    limits: ReadLimits


def get_reading_options(job: Job, settings: Settings, arrival: Arrival | None = None) -> ReadingOptions:
    """Return how the job's file is opened, of which not all need be there yet. Raises `FileUnreadable`.

    It may take a second, since schema and dialect are parsed again.
    """
    return ReadingOptions(
        table_schema=parse_descriptor(parse_table_schema, job.schema_given),
        dialect=parse_descriptor(parse_table_dialect, job.dialect),
        encoding=job.encoding,
        limits=ReadLimits(
            chunk_rows=settings.chunk_rows,
            max_row_bytes=settings.max_row_bytes,
            spill_dir=settings.spill_dir,
            excel_reader=settings.excel_reader,
            arrival=arrival,
        ),
    )


def parse_descriptor(parse: Any, descriptor: dict[str, Any] | None) -> Any:  # noqa: ANN401  # what `parse` returns
    """Return the stored schema or dialect as `parse` reads it; None if there is none. Raises `FileUnreadable`."""
    try:
        return None if descriptor is None else parse(descriptor)
    except DescriptorInvalid as invalid:
        # It was accepted by a version of this service with other rules.
        problem = invalid.problems[0]
        name = problem.pointer.split("/")[1]
        raise FileUnreadable(f"The {name} of this job can no longer be used: {problem.pointer}: {problem.message}") from invalid
