"""Make outputs of a file: one pass over its rows for all of them, or two if some errors are only known after the last row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from features.processing.engine import CheckedRows, Inspection
from features.processing.exporting.late_errors import LateErrors
from features.processing.exporting.writer import CheckRoom, MustStartAgain, OpenedTable, OutputUnmakeable, OutputWriter, Written
from features.processing.exporting.writers import open_writer
from features.processing.readers.base import FileUnreadable, ReadLimits
from shared.output_names import OutputName
from shared.texts import make_storable

OpenInspection = Callable[[], Inspection]
"""Opens the file to be read and checked from its first row, with `ReadLimits.keep_rows`; called once for each pass."""
MAX_PASSES = 20
"""At most so often the rows are written: a writer that must start again has the file read once more."""


@dataclass(slots=True)
class _Target:
    name: OutputName
    path: Path
    writer: OutputWriter | None = None
    written: Written | None = None


class Export:
    """Makes the outputs of one file; runs in a thread."""

    def __init__(self, open_inspection: OpenInspection, targets: Mapping[OutputName, Path], *, limits: ReadLimits, check_room: CheckRoom) -> None:
        self._open_inspection, self._limits, self._check_room = open_inspection, limits, check_room
        self._targets = [_Target(name, path) for name, path in targets.items()]
        self._late: LateErrors | None = None
        self._broken_off: str | None = None
        """Why the late errors are not known, as a sentence."""
        self._inspection: Inspection | None = None
        self._fraction = 0.0
        self._passes_done = 0

    def run(self) -> Iterator[float]:
        """Make the outputs, and yield the fraction that is done (0 to 1, never falling) after each chunk of rows.

        Raises `FileUnreadable` if the file cannot be opened, `OutputUnmakeable`, and `OSError`. If the file breaks off after its first rows, the outputs are
        made of the rows up to there and say so in their notes.
        """
        self._open()
        assert self._inspection is not None
        if self._inspection.may_report_late:
            yield from self._collect_late()
            self._open()
        for passes in range(MAX_PASSES):
            if passes:
                self._open()
            yield from self._write([target for target in self._targets if target.written is None])
            if all(target.written is not None for target in self._targets):
                return
        raise OutputUnmakeable("The values of this table change their types too often for this format; ask for another one, such as csv.")

    @property
    def written(self) -> Sequence[Written]:
        """What was made, in the order of the targets; complete after `run`."""
        return [target.written for target in self._targets if target.written is not None]

    def _open(self) -> None:
        """Begin a pass."""
        self._close_inspection()
        self._inspection = self._open_inspection()

    def _collect_late(self) -> Iterator[float]:
        """Read all rows, and keep the errors that are only known after the last one."""
        assert self._inspection is not None
        self._late = LateErrors(self._limits)
        try:
            for rows in self._inspection.checked_rows():
                fraction = rows.fraction_read
                # The rows must not stay in memory while the next ones are read.
                del rows
                yield self._advance(fraction)
        except FileUnreadable as error:
            # The next pass breaks off at the same place; nothing is known of the rows after it, nor of errors that depend on them.
            self._broken_off = str(error)
        else:
            for findings in self._inspection.late_findings():
                self._late.add(findings)
        self._passes_done += 1

    def _write(self, targets: Sequence[_Target]) -> Iterator[float]:
        """Read all rows and write them. A writer that must start again is left without a result."""
        assert self._inspection is not None
        self._begin(targets, describe_table(self._inspection))
        going = list(targets)
        note: str | None = None
        last_row: int | None = None
        try:
            for rows in self._inspection.checked_rows():
                fraction = rows.fraction_read
                marked = rows if self._late is None else self._late.add_to(rows)
                going = [target for target in going if _write_rows(target, marked)]
                if len(rows.chunk.row_numbers):
                    last_row = int(rows.chunk.row_numbers[-1])
                # The rows must not stay in memory while the next ones are read.
                del rows, marked
                yield self._advance(fraction)
                if not going:
                    break
        except FileUnreadable as error:
            if last_row is None:
                raise
            note = make_storable(f"The file breaks off after row {last_row:,}, and only the rows up to there are in this output: {error}")
        else:
            if going and self._broken_off is not None:
                # The late errors of these rows are not known, so bad rows would be among the good ones.
                raise FileUnreadable(self._broken_off)
        for target in going:
            _finish(target, note)
        self._passes_done += 1

    def _begin(self, targets: Sequence[_Target], table: OpenedTable) -> None:
        if self._late is not None:
            self._late.rewind()
        for target in targets:
            if target.writer is None:
                target.writer = open_writer(target.name, is_csv=table.raw is not None)(target.path, limits=self._limits, check_room=self._check_room)
            target.writer.begin(table)

    def _advance(self, fraction: float) -> float:
        """Return the fraction of all passes that is done."""
        passes = self._passes_done + (2 if self._late is not None and not self._passes_done else 1)
        self._fraction = max(self._fraction, min(1.0, (self._passes_done + fraction) / passes))
        return self._fraction

    def _close_inspection(self) -> None:
        if self._inspection is not None:
            self._inspection.close()
            self._inspection = None

    def close(self) -> None:
        """Release files and processes; may be called twice, and before `run` has come to its end."""
        with ExitStack() as closing:
            # The last is closed first, and each whatever becomes of the others.
            if self._late is not None:
                closing.callback(self._late.close)
            for target in self._targets:
                if target.writer is not None:
                    closing.callback(target.writer.close)
            closing.callback(self._close_inspection)


def describe_table(inspection: Inspection) -> OpenedTable:
    """Return what writers know of the table of an opened file."""
    return OpenedTable(
        labels=inspection.labels,
        column_numbers=inspection.column_numbers,
        fields=inspection.fields,
        width=inspection.width,
        header_findings=inspection.header_findings,
        source=inspection.source,
        first_rows=inspection.first_rows,
        raw=inspection.raw_table,
    )


def _write_rows(target: _Target, rows: CheckedRows) -> bool:
    """Write some rows; False if the writer must start again."""
    assert target.writer is not None
    try:
        target.writer.write(rows)
    except MustStartAgain:
        return False
    return True


def _finish(target: _Target, note: str | None) -> None:
    assert target.writer is not None
    try:
        written = target.writer.finish()
    except MustStartAgain:
        return
    if note is not None:
        written.notes.append(note)
    target.written = written
