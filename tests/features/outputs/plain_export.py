"""A small export that takes the place of the formats' own in tests of what is around it."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from features.processing.engine import Inspection
from features.processing.exporting.export import OpenInspection
from features.processing.exporting.writer import CheckRoom, Written
from features.processing.readers.base import ReadLimits
from shared.output_names import OutputName


class PlainExport:
    """Writes the rows without an error, or those with one, as CSV."""

    def __init__(self, open_inspection: OpenInspection, targets: Mapping[OutputName, Path], *, limits: ReadLimits, check_room: CheckRoom) -> None:
        [(self._name, self._path)] = targets.items()
        self._open, self._check_room = open_inspection, check_room
        self._inspection: Inspection | None = None
        self._written = Written()

    def run(self) -> Iterator[float]:
        self._check_room()
        self._inspection = self._open()
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

    @property
    def written(self) -> Sequence[Written]:
        return [self._written]

    def close(self) -> None:
        if self._inspection is not None:
            self._inspection.close()
