"""A small export that takes the place of the formats' own in tests of what is around it."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from features.processing.engine import Inspection
from features.processing.exporting.export import OpenInspection
from features.processing.exporting.rows_index_writer import RowsWriter
from features.processing.exporting.writer import CheckRoom, OpenedTable, Written
from features.processing.readers.base import ReadLimits
from shared.output_names import ROWS, OutputName


class PlainExport:
    """Writes the rows without an error, or those with one, as CSV."""

    def __init__(self, open_inspection: OpenInspection, targets: Mapping[OutputName, Path], *, limits: ReadLimits, check_room: CheckRoom) -> None:
        [(self._name, self._path)] = targets.items()
        self._open, self._check_room, self._limits = open_inspection, check_room, limits
        self._inspection: Inspection | None = None
        self._written = Written()

    def run(self) -> Iterator[float]:
        self._check_room()
        self._inspection = self._open()
        if str(self._name) == ROWS:
            yield from self._index(self._inspection)
            return
        with self._path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(self._inspection.labels or [])
            for rows in self._inspection.checked_rows():
                self._check_room()
                failed = rows.failed.tolist()
                for index, cells in enumerate(zip(*(column.to_pylist() for column in rows.chunk.columns), strict=True)):
                    if failed[index] == (self._name.kind == "rejected"):
                        writer.writerow(cells)
                        self._written.row_count += 1
                file.flush()
                yield rows.fraction_read
            os.fsync(file.fileno())

    def _index(self, inspection: Inspection) -> Iterator[float]:
        writer = RowsWriter(self._path, limits=self._limits, check_room=self._check_room)
        labels = inspection.labels or []
        table = OpenedTable(
            labels=labels,
            column_numbers=inspection.column_numbers,
            fields=inspection.fields,
            width=len(labels),
            header_findings=[],
            source=inspection.source,
            first_rows=lambda: iter([(1, labels)]),
        )
        writer.begin(table)
        for rows in inspection.checked_rows():
            writer.write(rows)
            yield rows.fraction_read
        self._written = writer.finish()
        writer.close()

    @property
    def written(self) -> Sequence[Written]:
        return [self._written]

    def close(self) -> None:
        if self._inspection is not None:
            self._inspection.close()
