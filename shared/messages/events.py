"""Events, handled by every subscribed slice within the transaction that publishes them.

Subscribers are in the `events.py` of their slice, which every process loads, so they are called in whichever process the event is published.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

E = TypeVar("E")
_subscribers: dict[type[Any], list[Callable[[AsyncSession, Any], Awaitable[None]]]] = defaultdict(list)


def subscribe(event: type[E]) -> Callable[[Callable[[AsyncSession, E], Awaitable[None]]], Callable[[AsyncSession, E], Awaitable[None]]]:
    """Call the decorated coroutine function for every `event`, within the transaction that published it."""

    def register(function: Callable[[AsyncSession, E], Awaitable[None]]) -> Callable[[AsyncSession, E], Awaitable[None]]:
        _subscribers[event].append(function)
        return function

    return register


async def publish(session: AsyncSession, event: object) -> None:
    """Call every subscriber within this transaction; an exception from one is raised, so that the whole transaction is rolled back."""
    for function in _subscribers[type(event)]:
        await function(session, event)
