"""Pages over many pieces equal slices of one plain list, however they are requested; and only the pieces of a page are unpacked."""

from __future__ import annotations

import json
import random
import uuid
from typing import Any

import httpx
import pytest
from sqlalchemy import event, select, text, update

from shared.db.models import ErrorPiece, Job, make_record_id
from shared.db.session import Database
from shared.jobs.error_counts import OTHER_CAUSES
from shared.web.pagination import encode_cursor
from tests.factories import Factory

TYPES = ["type-error", "required-error", "enum-error"]
FILTERS: list[dict[str, str]] = [
    {}, {"error_type": "type-error"}, {"column_name": "id2"}, {"error_type": "enum-error", "column_name": "id1"}, {"error_type": "rare-error"},
]  # fmt: skip


def make_places(count: int = 60, *, seed: int = 1) -> list[tuple[int, int | None, str]]:
    """Make errors, several of them at the same place, and one of a type that no other has."""
    chance = random.Random(seed)
    places = [(chance.randrange(2, 22), chance.choice([None, 1, 2, 3]), chance.choice(TYPES)) for _ in range(count)]
    places[count // 2] = (*places[count // 2][:2], "rare-error")
    return sorted(places, key=lambda place: (place[0], place[1] or 0))


async def make_job(factory: Factory, places: list[tuple[int, int | None, str]], *, piece_size: int) -> Job:
    job = await factory.ended_job()
    await factory.errors(job, places, piece_size=piece_size)
    return job


async def list_all(client: httpx.AsyncClient, job: Job, **params: Any) -> list[dict[str, Any]]:
    return list((await client.get(f"/api/jobs/{job.id}/errors", params={"page_size": 1000, **params})).json()["errors"])


async def follow_cursors(client: httpx.AsyncClient, job: Job, **params: Any) -> list[dict[str, Any]]:
    errors: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    for _ in range(200):
        page = (await client.get(f"/api/jobs/{job.id}/errors", params={**params, **cursor})).json()
        errors += page["errors"]
        if page["next_cursor"] is None:
            return errors
        cursor = {"cursor": page["next_cursor"]}
    raise AssertionError("the cursors do not end")


@pytest.mark.parametrize("wanted", FILTERS)
@pytest.mark.parametrize(("piece_size", "page_size"), [(4, 3), (7, 25), (60, 1), (20, 20), (1000, 7)])
async def test_pages_and_cursors_are_slices_of_one_list(
    client: httpx.AsyncClient, factory: Factory, piece_size: int, page_size: int, wanted: dict[str, str]
) -> None:
    places = make_places()
    job = await make_job(factory, places, piece_size=piece_size)
    fitting = [
        place for place in places
        if wanted.get("error_type", place[2]) == place[2] and wanted.get("column_name", f"id{place[1]}") == f"id{place[1]}"
    ]  # fmt: skip
    everything = await list_all(client, job, **wanted)
    assert [(error["row_number"], error["column_number"], error["error_type"]) for error in everything] == fitting
    assert len({error["id"] for error in everything}) == len(fitting)
    for page in range(1, len(fitting) // page_size + 3):
        got = (await client.get(f"/api/jobs/{job.id}/errors", params={"page": page, "page_size": page_size, **wanted})).json()
        assert got["errors"] == everything[(page - 1) * page_size : page * page_size]
        assert (got["total"], got["next_cursor"] is None) == (len(fitting), page * page_size >= len(fitting))
    assert await follow_cursors(client, job, page_size=page_size, **wanted) == everything


@pytest.mark.parametrize(("piece_size", "page_size"), [(4, 3), (60, 25)])
async def test_errors_of_one_cause_are_pages_of_their_own(
    client: httpx.AsyncClient, database: Database, factory: Factory, piece_size: int, page_size: int
) -> None:
    """A cause is a column, a type and a sentence; two causes may share the first two."""
    job = await make_job(factory, [(row, 1 + row % 2, "type-error") for row in range(2, 62)], piece_size=piece_size)
    async with database.unit_of_work() as session:
        for piece in await session.scalars(select(ErrorPiece).where(ErrorPiece.job_id == job.id)):
            piece.rules = [{**rule, "column_number": 1, "column_name": "id1", "error_message": f"Sentence {rule['column_number']}."} for rule in piece.rules]
    wanted = {"column_name": "id1", "error_type": "type-error", "error_message": "Sentence 2."}
    assert {error["row_number"] for error in await list_all(client, job, **wanted)} == set(range(3, 62, 2))
    got = (await client.get(f"/api/jobs/{job.id}/errors", params={"page": 2, "page_size": page_size, **wanted})).json()
    assert got["total"] == 30
    assert [error["row_number"] for error in got["errors"]] == list(range(3, 62, 2))[page_size : 2 * page_size]
    assert await follow_cursors(client, job, page_size=page_size, **wanted) == await list_all(client, job, **wanted)
    assert await list_all(client, job, error_message="No such sentence.") == []


async def test_every_cause_of_the_summary_leads_to_its_errors(client: httpx.AsyncClient, database: Database, factory: Factory) -> None:
    """Also the one that stands for all past the first ones, and those whose sentences are cut."""
    job = await make_job(factory, [(row, 1 + row % 4, "type-error") for row in range(2, 42)], piece_size=7)
    long = "Sentence 3 is a long one. " * 10
    sentences = {1: "Sentence 1.", 2: "Sentence 2.", 3: long, 4: "Sentence 4."}
    causes = {"Sentence 1.": 10, long[:99] + "…": 10, OTHER_CAUSES: 20}
    async with database.unit_of_work() as session:
        for piece in await session.scalars(select(ErrorPiece).where(ErrorPiece.job_id == job.id)):
            piece.rules = [{**rule, "column_number": 1, "column_name": "id1", "error_message": sentences[rule["column_number"]]} for rule in piece.rules]
        told = [{"error_message": text, "count": count, "first_row_number": 2, "examples": []} for text, count in causes.items()]
        tally = [{"column_number": 1, "column_name": "id1", "error_type": "type-error", "count": 40, "stored": 40, "causes": told}]
        await session.execute(update(Job).where(Job.id == job.id).values(error_tally=tally))
    summary = (await client.get(f"/api/jobs/{job.id}/errors/summary")).json()
    for cause in summary["by_column"]:
        wanted = {name: cause[name] for name in ("column_name", "error_type", "error_message")}
        got = (await client.get(f"/api/jobs/{job.id}/errors", params={"page_size": 1000, **wanted})).json()
        assert (got["total"], len(got["errors"])) == (cause["count"], cause["count"]), cause


@pytest.mark.parametrize("page", [2, 3])
async def test_cursor_of_a_numbered_page_goes_on_where_it_ends(client: httpx.AsyncClient, factory: Factory, page: int) -> None:
    job = await make_job(factory, make_places(), piece_size=4)
    everything = await list_all(client, job)
    numbered = (await client.get(f"/api/jobs/{job.id}/errors", params={"page": page, "page_size": 5})).json()
    assert await list_all(client, job, cursor=numbered["next_cursor"]) == everything[page * 5 :]


async def test_cursor_goes_on_behind_its_place_where_its_piece_was_written_anew(client: httpx.AsyncClient, database: Database, factory: Factory) -> None:
    places: list[tuple[int, int | None, str]] = [(row, 1, "type-error") for row in range(2, 12)]
    job = await make_job(factory, places, piece_size=5)
    cursor = (await client.get(f"/api/jobs/{job.id}/errors", params={"page_size": 3})).json()["next_cursor"]
    await factory.errors(job, [(2, None, "late-error"), (4, 2, "late-error")], piece_size=4)
    rows = [(error["row_number"], error["column_number"]) for error in await list_all(client, job, cursor=cursor)]
    assert rows == [(4, 2), *((row, 1) for row in range(5, 12))]


async def test_cursor_before_every_error_gives_all_of_them(client: httpx.AsyncClient, factory: Factory) -> None:
    job = await make_job(factory, [(2, 1, "type-error"), (9, 1, "type-error")], piece_size=1)
    cursor = (await client.get(f"/api/jobs/{job.id}/errors", params={"page_size": 1})).json()["next_cursor"]
    other = await make_job(factory, [(5, 1, "type-error"), (6, 1, "type-error")], piece_size=1)
    assert [error["row_number"] for error in await list_all(client, other, cursor=cursor)] == [5, 6]


async def test_ids_are_those_of_the_view(client: httpx.AsyncClient, factory: Factory) -> None:
    job = await make_job(factory, make_places(), piece_size=7)
    shown = [{name: str(value) for name, value in error.items() if name not in {"created_at", "cell"}} for error in await list_all(client, job)]
    stored = [{name: str(getattr(error, name)) for name in shown[0]} for error in await factory.list_errors(job.id)]
    assert sorted(shown, key=lambda error: error["id"]) == sorted(stored, key=lambda error: error["id"])


JOBS, PIECES, RECORDS = 10, 100, 1_000
FILL = """
INSERT INTO error_pieces (job_id, attempt, first_row, first_column, record_count, id, rules, row_numbers, rule_numbers, raw_values)
SELECT
    CAST(:job_id AS uuid), 1, piece * :records, 1, :records, overlay(gen_random_uuid()::text PLACING '00000000' FROM 29)::uuid,
    jsonb_build_array(
        jsonb_build_object('number', 0, 'column_number', 1, 'column_name', 'a', 'error_type', 'type-error', 'error_message', 'No.', 'count', :records - 1),
        jsonb_build_object('number', 1, 'column_number', 2, 'column_name', 'b', 'error_type', 'enum-error', 'error_message', 'No.', 'count', 1)
    ),
    (SELECT array_agg(piece * :records + n ORDER BY n) FROM generate_series(0, :records - 1) AS n),
    array_fill(0::smallint, ARRAY[:records - 1]) || 1::smallint,
    (SELECT array_agg('value ' || n ORDER BY n) FROM generate_series(1, :records) AS n)
FROM generate_series(1, :pieces) AS piece
"""


@pytest.fixture
async def large_job(database: Database, factory: Factory) -> Job:
    """One of ten jobs of the same size."""
    jobs = [await factory.ended_job() for _ in range(JOBS)]
    job = jobs[JOBS // 2]
    async with database.unit_of_work() as session:
        for each in jobs:
            await session.execute(text(FILL), {"job_id": str(each.id), "records": RECORDS, "pieces": PIECES})
        tally = [("a", "type-error", 1, RECORDS - 1), ("b", "enum-error", 2, 1)]
        entries = [
            {"column_number": number, "column_name": name, "error_type": kind, "count": count * PIECES, "stored": count * PIECES}
            for name, kind, number, count in tally
        ]
        await session.execute(update(Job).where(Job.id == job.id).values(error_tally=entries))
    return job


def find_nodes(plan: Any) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", []) for node in find_nodes(child))]


@pytest.mark.parametrize("is_analyzed", [False, True])
@pytest.mark.parametrize(
    ("params", "pieces_opened"),
    [
        ({"page": 1, "page_size": 50}, 3),
        ({"page": 1_500, "page_size": 50}, 3),
        ({"page": 40, "page_size": 2, "error_type": "enum-error"}, 6),
        ({"cursor": [50_500, 1]}, 3),
    ],
)
async def test_page_at_any_depth_opens_its_own_pieces_by_the_index(
    client: httpx.AsyncClient, app: Any, database: Database, large_job: Job, params: dict[str, Any], pieces_opened: int, is_analyzed: bool
) -> None:
    if "cursor" in params:
        async with database.unit_of_work() as session:
            piece_id = (await session.scalars(select(ErrorPiece.id).where(ErrorPiece.first_row == 50_000, ErrorPiece.job_id == large_job.id))).one()
        params = {"cursor": encode_cursor([*params["cursor"], str(make_record_id(piece_id, 501))])}
    if is_analyzed:
        async with database.unit_of_work() as session:
            await session.execute(text("ANALYZE error_pieces"))
    statements: list[tuple[str, Any]] = []
    engine = app.state.database.engine

    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def remember(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        statements.append((statement, parameters))

    page = (await client.get(f"/api/jobs/{large_job.id}/errors", params=params)).json()
    event.remove(engine.sync_engine, "before_cursor_execute", remember)
    assert page["errors"]
    of_pieces = [entry for entry in statements if "error_pieces" in entry[0]]
    assert len(of_pieces) <= 2
    opened = []
    for statement, parameters in of_pieces:
        nodes = await explain(database, statement, parameters)
        scans = [node for node in nodes if node.get("Relation Name") == "error_pieces"]
        assert {node["Index Name"] for node in nodes if "Index Name" in node} == {"pk_error_pieces"}
        assert "Seq Scan" not in {node["Node Type"] for node in scans}
        if "raw_value" in statement:
            opened += [node["Actual Rows"] for node in scans]
            assert not [value for value in nodes[0]["Output"] if value.endswith(("row_numbers", "raw_values"))], "whole arrays are sent"
    assert len(opened) == 1
    assert opened[0] <= pieces_opened


async def explain(database: Database, statement: str, parameters: Any) -> list[dict[str, Any]]:
    async with database.unit_of_work() as session:
        connection = await session.connection()
        rows = await connection.exec_driver_sql(f"EXPLAIN (ANALYZE, VERBOSE, FORMAT JSON) {statement}", parameters)
        plan = rows.scalar_one()
    return find_nodes((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"])


async def test_deep_page_and_cursor_give_the_right_records(client: httpx.AsyncClient, large_job: Job) -> None:
    page = (await client.get(f"/api/jobs/{large_job.id}/errors", params={"page": 1_500, "page_size": 50})).json()
    assert [error["row_number"] for error in page["errors"]] == list(range(RECORDS + 1_499 * 50, RECORDS + 1_500 * 50))
    following = (await client.get(f"/api/jobs/{large_job.id}/errors", params={"cursor": page["next_cursor"]})).json()
    assert [error["row_number"] for error in following["errors"]] == list(range(RECORDS + 1_500 * 50, RECORDS + 1_501 * 50))
    assert following["errors"][0]["raw_value"] == f"value {1_500 * 50 % RECORDS + 1}"
    assert uuid.UUID(following["errors"][0]["id"]).int & 0xFFFFFFFF == 1_500 * 50 % RECORDS + 1
