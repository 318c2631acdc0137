"""Reading ahead in a thread: order, errors, limits and closing."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Iterator
from functools import partial

import pytest

from compose.processes import wait_until
from features.processing.readers.prefetch import Prefetch


def test_items_come_in_their_order() -> None:
    assert list(Prefetch(iter(range(100)))) == list(range(100))


def test_error_comes_after_the_items_before_it() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    items = iter(Prefetch(source()))
    assert next(items) == 1
    with pytest.raises(ValueError, match="broken"):
        next(items)


@pytest.mark.parametrize("depth", [1, 2])
def test_source_runs_ahead_by_its_depth_only(depth: int) -> None:
    made: list[int] = []

    def source() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    prefetch = Prefetch(source(), depth=depth)
    for taken in range(3):
        allowed = list(range(depth + taken))
        assert wait_until(partial(made.__ge__, allowed), timeout_s=10)
        time.sleep(0.05)
        assert made == allowed
        assert next(prefetch) == taken
    prefetch.close()


def test_no_item_is_held_while_the_next_one_is_made() -> None:
    class Large:
        pass

    goes_on = threading.Event()

    def source() -> Iterator[Large]:
        yield Large()
        goes_on.wait()
        yield Large()

    prefetch = Prefetch(source())
    first = weakref.ref(next(prefetch))
    try:
        assert wait_until(lambda: first() is None, timeout_s=10)
    finally:
        goes_on.set()
    assert isinstance(next(prefetch), Large)
    prefetch.close()


def test_nothing_comes_after_the_end() -> None:
    prefetch = Prefetch(iter([1]))
    assert list(prefetch) == [1]
    assert next(prefetch, None) is None
    prefetch.close()


def test_closing_ends_the_thread() -> None:
    before = threading.active_count()
    prefetch = Prefetch(iter(range(1000)))
    next(iter(prefetch))
    prefetch.close()
    prefetch.close()
    assert threading.active_count() == before


def test_nice_thread_gives_way_and_threads_that_it_starts_do_too_and_no_other() -> None:
    def get_niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def nested() -> Iterator[int]:
        yield get_niceness()
        inner = Prefetch(get_niceness() for _ in range(1))
        yield from inner
        inner.close()

    own = get_niceness()
    ahead = Prefetch(nested(), niceness=own + 3)
    assert list(ahead) == [own + 3] * 2
    ahead.close()
    assert get_niceness() == own
    plain = Prefetch(get_niceness() for _ in range(1))
    assert list(plain) == [own]
    plain.close()
