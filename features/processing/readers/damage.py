"""Turn the exceptions that a damaged file causes inside a reader into `FileUnreadable`; what is the machine's fault stays as it is."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator

import structlog

from features.processing.readers.base import Chunk, ContainedFile, FileUnreadable, ReadAnew, Table
from shared.observing.frames import describe_frames
from shared.storage.arrival import FetchStopped

_DAMAGE_ERRNOS = (None, errno.EINVAL, errno.EOVERFLOW)
"""What the operating system says of positions and sizes that a damaged file has named; every other error of it is the machine's."""
_WAY_OUT = "Open it in the program that it comes from, save it again and upload the new file."

log = structlog.get_logger(__name__)


def open_guarded(open_table: Callable[[], Table]) -> Table:
    """Return what `open_table` does.

    Raises `ContainedFile` or `ReadAnew` if it does, and `FileUnreadable` in place of any exception that the file is at fault for.
    """
    try:
        return open_table()
    except Exception as error:
        if is_fault_of_machine(error) or isinstance(error, FileUnreadable | ContainedFile | ReadAnew):
            raise
        raise _blame(error, None) from error


def read_guarded(table: Table) -> Iterator[Chunk]:
    """Yield the chunks of `table`. Raises `FileUnreadable`, naming the last row that was read, in place of any exception that the file is at fault for."""
    chunks = table.chunks()
    row = table.source.header_row or 0
    while True:
        try:
            # A list, so that nothing here keeps the chunk in memory once it is taken.
            taken = [next(chunks)]
        except StopIteration:
            return
        except Exception as error:
            if is_fault_of_machine(error) or isinstance(error, FileUnreadable | ReadAnew):
                raise
            raise _blame(error, row) from error
        if len(taken[0].row_numbers):
            row = int(taken[0].row_numbers[-1])
        yield taken.pop()


def is_fault_of_machine(error: Exception) -> bool:
    """Whether an exception says nothing about the file: no memory, no thread, a full disk, a store that is away, a process that has to stop."""
    if isinstance(error, OSError):
        return error.errno not in _DAMAGE_ERRNOS
    return isinstance(error, MemoryError | FetchStopped) or (isinstance(error, RuntimeError) and "start new thread" in str(error))


def _blame(error: Exception, row: int | None) -> FileUnreadable:
    # The message of the exception may quote a cell.
    log.error("a file broke its reader", after_row=row, exception=describe_frames(error))
    return FileUnreadable(f"The file is damaged and cannot be read{f' after row {row:,}' if row else ''}. {_WAY_OUT}")
