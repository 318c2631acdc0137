"""Pieces of error records into the database: in page order, without overlaps, in whatever order they were found."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from features.processing import queries
from features.processing.recording.copy_format import COLUMNS, copy_parts
from features.processing.recording.packer import encode_pieces
from features.processing.recording.pieces import RECORDS_PER_PIECE, ErrorRecords, Place, RecordRule, merge_records

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from features.processing.recording.packer import Packed
    from features.processing.types import Hold
    from shared.db.models import ErrorPiece


class PieceWriter:
    """Writes what was packed of one attempt; `settle` before anybody else uses the session.

    Pieces that follow the others are appended, in the background. ErrorRecords that belong among what was written before (foreign keys are judged after
    the last row) go into the pieces there, one after the other: each is read back, merged and written anew.
    """

    def __init__(self, hold: Hold, *, records_per_piece: int = RECORDS_PER_PIECE) -> None:
        self._hold = hold
        self._records_per_piece = records_per_piece
        self._copying: asyncio.Task[None] | None = None

    @property
    def is_writing(self) -> bool:
        """Whether something that was given to `write` may still be on its way."""
        return self._copying is not None and not self._copying.done()

    async def write(self, session: AsyncSession, packed: Packed) -> None:
        """Write them through the session, which nobody else may use before `settle`."""
        await self.settle()
        if len(packed.late):
            await self._merge(session, packed.late)
        if packed.rows:
            self._copying = asyncio.create_task(queries.copy_pieces(session, parts=copy_parts(packed.rows), columns=COLUMNS))

    async def settle(self) -> None:
        """Wait until all that was given to `write` is written; raises what went wrong with it."""
        copying, self._copying = self._copying, None
        if copying is not None:
            await copying

    async def _merge(self, session: AsyncSession, late: ErrorRecords) -> None:
        while len(late):
            place = late.place(0)
            piece = await queries.take_piece(session, hold=self._hold, place=place)
            following = await queries.get_first_after(session, hold=self._hold, place=place)
            part = late if following is None else late[: late.count_before(Place(*following))]
            late = late[len(part) :]
            rows = await asyncio.to_thread(self._encode_merged, piece, part)
            await queries.copy_pieces(session, parts=copy_parts([rows]), columns=COLUMNS)

    def _encode_merged(self, piece: ErrorPiece | None, late: ErrorRecords) -> bytes:
        records = late if piece is None else merge_records([_read_piece(piece), late])
        return encode_pieces(records, self._hold, max_records=self._records_per_piece)


def _read_piece(piece: ErrorPiece) -> ErrorRecords:
    return ErrorRecords(
        rules=[RecordRule(*(rule[name] for name in RecordRule._fields)) for rule in piece.rules],
        row_numbers=np.array(piece.row_numbers, np.int64),
        rule_numbers=np.array(piece.rule_numbers, np.int32),
        raw_values=pa.array(piece.raw_values, pa.string()),
    )
