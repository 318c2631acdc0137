"""The store of stored files in a process that runs tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.storage.base import Storage
from shared.storage.location import open_storage

if TYPE_CHECKING:
    from shared.messages.tasks import TaskContext


class _Kept:
    """The store of this process."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage


def get_storage(context: TaskContext) -> Storage:
    """Return the store of a process that runs tasks."""
    return context.keep(_Kept, lambda: _Kept(open_storage(context.settings))).storage
