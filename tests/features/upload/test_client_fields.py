"""The fields of an upload that are the client's own, and the outputs that it asks for."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.factories import CSV, Factory

URL = "/api/files/upload"


async def send(client: httpx.AsyncClient, key: str | None = None, **fields: str) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return await client.post(URL, files={"file": ("a.csv", CSV)}, data=fields, headers=headers)


async def test_own_id_labels_and_wanted_outputs_are_kept(client: httpx.AsyncClient, factory: Factory) -> None:
    answer = await send(client, external_id=" 4711 ", labels='{"team": "säles"}', outputs="rejected.xlsx, valid.csv,rejected.xlsx,")
    job = await factory.get(answer.json()["job_id"])
    assert job is not None
    assert (job.external_id, job.labels, job.outputs_wanted) == ("4711", {"team": "säles"}, ["rejected.xlsx", "valid.csv"])
    shown = (await client.get(f"/api/jobs/{job.id}")).json()
    assert (shown["external_id"], shown["labels"]) == ("4711", {"team": "säles"})


async def test_without_them_there_are_none(client: httpx.AsyncClient, factory: Factory) -> None:
    job = await factory.get((await send(client, external_id=" ", labels="", outputs="")).json()["job_id"])
    assert job is not None
    assert (job.external_id, job.labels, job.outputs_wanted, job.checked_again_from) == (None, {}, [], None)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"outputs": "rejected.pdf"}, "outputs"),
        ({"outputs": "valid.csv;errors.csv"}, "outputs"),
        ({"outputs": "rows.index"}, "outputs"),
        ({"external_id": "x" * 256}, "/external_id"),
        ({"labels": "{"}, "/labels"),
        ({"labels": "[1]"}, "/labels"),
        ({"labels": "[" * 10_000}, "/labels"),
        ({"labels": '{"a": 1}'}, "/labels/a"),
        ({"labels": json.dumps({"n" * 65: "x"})}, "/labels/" + "n" * 65),
        ({"labels": json.dumps({"a": "x" * 256})}, "/labels/a"),
        ({"labels": json.dumps({"a": "\0"})}, "/labels/a"),
        ({"labels": json.dumps({str(n): "x" for n in range(17)})}, "/labels"),
    ],
)
async def test_wrong_field_is_a_400_that_names_it(client: httpx.AsyncClient, fields: dict[str, str], named: str) -> None:
    answer = await send(client, **fields)
    assert answer.status_code == 400
    [part] = answer.json()["errors"]
    assert (part.get("field") if named == "outputs" else part["pointer"]) == named
    assert part["message"]


async def test_same_key_with_other_outputs_is_another_request(client: httpx.AsyncClient) -> None:
    first = await send(client, key="k", outputs="valid.csv")
    assert (await send(client, key="k", outputs="valid.csv")).json()["job_id"] == first.json()["job_id"]
    assert (await send(client, key="k", outputs="errors.csv")).status_code == 400


def list_problems(answer: httpx.Response) -> list[Any]:
    return [part.get("pointer") or part["field"] for part in answer.json()["errors"]]


async def test_every_problem_is_listed_at_once(client: httpx.AsyncClient) -> None:
    answer = await send(client, schema='{"fields": 1}', outputs="x", external_id="y" * 300, labels="1", encoding="klingon")
    assert {"outputs", "/external_id", "/labels", "encoding"} < set(list_problems(answer))
