from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.webhooks.deliver import ATTEMPT_S, BACKOFF_S, ROUND_S, SHORTEST_ATTEMPT_S, choose_delay, judge, name_receiver
from features.webhooks.models import DeliveryStatus
from features.webhooks.types import AttemptResult, Failure


@given(
    waited_s=st.floats(0, 12),
    durations=st.lists(st.floats(0, ATTEMPT_S), min_size=4, max_size=4),
    wishes=st.lists(st.one_of(st.none(), st.floats(0, 20)), min_size=4, max_size=4),
)
def test_every_retry_is_over_in_time_whatever_the_receiver_does(waited_s: float, durations: list[float], wishes: list[float | None]) -> None:
    now = waited_s  # until the first attempt
    for number, (duration_s, wish_s) in enumerate(zip(durations, wishes, strict=True), start=1):
        timeout_s = ATTEMPT_S if number == 1 else min(ATTEMPT_S, ROUND_S - now)
        assert timeout_s >= SHORTEST_ATTEMPT_S
        now += min(duration_s, timeout_s)
        assert number == 1 or now <= ROUND_S
        delay_s = choose_delay(number, wish_s, left_s=ROUND_S - now)
        if delay_s is None:
            break
        assert delay_s >= (wish_s or 0.0)
        assert 0.9 * BACKOFF_S[number - 1] <= delay_s
        assert delay_s <= max(BACKOFF_S[number - 1], wish_s or 0.0)
        now += delay_s
    else:
        pytest.fail("there was a fifth attempt")


@pytest.mark.parametrize("number", [1, 2, 3])
def test_pauses_are_spread_and_only_downwards(number: int) -> None:
    pauses = [choose_delay(number, None, left_s=ROUND_S) or 0.0 for _ in range(200)]
    assert max(pauses) <= BACKOFF_S[number - 1]
    assert min(pauses) >= 0.9 * BACKOFF_S[number - 1]
    assert len(set(pauses)) > 100


@pytest.mark.parametrize(
    ("code", "failure", "status"),
    [
        (200, None, "DELIVERED"), (204, None, "DELIVERED"), (299, None, "DELIVERED"), (301, None, "REJECTED"), (304, None, "REJECTED"), (400, None, "REJECTED"),
        (408, None, "PENDING"), (410, None, "REJECTED"), (429, None, "PENDING"), (500, None, "PENDING"), (503, None, "PENDING"), (599, None, "PENDING"),
        (None, Failure.TIMEOUT, "PENDING"), (None, Failure.CONNECTION, "PENDING"), (None, Failure.CERTIFICATE, "PENDING"), (None, Failure.NOT_FOUND, "PENDING"),
        (None, Failure.REFUSED, "REJECTED"),
    ],
)  # fmt: skip
def test_answer_decides_what_becomes_of_a_delivery(code: int | None, failure: Failure | None, status: str) -> None:
    error = None if failure is None else "why"
    result = AttemptResult(started_at=datetime.now(UTC), duration_ms=1, status_code=code, error=error, response_excerpt=None, failure=failure)
    assert judge(result) is DeliveryStatus(status)


def test_receiver_is_a_host_and_a_port() -> None:
    assert name_receiver("http://example.com/a") == name_receiver("http://EXAMPLE.com:80/b?c") == "example.com:80"
    assert name_receiver("https://example.com/") == "example.com:443"
    assert name_receiver("no url") == "no url"
