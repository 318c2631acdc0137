"""Register the format CSV."""

from __future__ import annotations

from shared.formats import FileFormat, register_format

register_format(
    FileFormat(
        extensions=("csv",),
        media_types=("text/csv",),
        description="a CSV file",
        family="table as text",
        remedy="Export it as CSV",
        opener="features.processing.readers.csv.table:open_csv",
        foreign_judge="features.processing.readers.csv.foreign_text:describe_foreign",
        other_extensions=("tsv", "tab", "txt", "psv", "dat", "asc"),
        reads_in_order=True,
        conversion="If it is a table as text, give it the ending .csv.",
    )
)
