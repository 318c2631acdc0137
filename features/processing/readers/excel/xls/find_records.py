"""Find where the records in a piece of a sheet begin. Each says only how long it is, so they can be found one after the other, or from many places at once.

The places are guessed: where two usual records seem to follow one another. From each the records are found until the next place, all in step. A guess is
right if the records before it end there; where they do not, they are followed one by one until they meet those that were found.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.int64]

HEAD_BYTES = 4
"""Each record begins with its code and the length of its data, of two bytes each."""
MAX_RECORD_BYTES = HEAD_BYTES + 2**16
_LANE_BYTES = 2**10
_GUESSES = 48
"""So many places are tried in each lane: nearly all records of cells are shorter."""
_STEPS_AT_ONCE = 8
_MOST_SINGLE_STEPS = 10_000
_VARIABLE = 2**16
_MULTIPLE, _PART_BYTES = 0xBD, 6
"""The code of a record of several numbers; each takes so many bytes, and so do the place of the first and the last column together."""
_FORMULA, _FORMULA_BYTES = 0x06, 22
"""The code of a formula; before the formula itself stand so many bytes, of which the last two say how long it is."""
_USUAL: dict[int, int] = {
    _FORMULA: _VARIABLE,
    0x27E: 10,
    _MULTIPLE: _VARIABLE,
    0xBE: _VARIABLE,
    0xD7: _VARIABLE,
    0x207: _VARIABLE,
    0xFD: 10,
    0x201: 6,
    0x203: 14,
    0x205: 8,
    0x208: 16,
}
"""The lengths of usual records of a sheet, by their codes: formulas and their texts, numbers, empty cells, texts, truth values, rows and where they are."""
_LENGTHS = np.full(2**16, -1, np.int32)
_LENGTHS[list(_USUAL)] = list(_USUAL.values())


class UnusualRecords(Exception):
    """The records are not such as can be read many at once."""


class Piece:
    """Some of the bytes of a sheet, of which the first begin a record."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)
        padded = data + bytes(MAX_RECORD_BYTES + 8)
        self.halves = np.ndarray((len(padded) - 1,), "<u2", buffer=padded, strides=(1,))
        """The two bytes from each position on; some positions after the end are there too, and hold zeros."""
        self.heads = np.ndarray((len(padded) - 3,), "<u4", buffer=padded, strides=(1,))
        """The four bytes from each position on."""
        self.words = np.ndarray((len(padded) - 7,), "<u8", buffer=padded, strides=(1,))
        """The eight bytes from each position on."""


def find_records(piece: Piece) -> tuple[Positions, int]:
    """Return where the records begin that are in the piece as a whole, and where the last of them ends.

    Raises `UnusualRecords` if the guesses are wrong more often than in any real sheet.
    """
    starts = _guess(piece)
    limits = np.append(starts[1:], piece.size)
    at, steps = starts, []
    while bool((at < limits).any()):
        for _ in range(_STEPS_AT_ONCE):
            steps.append(at)
            at = np.where(at < limits, at + HEAD_BYTES + (piece.heads[at] >> 16), at)
    found = np.array(steps, np.int64).reshape(-1, len(starts)).T
    is_found = found < limits[:, None]
    records = found[is_found] if bool((at[:-1] == starts[1:]).all()) else _join(piece, found, is_found, limits, at)
    if not len(records):
        return records, 0
    end = int(records[-1] + HEAD_BYTES + (piece.heads[records[-1]] >> 16))
    # The last one may go on behind the piece, or even its length be there.
    return (records, end) if end <= piece.size else (records[:-1], int(records[-1]))


def _guess(piece: Piece) -> Positions:
    """Return a place in each part of the piece where a record seems to begin; the first is 0, where one does."""
    bounds = np.arange(0, max(piece.size, 1), _LANE_BYTES)
    tried = bounds[:, None] + np.arange(_GUESSES)
    heads = piece.heads[tried]
    lengths = (heads >> 16).astype(np.int64)
    is_right = (_LENGTHS[heads & 0xFFFF] == lengths) | (((heads & 0xFFFF) == _MULTIPLE) & (lengths % _PART_BYTES == 0))
    formulas = np.nonzero((heads & 0xFFFF) == _FORMULA)
    is_right[formulas] = piece.halves[tried[formulas] + HEAD_BYTES + _FORMULA_BYTES - 2] + _FORMULA_BYTES == lengths[formulas]
    lanes, places = np.nonzero(is_right)
    following = piece.heads[tried[lanes, places] + HEAD_BYTES + lengths[lanes, places]]
    expected = _LENGTHS[following & 0xFFFF]
    is_right[lanes, places] = (expected == following >> 16) | (expected == _VARIABLE)
    starts: Positions = bounds + np.argmax(is_right, axis=1)
    starts[0] = 0
    return starts


def _join(piece: Piece, found: Positions, is_found: npt.NDArray[np.bool_], limits: Positions, ends: Positions) -> Positions:
    """Return the records that really follow one another from 0 on, among those that were found from each place."""
    parts: list[Positions] = []
    singles: list[int] = []
    at = count = 0
    for lane, (limit, end) in enumerate(zip(limits.tolist(), ends.tolist(), strict=True)):
        known = found[lane][is_found[lane]]
        while at < limit:
            place = int(np.searchsorted(known, at))
            if place < len(known) and known[place] == at:
                parts += [np.array(singles, np.int64), known[place:]]
                singles, at = [], end
                break
            singles.append(at)
            count += 1
            if count > _MOST_SINGLE_STEPS:
                raise UnusualRecords
            at += HEAD_BYTES + int(piece.heads[at] >> 16)
    return np.concatenate([*parts, np.array(singles, np.int64)])
