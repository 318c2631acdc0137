"""The stored files for requests, and the refusal of requests that need them while they must not be used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from shared.storage.base import Storage

if TYPE_CHECKING:
    from shared.jobs.storage_guard import StorageGuard


async def require_storage(request: Request) -> None:
    """Raise `StorageUnavailable` while the store is not reached, is another database's, or cannot be written."""
    guard: StorageGuard = request.app.state.storage_guard
    await guard.require()


RequireStorage = Depends(require_storage)
"""For `dependencies=` of a route, or of a router, that reads or writes stored files."""


async def get_storage(request: Request) -> Storage:
    """Return the application's store."""
    storage: Storage = request.app.state.storage
    return storage


StorageDep = Annotated[Storage, Depends(get_storage)]
