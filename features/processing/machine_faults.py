"""Tell the machine's faults from the file's: a full disk, a missing file, storage that is away. Such jobs go back to the queue, and no file is blamed."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Literal

from shared.jobs.storage_guard import get_guard
from shared.storage.base import is_disk_full

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy.ext.asyncio import AsyncSession

    from shared.messages.tasks import TaskContext

FaultKind = Literal["spill-disk-full", "storage", "file-missing", "killed"]
PASS_ON_S = (1.0, 3.0)
"""How long a worker whose storage is away holds a message, at random between these: it must not take those of all jobs at once, nor always be the first."""
_MAY_BE_IN_ORDER = "while it worked on this file, which may be in order. Tell whoever runs this service, then try again."
FAULT_MESSAGES: dict[FaultKind, str] = {
    "spill-disk-full": f"The service ran out of disk space {_MAY_BE_IN_ORDER}",
    "storage": f"The service could not read its own storage {_MAY_BE_IN_ORDER}",
    "killed": f"A process of the service was killed {_MAY_BE_IN_ORDER}",
    "file-missing": "The file of this job is no longer stored, which is a fault of this service. Please upload it again, and tell whoever runs the service.",
}
"""For the person with the file."""


class FileMissing(Exception):
    """The job's file is not where it was stored."""


def find_fault(error: Exception) -> FaultKind | None:
    """Return which fault of the machine the exception is; None if it is none."""
    if isinstance(error, FileMissing):
        return "file-missing"
    if isinstance(error, ChildProcessError):
        return "killed"
    if not isinstance(error, OSError) or isinstance(error, ConnectionError | TimeoutError):
        return None
    return "spill-disk-full" if is_disk_full(error) else "storage"


async def leave_without_storage(context: TaskContext, pass_on: Callable[[AsyncSession], Awaitable[None]]) -> bool:
    """If the stored files must not be used here, leave the work to another worker by `pass_on`, after a moment, and return True."""
    if await get_guard(context).find_problem() is None:
        return False
    await asyncio.sleep(random.uniform(*PASS_ON_S))  # noqa: S311  # which worker is next
    async with context.database.unit_of_work() as session:
        await pass_on(session)
    return True
