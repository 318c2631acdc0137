"""What a client is told when its file cannot be stored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from features.upload.problems import DiskFull
from shared.storage.base import Storage, is_disk_full
from shared.web.problems import StorageUnavailable

log = structlog.get_logger(__name__)


@contextmanager
def explain_failure(storage: Storage) -> Iterator[None]:
    """Raise `DiskFull` or `StorageUnavailable` for any `OSError` of the store, and log why; `FileNotFoundError` stays what it is."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        if is_disk_full(error):
            log.warning("a file was refused: disk full", place=storage.place)
            raise DiskFull from error
        log.error("a file could not be stored", reason=error.strerror, place=storage.place)  # noqa: TRY400  # says it all
        raise StorageUnavailable from error
