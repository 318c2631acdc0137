"""Which writer an output needs."""

from __future__ import annotations

from features.processing.exporting.raw_csv import open_annotated_csv, open_rejected_csv, open_valid_csv
from features.processing.exporting.writer import OpenWriter
from shared.output_names import OutputName

_OF_CSV: dict[OutputName, OpenWriter] = {
    OutputName("valid", "csv"): open_valid_csv,
    OutputName("rejected", "csv"): open_rejected_csv,
    OutputName("annotated", "csv"): open_annotated_csv,
}
"""Copy the bytes of a CSV file."""


def open_writer(name: OutputName, *, is_csv: bool) -> OpenWriter:
    """Return what opens the writer of an output of a CSV file or of a workbook."""
    assert is_csv
    return _OF_CSV[name]
