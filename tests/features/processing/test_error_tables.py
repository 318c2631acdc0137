from __future__ import annotations

import json

from features.processing import queries
from features.processing.error_tables import tabulate_piece
from features.processing.tasks import process_job
from shared.contracts import ProcessJob
from shared.messages.tasks import TaskContext
from shared.output_names import OUTPUT_NAMES
from tests.factories import Factory

CSV = b"id,name\n" + b"".join(b"%d,Name %d\n" % (n, n) for n in range(2, 200)) + b"x,Linus\n\ny\n" + b"1,a,b\n"


async def test_records_of_pieces_are_those_that_clients_see(context: TaskContext, factory: Factory) -> None:
    assert "errors.csv" in OUTPUT_NAMES
    job = await factory.job(content=CSV)
    await process_job(context, ProcessJob(job_id=job.id))
    shown = await factory.list_errors(job.id)
    async with context.database.reading() as session:
        piece = await queries.get_piece_after(session, job_id=job.id, attempt=1, place=(-1, -1))
        assert piece is not None
        assert await queries.get_piece_after(session, job_id=job.id, attempt=1, place=(piece.first_row, piece.first_column)) is None
    rows = tabulate_piece(piece).to_pylist()
    assert len(rows) == len(shown) == 5
    for row, record in zip(rows, sorted(shown, key=lambda each: (each.row_number, each.column_number or 0)), strict=True):
        cell = None if record.column_number is None else f"{'ABC'[record.column_number - 1]}{record.row_number}"
        assert row == {
            "id": str(record.id),
            "job_id": str(job.id),
            "row_number": record.row_number,
            "column_number": record.column_number,
            "column_name": record.column_name,
            "cell": cell,
            "error_type": record.error_type,
            "error_message": record.error_message,
            "params": row["params"],
            "raw_value": record.raw_value,
            "created_at": record.created_at,
        }
        assert json.loads(row["params"]) == record.params


async def test_params_say_what_the_sentence_says_and_where_a_value_was_first(context: TaskContext, factory: Factory) -> None:
    job = await factory.ended_job()
    await factory.errors(job, [(2, 1, "minimum-error"), (3, 1, "minimum-error"), (4, None, "blank-row")])
    async with context.database.unit_of_work() as session:
        piece = await queries.get_piece_after(session, job_id=job.id, attempt=1, place=(-1, -1))
        assert piece is not None
        piece.rules = [{**rule, "params": {"minimum": 1, "is": "ö"}} if rule["column_number"] else rule for rule in piece.rules]
        piece.first_row_numbers = [None, 2, None]
    shown = await factory.list_errors(job.id)
    params = [json.loads(row["params"]) for row in tabulate_piece(piece).to_pylist()]
    assert params == [{"minimum": 1, "is": "ö"}, {"minimum": 1, "is": "ö", "first_row_number": 2}, {}]
    assert params == [record.params for record in shown]
