"""Refuse requests that need the upload folder while it must not be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import Depends, Request

if TYPE_CHECKING:
    from shared.jobs.storage_guard import StorageGuard


async def require_storage(request: Request) -> None:
    """Raise `StorageUnavailable` while the upload folder is not mounted, is another database's, or cannot be written."""
    guard: StorageGuard = request.app.state.storage
    await guard.require()


RequireStorage = Depends(require_storage)
"""For `dependencies=` of a route, or of a router, that reads or writes stored files."""
