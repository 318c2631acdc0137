"""Names of tasks and what they are given: enough to send a message without importing its task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict


class Payload(BaseModel):
    """What a message carries: ids, never state; the task reads the state again."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Nothing(Payload):
    """The payload of a task that needs none, as periodic ones do."""


P = TypeVar("P", bound=Payload)


@dataclass(frozen=True)
class TaskRef(Generic[P]):
    """A task's name, its queue and what it is given: enough to send it without importing it."""

    name: str
    queue: str
    payload: type[P]
