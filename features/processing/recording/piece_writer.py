"""Write pieces of error records to the database: in page order and without overlaps, in whatever order the errors were found."""

from __future__ import annotations

import asyncio
import json
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
    """Writes the packed records of one attempt; call `settle` before the session is used for anything else.

    Pieces that follow all others are appended, in the background. Records that belong among those already written (foreign keys are checked after the
    last row) go into the existing pieces, one after the other: each piece is read back, merged and written again.
    """

    def __init__(self, hold: Hold, *, records_per_piece: int = RECORDS_PER_PIECE) -> None:
        self._hold = hold
        self._records_per_piece = records_per_piece
        self._copying: asyncio.Task[None] | None = None

    @property
    def is_writing(self) -> bool:
        """Whether records given to `write` may not be written yet."""
        return self._copying is not None and not self._copying.done()

    async def write(self, session: AsyncSession, packed: Packed) -> None:
        """Write the records through the session, which must not be used for anything else before `settle`."""
        await self.settle()
        if len(packed.late):
            await self._merge(session, packed.late)
        if packed.rows:
            self._copying = asyncio.create_task(queries.copy_pieces(session, parts=copy_parts(packed.rows), columns=COLUMNS))

    async def settle(self) -> None:
        """Wait until all records given to `write` are written; raises the exception if writing failed."""
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
        rules=[
            RecordRule(
                rule["column_number"],
                rule["column_name"],
                rule["error_type"],
                rule["error_message"],
                json.dumps(rule["params"], ensure_ascii=False) if rule.get("params") else "{}",
            )
            for rule in piece.rules
        ],
        row_numbers=np.array(piece.row_numbers, np.int64),
        rule_numbers=np.array(piece.rule_numbers, np.int32),
        raw_values=pa.array(piece.raw_values, pa.string()),
        first_rows=None if piece.first_row_numbers is None else np.array([row or 0 for row in piece.first_row_numbers], np.int64),
    )
