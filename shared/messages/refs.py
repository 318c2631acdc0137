"""Task names and payload types: enough to send a message without importing its task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict


class Payload(BaseModel):
    """Base of message payloads. They carry ids, never state; the task reads the state itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Nothing(Payload):
    """The payload of a task that needs none, such as a periodic task."""


P = TypeVar("P", bound=Payload)


@dataclass(frozen=True)
class TaskRef(Generic[P]):
    """A task's name, queue and payload type: enough to send it without importing the task."""

    name: str
    queue: str
    payload: type[P]
