"""Whose turn it is: the one statement that chooses, of what waits, what is claimed next (docs/adr/0033-slots-are-shared.md).

Submitters take turns: whoever has fewest running comes first, and among those whoever was served longest ago. Of one submitter's the oldest comes first, but
after a large one a small one, if one waits. What somebody else holds locked, most often another claim, is passed over and never waited for.
"""

# ruff: noqa: S608  # the statements are made of constants
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import ARRAY, CTE, BigInteger, Boolean, Insert, String, TextualSelect, Uuid, bindparam, column, delete, exists, insert, literal, select, text
from sqlalchemy.orm import aliased

from shared.db.models import IS_LARGE, JOB_WAITS, OUTPUT_WAITS, SUBMITTER, SubmitterTurn

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection

    from sqlalchemy.ext.asyncio import AsyncSession

ACTIVE_S = 600
"""A submitter is active if something of it waits, runs, or was claimed so many seconds ago or less."""

_CHOOSE = """
WITH RECURSIVE waiting (submitter) AS (
    -- One step for each submitter, however much of it waits.
    (SELECT {submitter} FROM {table} WHERE {waits} ORDER BY 1 LIMIT 1)
    UNION ALL
    SELECT (SELECT {submitter} FROM {table} WHERE {waits} AND {submitter} > waiting.submitter ORDER BY 1 LIMIT 1)
    FROM waiting WHERE waiting.submitter IS NOT NULL
),
running AS (SELECT {submitter} AS submitter, count(*) AS number FROM {table} WHERE {runs} GROUP BY 1),
active AS (
    SELECT submitter FROM waiting WHERE submitter IS NOT NULL
    UNION SELECT submitter FROM running
    UNION SELECT submitted_by FROM submitter_turns WHERE claimed_at > now() - make_interval(secs => {active_s})
),
line AS (
    SELECT waiting.submitter, coalesce(running.number, 0) AS running, latest.claimed_at, coalesce(latest.is_large, false) AS after_large
    FROM waiting LEFT JOIN running USING (submitter) LEFT JOIN LATERAL (
        SELECT claimed_at, is_large FROM submitter_turns
        WHERE is_output = {is_output} AND submitted_by = waiting.submitter ORDER BY claimed_at DESC LIMIT 1
    ) AS latest ON true
    WHERE waiting.submitter IS NOT NULL
),
-- First what is next of each submitter. If all of that is being claimed by others, whatever else waits, so that no claim comes back empty-handed.
turn AS (SELECT line.*, round FROM line CROSS JOIN generate_series(1, 3) AS round ORDER BY round, running, claimed_at NULLS FIRST, submitter)
SELECT found.id, turn.submitter, found.is_large
FROM turn CROSS JOIN LATERAL (
    SELECT * FROM (
        SELECT id, {is_large} AS is_large FROM {table} WHERE turn.round = 1 AND {waits} AND {may_run} AND id = (
            SELECT first.id FROM (
                ({first_small})
                UNION ALL
                ({first_large})
            ) AS first
            ORDER BY CASE WHEN turn.after_large THEN first.size END, first.created_at, first.id LIMIT 1
        )
        FOR NO KEY UPDATE SKIP LOCKED
    ) AS next
    UNION ALL
    SELECT * FROM (SELECT id, false FROM {table} WHERE turn.round = 2 AND {small_in_turn} LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) AS small
    UNION ALL
    SELECT * FROM (SELECT id, true FROM {table} WHERE turn.round = 3 AND {large_in_turn} LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) AS large
) AS found
LIMIT 1
"""
# As `IS`, because PostgreSQL turns `NOT a > b` into `a <= b`, which is not what the index is over.
_SMALL, _LARGE = f"{IS_LARGE} IS FALSE", f"{IS_LARGE} IS TRUE"
_MAY_BE_LARGE = "(:may_be_large OR (SELECT count(*) FROM active) <= 1)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A table whose rows are claimed in turns; it has the columns `submitted_by`, `file_size` and `created_at`, and the index over them."""

    table: str
    waits: str
    """The condition of that index."""
    runs: str
    may_run: str
    """What else a row must meet to be claimed."""
    is_output: bool


JOBS = Line(
    table="jobs",
    waits=JOB_WAITS,
    runs="status = 'PROCESSING' AND deleted_at IS NULL",
    may_run="(not_before IS NULL OR not_before <= now())",
    is_output=False,
)
OUTPUTS = Line(
    table="outputs",
    waits=OUTPUT_WAITS,
    runs="status = 'RUNNING'",
    may_run="EXISTS (SELECT FROM jobs WHERE jobs.id = outputs.job_id AND jobs.attempt = outputs.attempt AND jobs.deleted_at IS NULL)",
    is_output=True,
)


def choose_next(line: Line, *, may_be_large: bool) -> TextualSelect:
    """Return the statement that locks what is next in the line, and returns its `id`, `submitter` and `is_large`; no row: there is nothing.

    If not `may_be_large`, something large is chosen only while no more than one submitter is active.
    """
    in_turn = f"{line.waits} AND {SUBMITTER} = turn.submitter AND {{size}} AND {line.may_run}"
    small, large = in_turn.format(size=_SMALL), f"{in_turn.format(size=_LARGE)} AND {_MAY_BE_LARGE}"
    first = f"SELECT id, created_at, {{size}} AS size FROM {line.table} WHERE {{condition}} ORDER BY created_at, id LIMIT 1"
    statement = _CHOOSE.format(
        table=line.table,
        submitter=SUBMITTER,
        waits=line.waits,
        runs=line.runs,
        may_run=line.may_run,
        active_s=ACTIVE_S,
        is_output=str(line.is_output).lower(),
        is_large=IS_LARGE,
        first_small=first.format(size=0, condition=small),
        first_large=first.format(size=1, condition=large),
        small_in_turn=f"{small} ORDER BY created_at, id",
        large_in_turn=f"{large} ORDER BY created_at, id",
    )
    chosen = text(statement).bindparams(bindparam("may_be_large", may_be_large, Boolean))
    return chosen.columns(column("id", Uuid), column("submitter", String), column("is_large", Boolean))


async def is_any_waiting(session: AsyncSession, line: Line) -> bool:
    """Whether there is anything in the line that could be claimed, if not by everybody or at this moment."""
    return bool(await session.scalar(text(f"SELECT EXISTS (SELECT FROM {line.table} WHERE {line.waits} AND {line.may_run})")))


_FIND_PLACES = f"""
SELECT placed.id, placed.place
FROM (
    SELECT {SUBMITTER} AS submitter, max(created_at) AS last_at FROM {JOBS.table} WHERE id = ANY(:job_ids) AND {JOBS.waits} AND {JOBS.may_run} GROUP BY 1
) AS asked
CROSS JOIN LATERAL (
    SELECT id, row_number() OVER (ORDER BY created_at, id) AS place
    FROM (({{small}}) UNION ALL ({{large}})) AS line
    ORDER BY created_at, id LIMIT :limit
) AS placed
WHERE placed.id = ANY(:job_ids)
"""
_BEFORE = f"""
SELECT id, created_at FROM {JOBS.table}
WHERE {JOBS.waits} AND {JOBS.may_run} AND {SUBMITTER} = asked.submitter AND {{size}} AND created_at <= asked.last_at
ORDER BY created_at, id LIMIT :limit
"""


async def find_places(session: AsyncSession, *, job_ids: Collection[uuid.UUID], limit: int) -> dict[uuid.UUID, int]:
    """Return the places of jobs among those of their submitter that wait, oldest first, from 1; without those that do not wait or are past `limit`."""
    statement = text(_FIND_PLACES.format(small=_BEFORE.format(size=_SMALL), large=_BEFORE.format(size=_LARGE)))
    typed = statement.bindparams(bindparam("job_ids", [*job_ids], ARRAY(Uuid)), bindparam("limit", limit))
    rows = await session.execute(typed.columns(column("id", Uuid), column("place", BigInteger)))
    return {row.id: row.place for row in rows}


def note_turn(line: Line, chosen: CTE) -> CTE:
    """Return the part of the claim's statement that notes whose turn it was."""
    columns = ["submitted_by", "is_output", "is_large"]
    noted: Insert = insert(SubmitterTurn).from_select(columns, select(chosen.c.submitter, literal(line.is_output), chosen.c.is_large))
    return noted.cte("noted")


async def forget_turns(session: AsyncSession) -> None:
    """Delete the turns of submitters that have had a later one of the same kind."""
    later = aliased(SubmitterTurn)
    is_superseded = exists().where(
        later.is_output == SubmitterTurn.is_output, later.submitted_by == SubmitterTurn.submitted_by, later.claimed_at > SubmitterTurn.claimed_at
    )
    await session.execute(delete(SubmitterTurn).where(is_superseded), execution_options={"synchronize_session": False})
