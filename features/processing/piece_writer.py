"""Findings into pieces of error records in the database: in page order, without overlaps, in whatever order they are found."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from features.processing import queries
from features.processing.copy_format import COLUMNS, encode_copy
from features.processing.pieces import RECORDS_PER_PIECE, Place, Records, Rule, cut_records, make_records, merge_records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from features.processing.readers.base import Finding
    from features.processing.schemas import Hold
    from shared.db.models import ErrorPiece


@dataclass(frozen=True, slots=True)
class Packed:
    """Records that are ready to be written."""

    late: Records
    """Those that belong among what was written before."""
    rows: bytes
    """The pieces of all others, as COPY takes them; empty where there are none."""


class PieceWriter:
    """Writes the records of one attempt: `pack`, then `write`, and `settle` before anybody else uses the session.

    Records mostly come in page order and are appended, in the background, while the next ones are packed. Those that belong among what was
    written before (foreign keys are judged after the last row) go into the pieces there, one after the other: each is read back, merged and
    written anew.
    """

    def __init__(self, hold: Hold, *, records_per_piece: int = RECORDS_PER_PIECE) -> None:
        self._hold = hold
        self._records_per_piece = records_per_piece
        self._waiting: list[Records] = []
        self._last: Place | None = None
        self._copying: asyncio.Task[None] | None = None

    async def pack(self, findings: Sequence[Finding], *, least: int | None = None) -> Packed | None:
        """The findings' records with all that wait; None: they wait with them, until there are `least` (by default as many as fill a piece)."""
        if not findings and least is None:
            return None
        return await asyncio.to_thread(self._pack, findings, self._records_per_piece if least is None else least)

    async def write(self, session: AsyncSession, packed: Packed) -> None:
        """Write them through the session, which nobody else may use before `settle`."""
        await self.settle()
        if len(packed.late):
            await self._merge(session, packed.late)
        if packed.rows:
            self._copying = asyncio.create_task(queries.copy_pieces(session, rows=packed.rows, columns=COLUMNS))

    async def settle(self) -> None:
        """Wait until all that was given to `write` is written; raises what went wrong with it."""
        copying, self._copying = self._copying, None
        if copying is not None:
            await copying

    async def flush(self, session: AsyncSession) -> None:
        """Write all that waits."""
        if (packed := await self.pack((), least=1)) is not None:
            await self.write(session, packed)
        await self.settle()

    def _pack(self, findings: Sequence[Finding], least: int) -> Packed | None:
        if findings:
            self._waiting.append(make_records(findings))
        if sum(map(len, self._waiting)) < least:
            return None
        records = self._waiting[0] if len(self._waiting) == 1 else merge_records(self._waiting)
        self._waiting = []
        late_count = 0 if self._last is None else records.count_before(Place(self._last.row_number, self._last.column_number + 1))
        if late_count == len(records):
            return Packed(records, b"")
        self._last = records.place(-1)
        return Packed(records[:late_count], self._encode(records[late_count:]))

    def _encode(self, records: Records) -> bytes:
        pieces = cut_records(records, most_records=self._records_per_piece)
        return encode_copy(pieces, job_id=self._hold.job_id, attempt=self._hold.attempt)

    async def _merge(self, session: AsyncSession, late: Records) -> None:
        while len(late):
            place = late.place(0)
            piece = await queries.take_piece(session, hold=self._hold, place=place)
            following = await queries.get_first_after(session, hold=self._hold, place=place)
            part = late if following is None else late[: late.count_before(Place(*following))]
            late = late[len(part) :]
            rows = await asyncio.to_thread(self._encode_merged, piece, part)
            await queries.copy_pieces(session, rows=rows, columns=COLUMNS)

    def _encode_merged(self, piece: ErrorPiece | None, late: Records) -> bytes:
        return self._encode(late if piece is None else merge_records([_read_piece(piece), late]))


def _read_piece(piece: ErrorPiece) -> Records:
    return Records(
        rules=[Rule(*(rule[name] for name in Rule._fields)) for rule in piece.rules],
        row_numbers=np.array(piece.row_numbers, np.int64),
        rule_numbers=np.array(piece.rule_numbers, np.int32),
        raw_values=pa.array(piece.raw_values, pa.string()),
    )
