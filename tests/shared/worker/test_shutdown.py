"""The first request to stop sets the time; a later one learns what is left of it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from shared.worker import shutdown


@pytest.fixture(autouse=True)
def no_request() -> Iterator[None]:
    nobody = bytes(len(shutdown._page))
    shutdown._page[:] = nobody
    yield
    shutdown._page[:] = nobody


def test_nobody_must_stop_before_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    assert not shutdown.must_stop()
    assert shutdown.request_stop(within_s=20) == 20
    assert not shutdown.must_stop()
    now = 1000.0 + 20 - shutdown.MAX_MARGIN_S
    assert shutdown.must_stop()


def test_cold_stop_after_a_warm_one_waits_only_for_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    shutdown.request_stop(within_s=20)
    now = 1015.0
    assert shutdown.request_stop(within_s=20) == 5
    now = 1019.0
    assert shutdown.must_stop()
    assert shutdown.request_stop(within_s=20) == 1
    now = 1030.0
    assert shutdown.request_stop(within_s=20) < 0
