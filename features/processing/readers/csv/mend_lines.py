"""Mend lines that a program has damaged as a whole, where the sample shows it: line ends that were doubled, rows that were quoted as one cell."""

from __future__ import annotations

from features.processing.readers.cell_kinds import KindCache
from features.processing.readers.csv.detect_dialect import detect_dialect
from features.processing.readers.csv.grammar import CsvGrammar, RowSplitter
from features.processing.readers.csv.source import ByteSource, TranslatedSource
from features.processing.readers.csv.table_likeness import judge_rows

_DOUBLED_LINE_END = b"\r\r\n"
"""What becomes of CR LF when a program writes it in text mode on Windows."""
_MOST_WAITING = 2**25
_LEAST_UNIFORMITY = 0.95
_CLEAR_WIDTH = 3
_JUDGED_LINES = 200
_JUDGED_CELLS = 1000


def mend_lines(source: ByteSource, sample: bytes, *, may_be_wrapped: bool) -> tuple[ByteSource, bytes]:
    """Return the source with its lines mended, and its sample, which are the beginning of its bytes; both as they are if nothing is wrong.

    Rows that are quoted as one cell (`"1,""Doe, Jane"",5"`) are only looked for if `may_be_wrapped`.
    """
    if _DOUBLED_LINE_END in sample:
        source, sample = TranslatedSource(source, collapse_line_ends), collapse_line_ends(sample, True)[0]
    if may_be_wrapped and are_wrapped(sample):
        source, sample = TranslatedSource(source, unwrap_rows), unwrap_rows(sample, True)[0]
    return source, sample


def collapse_line_ends(data: bytes, final: bool) -> tuple[bytes, bytes]:  # noqa: FBT001 - a `Translation`
    """Replace every CR CR LF by CR LF."""
    # CRs at the end may be the beginning of a line end.
    end = len(data) if final else max(len(data.rstrip(b"\r")), len(data) - 2)
    return data[:end].replace(_DOUBLED_LINE_END, b"\r\n"), data[end:]


def are_wrapped(sample: bytes) -> bool:
    """Whether every line of the sample is one quoted cell that holds a row of a table; a column of quoted texts is none."""
    if not sample.startswith(b'"'):
        return False
    lines = [line.rstrip(b"\r") for line in sample.split(b"\n")]
    # The last line may be cut off.
    lines = [line for line in (lines[:-1] or lines) if line.strip()][:_JUDGED_LINES]
    if len(lines) < 2 or not all(map(_is_wrapped, lines)):  # noqa: PLR2004 - a header and a row
        return False
    inside = b"\n".join(map(_unwrap, lines))
    grammar = detect_dialect(inside, CsvGrammar(), find_delimiter=True, find_quote=True, find_escape=False, find_space=True, skip_rows=0)
    splitter = RowSplitter(grammar, max_cells=_JUDGED_CELLS)
    rows = [splitter.split(line.decode("utf-8", "replace")) for line in inside.split(b"\n")]
    likeness = judge_rows(rows, grammar.delimiter, KindCache())
    if likeness.uniformity < _LEAST_UNIFORMITY or len(rows[0]) != likeness.width:
        return False
    return likeness.width >= _CLEAR_WIDTH or (likeness.width > 1 and likeness.typed_columns > 0 and not grammar.skip_initial_space)


def unwrap_rows(data: bytes, final: bool) -> tuple[bytes, bytes]:  # noqa: FBT001 - a `Translation`
    """Take the quotes around each line away, and halve those in it; a line without them stays as it is."""
    end = len(data) if final or len(data) > _MOST_WAITING else data.rfind(b"\n") + 1
    lines = data[:end].split(b"\n")
    return b"\n".join([_unwrap(line) if _is_wrapped(line.rstrip(b"\r")) else line for line in lines]), data[end:]


def _is_wrapped(line: bytes) -> bool:
    return len(line) > 1 and line.startswith(b'"') and line.endswith(b'"') and b'"' not in line[1:-1].replace(b'""', b"")


def _unwrap(line: bytes) -> bytes:
    body = line.rstrip(b"\r")
    return body[1:-1].replace(b'""', b'"') + line[len(body) :]
