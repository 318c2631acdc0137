"""Every kind and format is made of every kind of file, through the service."""

from __future__ import annotations

import json
from datetime import datetime
from io import BytesIO

import httpx
import openpyxl
import pytest

from shared.output_names import MEDIA_TYPES, OUTPUT_NAMES
from tests.features.outputs.conftest import CSV, EndedJob, MakeAll


def make_xlsx() -> bytes:
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    assert sheet is not None
    sheet.append(["Title above"])
    sheet.append([])
    sheet.append(["id", "name"])
    for number in range(1, 200):
        sheet.append([number, f"Name {number}"])
    sheet.append(["x", "Linus"])
    stream = BytesIO()
    workbook.save(stream)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
async def test_every_output_is_made_of_every_kind_of_file(client: httpx.AsyncClient, ended_job: EndedJob, make_all: MakeAll, kind: str) -> None:
    content = CSV if kind == "csv" else make_xlsx()
    job = await ended_job(content, filename=f"orders.{kind}", file_type=kind)
    for name in OUTPUT_NAMES:
        assert (await client.put(f"/api/jobs/{job.id}/outputs/{name}")).status_code == 202
    await make_all()
    outputs = (await client.get(f"/api/jobs/{job.id}/outputs")).json()["outputs"]
    assert {output["name"]: (output["status"], output["error_message"]) for output in outputs} == dict.fromkeys(OUTPUT_NAMES, ("READY", None))
    counts = {output["name"]: output["row_count"] for output in outputs}
    assert counts == {name: {"valid": 199, "rejected": 1, "annotated": 200, "errors": 1}[name.split(".")[0]] for name in OUTPUT_NAMES}
    for output in outputs:
        answer = await client.get(output["url"])
        assert len(answer.content) == output["size_bytes"]
        assert answer.headers["content-type"] == MEDIA_TYPES[output["name"].split(".")[1]]


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
async def test_rows_above_the_header_are_shown_with_the_others(client: httpx.AsyncClient, ended_job: EndedJob, make_all: MakeAll, kind: str) -> None:
    content = b"Title above,\n,\n" + CSV if kind == "csv" else make_xlsx()
    job = await ended_job(content, filename=f"orders.{kind}", file_type=kind)
    await client.get(f"/api/jobs/{job.id}/rows")
    await make_all()
    answer = (await client.get(f"/api/jobs/{job.id}/rows?limit=4")).json()
    assert answer["columns"] == ["id", "name"]
    assert [(row["row_number"], [cell for cell in row["cells"] if cell]) for row in answer["rows"]] == [
        (1, ["Title above"]),
        (2, []),
        (3, ["id", "name"]),
        (4, ["1", "Name 1"]),
    ]
    [failed] = (await client.get(f"/api/jobs/{job.id}/rows?only=failed")).json()["rows"]
    assert (failed["row_number"], failed["cells"], len(failed["errors"])) == (203, ["x", "Linus"], 1)


async def test_errors_that_are_taken_away_are_those_that_the_api_shows(client: httpx.AsyncClient, ended_job: EndedJob, make_all: MakeAll) -> None:
    fields = [
        {"name": "id", "type": "integer", "constraints": {"unique": True, "minimum": 1}},
        {"name": "born", "type": "date", "format": "%d.%m.%Y"},
        {"name": "name", "type": "string", "constraints": {"required": True, "maxLength": 5}},
    ]
    content = b"id,born,name\n1,01.02.2003,Ada\n0,2003-02-01,=Linus\n1,,\n\n7,1\nx,01.02.2003,\x00\xff,more\n" + b"5,01.02.2003,Grace\n" * 3
    job = await ended_job(content, schema_given={"fields": fields})
    await client.put(f"/api/jobs/{job.id}/outputs/errors.ndjson")
    await make_all()
    shown = (await client.get(f"/api/jobs/{job.id}/errors", params={"page_size": 1000})).json()["errors"]
    taken = [json.loads(line) for line in (await client.get(f"/api/jobs/{job.id}/outputs/errors.ndjson")).text.splitlines()]
    assert len(shown) == job.error_count >= 9
    assert {"first_row_number"} <= {name for error in shown for name in error["params"]}
    for error in (*shown, *taken):
        error["created_at"] = datetime.fromisoformat(error["created_at"])
    assert taken == shown
