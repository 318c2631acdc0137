"""Findings into pieces of error records in the database: in page order, without overlaps, in whatever order they are found."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from features.processing import copy_format, queries
from features.processing.pieces import RECORDS_PER_PIECE, Place, Records, Rule, cut_records, make_records, merge_records

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from features.processing.readers.base import Finding
    from features.processing.schemas import Hold
    from shared.db.models import ErrorPiece

PIECES_AT_ONCE = 8
"""So many are encoded in one go, which bounds the memory beside the records themselves."""


class PieceWriter:
    """Writes the records of one attempt, through one transaction after another, each flushed before its end.

    Records mostly come in page order and are appended. Those that belong among what was written already (foreign keys are judged after
    the last row) go into the pieces there, one after the other: each is read back, merged and written anew.
    """

    def __init__(self, hold: Hold, *, records_per_piece: int = RECORDS_PER_PIECE) -> None:
        self._hold = hold
        self._records_per_piece = records_per_piece
        self._waiting: list[Records] = []
        self._last: Place | None = None

    async def add(self, session: AsyncSession, findings: Sequence[Finding]) -> None:
        """Write the findings' records, or keep them until there are enough for a piece."""
        self._waiting.append(await asyncio.to_thread(make_records, findings))
        if sum(map(len, self._waiting)) >= self._records_per_piece:
            await self.flush(session)

    async def flush(self, session: AsyncSession) -> None:
        """Write all records that wait."""
        waiting, self._waiting = self._waiting, []
        records = await asyncio.to_thread(merge_records, waiting) if len(waiting) > 1 else waiting[0] if waiting else None
        if records is None or not len(records):
            return
        late_count = 0 if self._last is None else records.count_before(Place(self._last.row_number, self._last.column_number + 1))
        if late_count:
            await self._merge(session, records[:late_count])
        if late_count < len(records):
            await self._write(session, records[late_count:])
            self._last = records.place(-1)

    async def _merge(self, session: AsyncSession, late: Records) -> None:
        while len(late):
            place = late.place(0)
            piece = await queries.take_piece(session, hold=self._hold, place=place)
            following = await queries.get_first_after(session, hold=self._hold, place=place)
            part = late if following is None else late[: late.count_before(Place(*following))]
            late = late[len(part) :]
            await self._write(session, part if piece is None else await asyncio.to_thread(_merge_piece, piece, part))

    async def _write(self, session: AsyncSession, records: Records) -> None:
        await queries.copy_pieces(session, rows=self._encode(records), columns=copy_format.COLUMNS)

    async def _encode(self, records: Records) -> AsyncIterator[bytes]:
        pieces = cut_records(records, most_records=self._records_per_piece)

        def encode_next(pieces: Iterator[Records]) -> bytes:
            return copy_format.encode_pieces(islice(pieces, PIECES_AT_ONCE), job_id=self._hold.job_id, attempt=self._hold.attempt)

        yield copy_format.HEADER
        while rows := await asyncio.to_thread(encode_next, pieces):
            yield rows
        yield copy_format.TRAILER


def _merge_piece(piece: ErrorPiece, late: Records) -> Records:
    return merge_records([_read_piece(piece), late])


def _read_piece(piece: ErrorPiece) -> Records:
    return Records(
        rules=[Rule(*(rule[name] for name in Rule._fields)) for rule in piece.rules],
        row_numbers=np.array(piece.row_numbers, np.int64),
        rule_numbers=np.array(piece.rule_numbers, np.int32),
        raw_values=pa.array(piece.raw_values, pa.string()),
    )
