"""Outputs of the command line: files that are named by what is to be in them, and that appear when they are complete."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from features.processing.engine import Inspection
from features.processing.exporting.error_records import ERROR_SCHEMA, open_error_records
from features.processing.exporting.export import Export
from features.processing.exporting.writer import Written
from features.processing.readers.base import Finding, ReadLimits
from features.processing.recording.error_spool import ErrorSpool
from features.processing.recording.findings import RECORD_SCHEMA
from shared.output_names import OutputName

_ERRORS = "errors"


class OutputsUnwritable(Exception):
    """The outputs could not be written; the message is a sentence."""


class NamedFiles:
    """Makes the outputs of one file. What stood at their paths stays there until all of them are complete."""

    def __init__(self, targets: Mapping[OutputName, Path]) -> None:
        self._targets = targets
        self._written: dict[OutputName, Written] = {}
        self._beside = {name: path.with_name(f".{path.name}.{os.getpid()}.part") for name, path in targets.items()}
        errors = [path for name, path in targets.items() if name.kind == _ERRORS]
        self._spool = ErrorSpool(errors[0].parent) if errors else None

    def add_errors(self, findings: Sequence[Finding]) -> None:
        """Take errors that were found, in any order of rows. Raises `OutputsUnwritable`."""
        if self._spool is not None:
            with _explain():
                self._spool.add(findings)

    def make(self, open_inspection: Callable[[], Inspection], limits: ReadLimits) -> Iterator[float]:
        """Make all outputs, and yield the fraction that is done. Raises what `Export.run` raises, and `OutputsUnwritable`."""
        rows = {name: path for name, path in self._beside.items() if name.kind != _ERRORS}
        with _explain(), ExitStack() as stack:
            if rows:
                export = Export(open_inspection, rows, limits=limits, check_room=_check_nothing)
                stack.callback(export.close)
                yield from export.run()
                self._written |= dict(zip(rows, export.written, strict=True))
            self._write_errors(stack)
            for name, path in self._targets.items():
                self._beside[name].replace(path)
        yield 1.0

    def written(self) -> Iterator[tuple[Path, Written]]:
        """Yield what was made, in the order of the targets."""
        for name, path in self._targets.items():
            yield path, self._written[name]

    def close(self) -> None:
        """Remove what is not complete; may be called twice."""
        if self._spool is not None:
            self._spool.close()
        for path in self._beside.values():
            path.unlink(missing_ok=True)

    def _write_errors(self, stack: ExitStack) -> None:
        if self._spool is None:
            return
        names = [name for name in ERROR_SCHEMA.names if name in RECORD_SCHEMA.names or name == "cell"]
        targets = {name: path for name, path in self._beside.items() if name.kind == _ERRORS}
        writers = {
            name: stack.enter_context(closing(open_error_records(name.format, path, names=names, check_room=_check_nothing))) for name, path in targets.items()
        }
        for records in self._spool.read():
            for writer in writers.values():
                writer.write(records)
        for name, writer in writers.items():
            self._written[name] = writer.finish()


@contextmanager
def _explain() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputsUnwritable(f"The outputs could not be made: {error.strerror}.") from error


def _check_nothing() -> None:
    """Leave it to the disk to say that it is full."""
