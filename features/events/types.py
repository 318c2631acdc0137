"""Internal data types of the slice."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from shared.db.models import Job
    from shared.web.auth import Viewer

MAX_ID_CHARACTERS = 4000
"""Longest id of an event; the snapshot of a database with a hundred running transactions has a thousand characters."""
_SNAPSHOT = re.compile(r"(\d{1,19}):(\d{1,19}):((?:\d{1,19})(?:,\d{1,19})*)?", re.ASCII)
_VERSION = re.compile(r"(\d{1,18})\.(\d{1,18})\.(\d{1,18})", re.ASCII)


class Version(NamedTuple):
    """The version of what clients see of a job and its outputs. A later one is greater, because `retry`, which removes outputs, begins another attempt."""

    attempt: int
    of_job: int
    of_outputs: int
    """Sum of the versions of the job's outputs."""

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the version that was written as `text`; None if it is none."""
        found = _VERSION.fullmatch(text)
        return None if found is None else cls(*map(int, found.groups()))

    def __str__(self) -> str:
        return f"{self.attempt}.{self.of_job}.{self.of_outputs}"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Which transactions had been committed at a moment, as PostgreSQL's `pg_snapshot` tells it.

    Transactions get their ids when they first write, and commit in any order. So no single id can tell what a client has seen, but a snapshot can: exactly.
    """

    first_running: int
    """Every transaction before it had ended."""
    next_id: int
    """No transaction from it on had begun."""
    running: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the snapshot that was written as `text`, `xmin:xmax:xip,…`; None if it is none."""
        found = _SNAPSHOT.fullmatch(text) if len(text) <= MAX_ID_CHARACTERS else None
        if found is None:
            return None
        return cls(int(found[1]), int(found[2]), frozenset(map(int, found[3].split(","))) if found[3] else frozenset())

    def __str__(self) -> str:
        return f"{self.first_running}:{self.next_id}:{','.join(map(str, sorted(self.running)))}"


@dataclass(frozen=True, slots=True)
class ChangePlace:
    """The sort key of a change, where one page of changes ends and the next begins."""

    changed_in: int
    job_id: uuid.UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A job that was changed, or whose outputs were, or that was deleted."""

    job_id: uuid.UUID
    submitted_by: str | None
    changed_in: int
    is_deleted: bool

    def is_for(self, viewer: Viewer) -> bool:
        """Whether the job is one of the viewer's."""
        return viewer.sees_all or self.submitted_by == viewer.name


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState:
    """A job, and what of its state stands in other rows."""

    job: Job
    version: Version
    has_open_outputs: bool
    """Whether an output is still being made, or waits for it."""
    queue_position: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is told of a job, as JSON."""

    job_id: uuid.UUID
    event: str
    data: str
    version: Version | None
    """None if the job was deleted."""
    is_last: bool
    """Whether nothing more will change by itself: the job has ended and no output is being made, or it was deleted."""
