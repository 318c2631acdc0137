"""Places for large files among the children of a worker, which are lost by nobody's death."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress

import pytest

from shared.worker import large_places
from shared.worker.large_places import LargePlaces

SLOTS = 3


@pytest.fixture
def places() -> Iterator[LargePlaces]:
    made = LargePlaces(SLOTS)
    yield made
    made.close()


class Child:
    """A process that takes a place and keeps it until it is killed."""

    def __init__(self, places: LargePlaces) -> None:
        reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.write(writer, b"yes" if places.take() else b"no")
            signal.pause()
            os._exit(0)
        os.close(writer)
        self.spares_slot = os.read(reader, 3) == b"yes"
        os.close(reader)

    def kill(self) -> None:
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)


@pytest.fixture
def children(places: LargePlaces) -> Iterator[list[Child]]:
    started: list[Child] = []
    yield started
    for child in started:
        child.kill()


def test_last_place_is_not_spared_and_a_killed_child_leaves_its_own(places: LargePlaces, children: list[Child]) -> None:
    children += [Child(places) for _ in range(SLOTS - 1)]
    assert [child.spares_slot for child in children] == [True, True]
    assert not places.take()
    assert not places.take()  # asking twice takes no second one
    children[0].kill()
    assert places.take()
    places.give_back()
    children += [Child(places) for _ in range(SLOTS - 1)]
    assert [child.spares_slot for child in children] == [True, True, True, False]


def test_place_that_is_given_back_is_free(places: LargePlaces, children: list[Child]) -> None:
    assert places.take()
    children.append(Child(places))
    places.give_back()
    places.give_back()
    children.append(Child(places))
    assert [child.spares_slot for child in children] == [True, True]


def test_worker_of_one_slot_spares_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_places, "_places", None)
    assert large_places.take()
    large_places.open_places(1)
    assert large_places.take()
    large_places.give_back()
    large_places.open_places(2)
    assert large_places._places is not None
    large_places._places.close()
