from __future__ import annotations

import asyncio
import dataclasses
import ipaddress
import json
import time
import uuid
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text, update
from standardwebhooks import Webhook

from features.webhooks import queries, tasks
from features.webhooks.look_up import choose_addresses
from features.webhooks.messages import SendDelivery
from features.webhooks.models import Delivery, DeliveryStatus
from features.webhooks.types import AttemptResult, Outcome
from shared.db.models import Job, JobStatus
from shared.jobs import job_state
from shared.jobs.job_state import Progress
from shared.messages.outbox import Message
from shared.messages.refs import Nothing
from shared.messages.tasks import TaskContext
from shared.web.webhook_address import parse_webhook_url
from tests.factories import Factory
from tests.features.webhooks.name_server import naming
from tests.features.webhooks.receiver import Receiver, receiving, status

PROGRESS = Progress(percent=99, rows_processed=3, rows_failed=1, total_rows=None, error_count=1, errors_stored=1, error_tally=[])


def with_settings(context: TaskContext, **changes: Any) -> TaskContext:
    """Make the context of another process with other settings."""
    return TaskContext(settings=context.settings.model_copy(update=changes), database=context.database, redis=context.redis)


async def end_job(context: TaskContext, factory: Factory, url: str | None, **values: Any) -> Job:
    job = await factory.job(status=JobStatus.PROCESSING, attempt=1, webhook_url=url, **values)
    async with context.database.unit_of_work() as session:
        assert await job_state.finish(session, job_id=job.id, attempt=1, progress=PROGRESS)
    return job


async def deliver(context: TaskContext, sent: list[Message]) -> None:
    [message] = [message for message in sent if message.task == "webhooks.send_delivery"]
    await tasks.send_delivery(context, SendDelivery.model_validate(message.payload))


async def get_delivery(context: TaskContext, job_id: uuid.UUID) -> Delivery:
    async with context.database.unit_of_work() as session:
        [delivery] = await queries.list_deliveries(session, job_id=job_id)
        return delivery


async def test_end_of_a_job_is_told_once_with_its_figures(context: TaskContext, factory: Factory, sent: list[Message]) -> None:
    async with receiving(lambda _: status(204, b"")) as receiver:
        job = await end_job(context, factory, receiver.url)
        await deliver(context, sent)
        await deliver(context, sent)
        [request] = receiver.requests
        told = json.loads(request.body)
    ended = await factory.get(job.id)
    assert ended is not None
    assert ended.completed_at is not None
    assert (told["type"], told["job_id"], told["status"], told["rows_processed"], told["rows_failed"]) == ("job.completed", str(job.id), "COMPLETED", 3, 1)
    assert told["completed_at"] == ended.completed_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    delivery = await get_delivery(context, job.id)
    assert request.headers["webhook-id"] == str(delivery.id)
    assert abs(int(request.headers["webhook-timestamp"]) - time.time()) < 30
    assert "webhook-signature" not in request.headers
    assert request.headers["host"] == receiver.url.split("/")[2]
    assert delivery.status == "DELIVERED"
    assert [(attempt.number, attempt.status_code, attempt.error) for attempt in delivery.attempts] == [(1, 204, None)]


async def test_each_secret_signs_so_that_the_reference_library_verifies(context: TaskContext, factory: Factory, sent: list[Message]) -> None:
    secrets = ["whsec_" + "A" * 32, "B" * 32]
    signed = with_settings(context, webhook_secret=" ".join(secrets))
    async with receiving(lambda _: status(200)) as receiver:
        await end_job(context, factory, receiver.url)
        await deliver(signed, sent)
        [request] = receiver.requests
    for secret in secrets:
        Webhook(secret).verify(request.body, request.headers)
    with pytest.raises(Exception, match="No matching signature"):
        Webhook("C" * 32).verify(request.body, request.headers)


@pytest.mark.parametrize("fate", ["kept", "deleted", "gone"])
async def test_job_of_a_name_with_secrets_is_signed_with_these_alone(context: TaskContext, factory: Factory, sent: list[Message], fate: str) -> None:
    """Also if the job was deleted, or is gone altogether, when the delivery is sent."""
    new, old, of_all = ("whsec_" + letter * 32 for letter in "ABC")
    signed = with_settings(context, webhook_secret=f"{of_all} ann={new} ann={old}")
    for name, secrets in (("ann", [new, old]), ("bob", [of_all]), (None, [of_all])):
        async with receiving(lambda _: status(200)) as receiver:
            job = await end_job(context, factory, receiver.url, submitted_by=name)
            async with context.database.unit_of_work() as session:
                if fate != "kept":
                    await session.execute(text("UPDATE jobs SET deleted_at = now() WHERE id = :id"), {"id": job.id})
                if fate == "gone":
                    await session.execute(text("DELETE FROM jobs WHERE id = :id"), {"id": job.id})
            await deliver(signed, sent)
            sent.clear()
            [request] = receiver.requests
        assert len(request.headers["webhook-signature"].split()) == len(secrets)
        for secret in secrets:
            Webhook(secret).verify(request.body, request.headers)


async def test_job_without_a_url_tells_nobody(context: TaskContext, factory: Factory, sent: list[Message]) -> None:
    await end_job(context, factory, None)
    assert sent == []


async def test_receiver_that_recovers_is_told_after_retries(context: TaskContext, factory: Factory, sent: list[Message]) -> None:
    answers = [status(500, b"no"), status(429, b"slow down"), status(200)]
    async with receiving(lambda n: answers[n - 1]) as receiver:
        job = await end_job(context, factory, receiver.url)
        await deliver(context, sent)
        moments = [request.at for request in receiver.requests]
        assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
    pauses = [later - earlier for earlier, later in pairwise(moments)]
    assert 0.4 <= pauses[0] <= 6
    assert 0.85 <= pauses[1] <= 6
    delivery = await get_delivery(context, job.id)
    assert delivery.status == "DELIVERED"
    assert [attempt.status_code for attempt in delivery.attempts] == [500, 429, 200]
    assert delivery.attempts[0].response_excerpt == "no"


@pytest.mark.parametrize("code", [400, 401, 404, 410, 301, 302])
async def test_answer_that_means_no_is_not_tried_again(context: TaskContext, factory: Factory, sent: list[Message], code: int) -> None:
    async with receiving(lambda _: status(code, location="http://127.0.0.1:1/")) as receiver:
        job = await end_job(context, factory, receiver.url)
        await deliver(context, sent)
        assert len(receiver.requests) == 1
    delivery = await get_delivery(context, job.id)
    assert delivery.status == "REJECTED"
    assert delivery.attempts[0].status_code == code


@pytest.mark.slow
async def test_receiver_that_hangs_is_given_up_within_ten_seconds(context: TaskContext, factory: Factory, sent: list[Message]) -> None:
    async with receiving(lambda _: None) as receiver:
        job = await end_job(context, factory, receiver.url)
        start = time.monotonic()
        await deliver(context, sent)
        taken_s = time.monotonic() - start
        assert 3 <= len(receiver.requests) <= 4
    assert taken_s < 20
    delivery = await get_delivery(context, job.id)
    assert delivery.status == "EXHAUSTED"
    assert all(attempt.status_code is None and "Timeout" in str(attempt.error) for attempt in delivery.attempts)
    assert all(attempt.duration_ms < 6000 for attempt in delivery.attempts)


@pytest.mark.slow
async def test_nobody_listening_is_recorded_as_an_error(context: TaskContext, factory: Factory, sent: list[Message]) -> None:
    job = await end_job(context, factory, "http://127.0.0.1:1/")
    await deliver(context, sent)
    delivery = await get_delivery(context, job.id)
    assert delivery.status == "EXHAUSTED"
    assert len(delivery.attempts) == 4
    assert "Connect" in str(delivery.attempts[0].error)


async def test_private_address_is_never_called(context: TaskContext, factory: Factory, sent: list[Message]) -> None:
    strict = with_settings(context, webhook_allow_private_addresses=False)
    async with receiving(lambda _: status(200)) as receiver:
        job = await end_job(context, factory, receiver.url)
        await deliver(strict, sent)
        assert receiver.requests == []
    delivery = await get_delivery(context, job.id)
    assert delivery.status == "REJECTED"
    assert "public" in str(delivery.attempts[0].error)


async def test_delivery_that_comes_too_late_is_still_tried_once(context: TaskContext, factory: Factory, sent: list[Message]) -> None:
    async with receiving(lambda _: status(500)) as receiver:
        job = await end_job(context, factory, receiver.url)
        async with context.database.unit_of_work() as session:
            await session.execute(update(Delivery).values(round_started_at=datetime.now(UTC) - timedelta(hours=1)))
        await deliver(context, sent)
        assert len(receiver.requests) == 1
    assert (await get_delivery(context, job.id)).status == "EXHAUSTED"


async def test_delivery_whose_message_was_lost_is_found(context: TaskContext, factory: Factory, sent: list[Message]) -> None:
    async with receiving(lambda _: status(200)) as receiver:
        job = await end_job(context, factory, receiver.url)
        sent.clear()
        await tasks.send_due(context, Nothing())
        assert sent == []
        async with context.database.unit_of_work() as session:
            await session.execute(update(Delivery).values(due_at=datetime.now(UTC) - timedelta(seconds=5)))
        await tasks.send_due(context, Nothing())
        await deliver(context, sent)
        assert len(receiver.requests) == 1
    assert (await get_delivery(context, job.id)).status == "DELIVERED"


async def test_two_processes_attempt_a_delivery_once(context: TaskContext, factory: Factory, sent: list[Message]) -> None:
    async def run(receiver: Receiver) -> None:
        await end_job(context, factory, receiver.url)
        await asyncio.gather(*(deliver(process, sent) for process in [context, with_settings(context)] for _ in range(4)))

    async with receiving(lambda _: status(200)) as receiver:
        await run(receiver)
        assert len(receiver.requests) == 1


async def test_deliveries_of_jobs_that_are_gone_are_removed_when_they_have_ended(context: TaskContext, factory: Factory, sent: list[Message]) -> None:
    async with receiving(lambda _: status(200)) as receiver:
        job = await end_job(context, factory, receiver.url)
        async with context.database.unit_of_work() as session:
            await session.delete(await session.get_one(Job, job.id))
        await tasks.remove_orphans(context, Nothing())
        await deliver(context, sent)
        assert len(receiver.requests) == 1
    await tasks.remove_orphans(context, Nothing())
    async with context.database.unit_of_work() as session:
        assert await queries.list_deliveries(session, job_id=job.id) == []


async def test_address_that_was_checked_is_the_one_that_is_called(
    context: TaskContext, factory: Factory, sent: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a name server changes its answer between look-ups, that makes no difference: one attempt makes one look-up."""
    async with receiving(lambda _: status(200)) as receiver, naming(monkeypatch, lambda _, n: ["127.0.0.1" if n == 1 else "127.0.0.99"]) as server:
        job = await end_job(context, factory, receiver.url.replace("127.0.0.1", "hook.test"))
        await deliver(context, sent)
        [request] = receiver.requests
        assert server.asked == ["hook.test"]
    assert request.headers["host"].startswith("hook.test:")
    assert (await get_delivery(context, job.id)).status == "DELIVERED"


@pytest.mark.slow
async def test_host_that_turns_to_a_private_address_after_the_upload_is_not_called(
    context: TaskContext, factory: Factory, sent: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the address is public at one look-up, and loopback at the next."""
    strict = with_settings(context, webhook_allow_private_addresses=False)
    async with receiving(lambda _: status(200)) as receiver, naming(monkeypatch, lambda _, n: ["8.8.8.8" if n == 1 else "127.0.0.1"]) as server:
        url = receiver.url.replace("127.0.0.1", "rebinds.test")
        assert await choose_addresses(parse_webhook_url(url), allow_private=False, timeout_s=5) == [ipaddress.ip_address("8.8.8.8")]
        job = await end_job(context, factory, url)
        await deliver(strict, sent)
        assert set(server.asked) == {"rebinds.test"}
        assert len(server.asked) > 1
        assert receiver.requests == []
    delivery = await get_delivery(context, job.id)
    assert delivery.status == "EXHAUSTED"
    assert "public" in str(delivery.attempts[0].error)


@pytest.mark.slow
async def test_delivery_does_not_tell_a_private_name_from_one_that_does_not_exist(
    context: TaskContext, factory: Factory, sent: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {"none.test": [], "private.test": ["10.0.0.1"], "both.test": ["8.8.8.8", "127.0.0.1"]}
    told = set()
    async with receiving(lambda _: status(200)) as receiver, naming(monkeypatch, lambda name, _: answers[name]):
        for name in answers:
            sent.clear()
            job = await end_job(context, factory, receiver.url.replace("127.0.0.1", name))
            await deliver(with_settings(context, webhook_allow_private_addresses=False), sent)
            delivery = await get_delivery(context, job.id)
            told.add((delivery.status, *(str(attempt.error).replace(name, "NAME") for attempt in delivery.attempts)))
        assert receiver.requests == []
    assert len(told) == 1


async def test_host_with_an_address_that_nobody_listens_at_is_called_at_the_next(
    context: TaskContext, factory: Factory, sent: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receiving(lambda _: status(200)) as receiver, naming(monkeypatch, lambda *_: ["127.0.0.98", "127.0.0.99", "127.0.0.1"]):
        job = await end_job(context, factory, receiver.url.replace("127.0.0.1", "three.test"))
        await deliver(context, sent)
        assert len(receiver.requests) == 1
    delivery = await get_delivery(context, job.id)
    assert [attempt.status_code for attempt in delivery.attempts] == [200]


async def test_list_of_hosts_is_obeyed_at_sending(context: TaskContext, factory: Factory, sent: list[Message]) -> None:
    async with receiving(lambda _: status(200)) as receiver:
        job = await end_job(context, factory, receiver.url)
        await deliver(with_settings(context, webhook_allowed_hosts="hooks.example.com, *.example.org"), sent)
        assert receiver.requests == []
        delivery = await get_delivery(context, job.id)
        assert delivery.status == "REJECTED"
        assert "not among the hosts" in str(delivery.attempts[0].error)
        sent.clear()
        other = await end_job(context, factory, receiver.url)
        await deliver(with_settings(context, webhook_allowed_hosts="127.0.0.1"), sent)
        assert len(receiver.requests) == 1
    assert (await get_delivery(context, other.id)).status == "DELIVERED"


async def test_proxies_of_the_environment_are_not_used(context: TaskContext, factory: Factory, sent: list[Message], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "")
    async with receiving(lambda _: status(200)) as receiver:
        await end_job(context, factory, receiver.url)
        await deliver(context, sent)
        assert len(receiver.requests) == 1


async def test_attempts_and_outcomes_are_counted(context: TaskContext, factory: Factory, sent: list[Message]) -> None:
    def count(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(f"rowgate_webhook_{name}_total", labels) or 0.0

    def count_all() -> list[float]:
        results = [count("attempts", outcome=result) for result in ("2xx", "4xx", "5xx", "connection", "refused")]
        outcomes = [count("deliveries", outcome=outcome) for outcome in ("delivered", "rejected", "exhausted")]
        return [*results, *outcomes, REGISTRY.get_sample_value("rowgate_webhook_attempt_duration_seconds_count") or 0.0]

    before = count_all()
    async with receiving(lambda n: status({1: 500, 2: 200, 3: 404}[n])) as receiver:
        for _ in range(2):
            await end_job(context, factory, receiver.url)
            await deliver(context, sent)
            sent.clear()
    await end_job(context, factory, receiver.url)  # nothing listens there any more
    await make_old(context)
    await deliver(context, sent)
    sent.clear()
    await end_job(context, factory, "http://127.0.0.1:1/")
    await deliver(with_settings(context, webhook_allow_private_addresses=False), sent)
    assert [after - earlier for after, earlier in zip(count_all(), before, strict=True)] == [1, 1, 1, 1, 1, 1, 2, 1, 5]


async def test_retry_after_is_honoured_inside_the_window_and_recorded(context: TaskContext, factory: Factory, sent: list[Message]) -> None:
    answers = [status(503, b"", retry_after="2"), status(200)]
    async with receiving(lambda n: answers[n - 1]) as receiver:
        job = await end_job(context, factory, receiver.url)
        await deliver(context, sent)
        [first, second] = receiver.requests
    assert second.at - first.at >= 2
    delivery = await get_delivery(context, job.id)
    assert delivery.status == "DELIVERED"
    assert [attempt.retry_after_s for attempt in delivery.attempts] == [2, None]


async def test_retry_after_beyond_the_window_ends_the_round(context: TaskContext, factory: Factory, sent: list[Message]) -> None:
    async with receiving(lambda _: status(429, b"", retry_after="3600")) as receiver:
        job = await end_job(context, factory, receiver.url)
        await deliver(context, sent)
        assert len(receiver.requests) == 1
    delivery = await get_delivery(context, job.id)
    assert delivery.status == "EXHAUSTED"
    assert delivery.attempts[0].retry_after_s == 3600


async def test_delivery_that_is_rung_again_while_it_waits_waits_once(context: TaskContext, factory: Factory, sent: list[Message]) -> None:
    one_at_a_time = with_settings(context, webhook_attempts_per_receiver=1)
    async with receiving(lambda n: None if n == 1 else status(200)) as receiver:
        await end_job(context, factory, receiver.url)
        hanging = asyncio.create_task(deliver(one_at_a_time, sent))
        while not receiver.requests:
            await asyncio.sleep(0.01)
        sent.clear()
        job = await end_job(context, factory, receiver.url)
        waiting = asyncio.create_task(deliver(one_at_a_time, sent))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        await asyncio.wait_for(deliver(one_at_a_time, sent), timeout=30)  # leaves it to the waiting one
        await waiting
        assert (await get_delivery(context, job.id)).status == "DELIVERED"
        hanging.cancel()


async def test_crowd_that_waits_hides_no_delivery_from_the_sweep(context: TaskContext, factory: Factory) -> None:
    for _ in range(3):
        await end_job(context, factory, "http://127.0.0.1:1/")
    await make_old(context)
    rung: list[uuid.UUID] = []
    for _ in range(3):
        async with context.database.unit_of_work() as session:
            rung += await queries.ring_unheard(session, limit=1)
    assert len(set(rung)) == 3
    async with context.database.unit_of_work() as session:
        assert len(await queries.claim_deliveries(session, delivery_ids=rung, round_s=10)) == 3


async def test_outcomes_are_recorded_together_with_their_own_numbers(context: TaskContext, factory: Factory, sent: list[Message]) -> None:
    jobs = [await end_job(context, factory, "http://127.0.0.1:1/") for _ in range(3)]
    ids = [uuid.UUID(str(message.payload["delivery_id"])) for message in sent]
    result = AttemptResult(started_at=datetime.now(UTC), duration_ms=1, status_code=500, error=None, response_excerpt="")
    for _ in range(2):
        async with context.database.unit_of_work() as session:
            claimed = await queries.claim_deliveries(session, delivery_ids=ids, round_s=10)
        assert len(claimed) == 3
        async with context.database.unit_of_work() as session:
            outcomes = [Outcome(claimed=one, result=result, status=DeliveryStatus.PENDING, delay_s=0.0) for one in claimed]
            gone = dataclasses.replace(claimed[0], id=uuid.uuid4())
            await queries.record_outcomes(session, outcomes=[*outcomes, Outcome(claimed=gone, result=result, status=DeliveryStatus.PENDING)])
    for job in jobs:
        delivery = await get_delivery(context, job.id)
        assert ([attempt.number for attempt in delivery.attempts], delivery.round_attempts) == ([1, 2], 2)


async def make_old(context: TaskContext) -> None:
    """Make every delivery look as if its job ended long ago."""
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    async with context.database.unit_of_work() as session:
        await session.execute(update(Delivery).values(round_started_at=long_ago, due_at=long_ago))
