"""Errors that are only known after the last row: kept in a temporary file by row, and given to the rows when these are read again."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from typing import IO

import numpy as np
import numpy.typing as npt

from features.processing.engine import CheckedRows
from features.processing.readers.base import Finding, ReadLimits
from shared.temporary_files import discard_file

_ENTRY = np.dtype([("row", np.int64), ("said", np.int32)])
_BATCH = 65_536
_SPOOL_BYTES = 2**22


class LateErrors:
    """Collects errors of whole rows in row order, then gives them out once, in the same order."""

    def __init__(self, limits: ReadLimits) -> None:
        folder = str(limits.spill_dir) if limits.spill_dir is not None else None
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(_SPOOL_BYTES, prefix="late-errors-", dir=folder)  # noqa: SIM115 - closed by close()
        self._said: dict[tuple[str, str], int] = {}
        """Error types and messages, of which a schema has a few."""
        self._waiting: npt.NDArray[np.void] = np.empty(0, _ENTRY)

    def add(self, findings: Sequence[Finding]) -> None:
        """Add errors; their rows are none before those added earlier."""
        parts = []
        for finding in findings:
            entries = np.zeros(len(finding), _ENTRY)
            entries["row"] = finding.row_numbers
            if isinstance(finding.message, str):
                entries["said"] = self._remember(finding.error_type, finding.message)
            else:
                entries["said"] = [self._remember(finding.error_type, message) for message in finding.message.to_pylist()]
            parts.append(entries)
        if parts:
            entries = np.concatenate(parts)
            self._file.write(entries[np.argsort(entries["row"], kind="stable")].tobytes())

    def _remember(self, error_type: str, message: str) -> int:
        return self._said.setdefault((error_type, message), len(self._said))

    def rewind(self) -> None:
        """Begin to give out the errors from the first row on."""
        self._file.seek(0)
        self._waiting = np.empty(0, _ENTRY)

    def add_to(self, rows: CheckedRows) -> CheckedRows:
        """Return the rows with their late errors among the others."""
        if not len(rows.chunk.row_numbers):
            return rows
        entries = self._take_through(int(rows.chunk.row_numbers[-1]))
        if not len(entries):
            return rows
        failed = rows.failed.copy()
        failed[np.searchsorted(rows.chunk.row_numbers, entries["row"])] = True
        texts = list(self._said)
        findings = []
        for said in np.unique(entries["said"]).tolist():
            error_type, message = texts[said]
            findings.append(Finding(error_type=error_type, row_numbers=np.ascontiguousarray(entries["row"][entries["said"] == said]), message=message))
        return replace(rows, failed=failed, findings=[*rows.findings, *findings])

    def _take_through(self, row_number: int) -> npt.NDArray[np.void]:
        """Take the errors of the rows up to `row_number`."""
        while not len(self._waiting) or self._waiting["row"][-1] <= row_number:
            data = self._file.read(_BATCH * _ENTRY.itemsize)
            if not data:
                break
            self._waiting = np.concatenate([self._waiting, np.frombuffer(data, _ENTRY)])
        count = int(np.searchsorted(self._waiting["row"], row_number, side="right"))
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        return taken

    def close(self) -> None:
        """Remove the temporary file; may be called twice."""
        discard_file(self._file)
