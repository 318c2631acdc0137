"""Find where rows stand in a CSV file of any encoding, so that their very bytes can be copied from it.

Rows are found in UTF-8. In a file that is transcoded, or whose lines were mended, they are found again by counting line breaks: the CRs and LFs of the
file, each one code unit of its encoding, are those of the text, whatever else decoding and encoding again would change.
"""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from features.processing.column import Mask
from features.processing.readers.csv.grammar import CsvGrammar
from features.processing.readers.csv.mend_lines import collapse_line_ends, unwrap_rows
from features.processing.readers.csv.scan import CR, LF, Positions, scan_rows
from features.processing.readers.csv.source import ESCAPE_HANDLER, SharedFile, Translation
from features.processing.readers.row_spans import Offsets
from features.processing.readers.structure_findings import show_undecodable

_PIECE_BYTES = 2**20
_MARKED = {
    codecs.BOM_UTF8: ("utf-8", "utf-8-sig"),
    codecs.BOM_UTF32_LE: ("utf-32", "utf-32-le"),
    codecs.BOM_UTF32_BE: ("utf-32", "utf-32-be"),
    codecs.BOM_UTF16_LE: ("utf-16", "utf-16-le"),
    codecs.BOM_UTF16_BE: ("utf-16", "utf-16-be"),
    "\ufeff".encode("gb18030"): ("gb18030",),
}
_UNIT_TYPES = {1: "u1", 2: "u2", 4: "u4"}


class RawFile:
    """The bytes of a file that is read as text."""

    def __init__(self, file: SharedFile, *, encoding: str, translations: Sequence[Translation] = ()) -> None:
        self._file = file
        self._translations = translations
        head = file.read(4, at=0)
        marks = [mark for mark, names in _MARKED.items() if encoding in names and head.startswith(mark)]
        self.mark = marks[0] if marks else b""
        """The byte order mark that the file begins with."""
        self.encoding = encoding if encoding not in ("utf-16", "utf-32") else _MARKED[self.mark][1]
        """A codec that writes no mark of its own."""
        self.encoding = "utf-8" if self.encoding == "utf-8-sig" else self.encoding
        self.is_identical = self.encoding == "utf-8" and not translations
        """Rows are found in the very bytes of the file."""
        self._is_stateful = self.encoding == "hz"
        """CRs and LFs are not all line breaks, so that only the decoder can tell."""
        self._collapses = collapse_line_ends in translations
        self.is_wrapped = unwrap_rows in translations
        self._newline, self._return = "\n".encode(self.encoding), "\r".encode(self.encoding)
        order = ">" if self.encoding.endswith("-be") else "<"
        self._unit = np.dtype(order + _UNIT_TYPES[len(self._newline)])
        self._located: tuple[RawBlockRows, Offsets] | None = None

    @property
    def size_bytes(self) -> int:
        """Size of the file."""
        return self._file.size_bytes

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._file.close()

    def read(self, begin: int, end: int) -> bytes:
        """Return the bytes between two positions."""
        parts = []
        while begin < end:
            part = self._file.read(end - begin, at=begin)
            if not part:
                raise OSError("the file has become shorter while it was read")
            parts.append(part)
            begin += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def copy(self, begin: int, end: int, target: int) -> None:
        """Write the bytes between two positions to a descriptor, without taking them into this process."""
        self._file.copy(begin, end, target)

    def decode(self, data: bytes) -> str:
        """Return whole rows as text, with undecodable bytes as lone surrogates."""
        return data.decode(self.encoding, ESCAPE_HANDLER)

    def translate(self, data: bytes) -> bytes:
        """Return whole rows as the bytes in which rows are found."""
        if self.is_identical:
            return data
        text = data if self.encoding == "utf-8" else self.decode(data).encode("utf-8", "surrogatepass")
        for translation in self._translations:
            text, _ = translation(text, True)
        return text

    def skip(self, begin: int, breaks: int) -> int:
        """Return the position after so many line breaks from `begin`, the start of a row, on; CRs and LFs count one each."""
        ahead = 2 * self._unit.itemsize
        while breaks:
            size_bytes = min(_PIECE_BYTES, self.size_bytes - begin)
            if size_bytes <= 0:
                return self.size_bytes
            data = self.read(begin, min(begin + size_bytes + ahead, self.size_bytes))
            is_last = begin + len(data) == self.size_bytes
            ends = self.find_breaks(data, is_last=is_last)
            ends = ends[: int(np.searchsorted(ends, size_bytes, side="right"))]
            if breaks <= len(ends):
                return begin + int(ends[breaks - 1])
            breaks -= len(ends)
            if self._is_stateful and len(ends):
                # The next piece has to begin where no character is cut.
                size_bytes = int(ends[-1])
            begin += size_bytes
        return begin

    def find_breaks(self, data: bytes, *, is_last: bool) -> Offsets:
        """Return the position after every CR and LF of the text in `data`, which begins at the start of a row; `is_last`: it goes on to the end of the file."""
        if is_last and self.encoding == "euc-kr":
            data = self._without_unfinished(data)
        ends, is_return = self._find_by_character(data, is_last=is_last) if self._is_stateful else self._find_by_unit(data)
        if not self._collapses or len(ends) < 3:  # noqa: PLR2004 - CR CR LF
            return ends
        doubled = np.flatnonzero(is_return[:-2] & is_return[1:-1] & ~is_return[2:])
        return np.delete(ends, doubled[ends[doubled + 2] - ends[doubled] == 2 * self._unit.itemsize])

    def _find_by_unit(self, data: bytes) -> tuple[Offsets, Mask]:
        """Return the position after every CR and LF, and which of them are CRs."""
        width = self._unit.itemsize
        units = np.frombuffer(data, dtype=self._unit, count=len(data) // width)
        newline, carriage_return = (int(np.frombuffer(code, dtype=self._unit)[0]) for code in (self._newline, self._return))
        is_break = units == newline
        if self._return in data:
            is_break |= units == carriage_return
        at = np.flatnonzero(is_break)
        return (at + 1) * width, units[at] == carriage_return

    def _without_unfinished(self, data: bytes) -> bytes:
        """Return the end of a file without a syllable of eight bytes that has too few, of which line breaks are taken for a part."""
        decoder = codecs.getincrementaldecoder(self.encoding)(errors=ESCAPE_HANDLER)
        decoder.decode(data)
        unfinished = decoder.getstate()[0]
        return data[: len(data) - len(unfinished)] if len(unfinished) > 1 else data

    def _find_by_character(self, data: bytes, *, is_last: bool) -> tuple[Offsets, Mask]:
        """Do the same where the decoder alone can tell."""
        decoder = codecs.getincrementaldecoder(self.encoding)(errors=ESCAPE_HANDLER)
        found: list[tuple[int, bool]] = []
        for index in range(len(data)):
            text = decoder.decode(data[index : index + 1], final=is_last and index + 1 == len(data))
            found += [(index + 1, character == "\r") for character in text if character in "\r\n"]
        return np.array([end for end, _ in found], dtype=np.int64), np.array([is_return for _, is_return in found], dtype=np.bool_)

    def find_offsets(self, rows: RawBlockRows) -> Offsets:
        """Return what `rows.find_offsets` does; the last answer is kept, since the chunks of one block ask one after the other."""
        if self._located is None or self._located[0] is not rows:
            self._located = (rows, rows.locate())
        return self._located[1]


class RawBlockRows:
    """The rows of one block, see `row_spans.RawRows`."""

    def __init__(self, file: RawFile, grammar: CsvGrammar, *, begin: int, end: int, distances: Positions | None) -> None:
        """`distances` are those from the start of each row to the end of the block (see `measure`); None for a regular block, whose rows are found later."""
        self._file, self._grammar = file, grammar
        self.begin, self.end = begin, end
        self.count: int | None = None if distances is None else len(distances)
        # Their differences: pieces of millions of short rows may have to wait.
        self._packed = None if distances is None else zlib.compress(np.diff(distances, append=0).astype(np.int32).tobytes(), 1)

    def find_offsets(self) -> Offsets:
        """See `row_spans.RawRows`."""
        return self._file.find_offsets(self)

    def read(self, begin: int, end: int) -> bytes:
        """See `row_spans.RawRows`."""
        return self._file.read(begin, end)

    def read_text(self, index: int, *, max_bytes: int | None = None) -> str:
        """See `row_spans.RawRows`."""
        begin, end = self.find_offsets()[index : index + 2].tolist()
        if max_bytes is not None and end - begin > max_bytes:
            decoder = codecs.getincrementaldecoder(self._file.encoding)(errors=ESCAPE_HANDLER)
            return show_undecodable(decoder.decode(self.read(begin, begin + max_bytes)))
        data = self.read(begin, end)
        text = self._file.decode(data)
        return show_undecodable(text.removesuffix("\n").rstrip("\r") if text.endswith("\n") else text.removesuffix("\r"))

    def locate(self) -> Offsets:
        """Find the offsets."""
        data = b"" if self._file.is_identical and self._packed is not None else self._file.read(self.begin, self.end)
        if self._packed is None:
            text = self._file.translate(data)
            distances = measure(text, scan_rows(text, self._grammar, final=True).starts, len(text), self._file)
        else:
            steps = np.frombuffer(zlib.decompress(self._packed), dtype=np.int32)
            distances = -np.cumsum(steps[::-1], dtype=np.int64)[::-1]
        offsets = np.empty(len(distances) + 1, dtype=np.int64)
        if self._file.is_identical:
            offsets[:-1] = self.end - distances
        else:
            breaks = self._file.find_breaks(data, is_last=self.end == self._file.size_bytes)
            before = len(breaks) - 1 - distances
            ends = np.append(breaks, 0)
            offsets[:-1] = self.begin + np.where(before >= 0, ends[np.maximum(before, 0)], 0)
        # The row before may have been too long to be kept.
        offsets[0], offsets[-1] = self.begin, self.end
        return offsets


def count_breaks(data: bytes, end: int) -> int:
    """Count the CRs and LFs before `end`."""
    return data.count(b"\n", 0, end) + data.count(b"\r", 0, end)


def measure(data: bytes, starts: Positions, end: int, file: RawFile) -> npt.NDArray[np.int64]:
    """Return the distance from each row of a block of `data` to its end: in bytes, or in line breaks where the block is not the very bytes of the file."""
    if file.is_identical:
        return end - starts.astype(np.int64)
    codes = np.frombuffer(data, dtype=np.uint8)[:end]
    breaks = np.flatnonzero((codes == LF) | (codes == CR))
    return (len(breaks) - np.searchsorted(breaks, starts)).astype(np.int64)
