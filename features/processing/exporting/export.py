"""Make outputs of a file: one pass over its rows for all of them, or two if some errors are only known after the last row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from features.processing.engine import Inspection
from features.processing.exporting.writer import CheckRoom, Written
from features.processing.readers.base import ReadLimits
from shared.output_names import OutputName

OpenInspection = Callable[[], Inspection]
"""Opens the file to be read and checked from its first row; called once for each pass."""


class Export:
    """Makes the outputs of one file; runs in a thread."""

    def __init__(self, open_inspection: OpenInspection, targets: Mapping[OutputName, Path], *, limits: ReadLimits, check_room: CheckRoom) -> None:
        raise NotImplementedError

    def run(self) -> Iterator[float]:
        """Make the outputs, and yield the fraction that is done (0 to 1, never falling) after each chunk of rows.

        Raises `FileUnreadable` if the file cannot be opened, `OutputUnmakeable`, and `OSError`. If the file breaks off after its first rows, the outputs are
        made of the rows up to there and say so in their notes.
        """
        raise NotImplementedError

    @property
    def written(self) -> Sequence[Written]:
        """What was made, in the order of the targets; complete after `run`."""
        raise NotImplementedError

    def close(self) -> None:
        """Release files and processes; may be called twice, and before `run` has come to its end."""
        raise NotImplementedError
