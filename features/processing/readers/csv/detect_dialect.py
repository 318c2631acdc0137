"""Detect the grammar of a CSV file from a sample: delimiter, quote and escape character, and whether blanks follow the delimiters.

Every candidate splits all rows of the sample, and the one whose rows look most like one table is taken (`table_likeness`). A first line `sep=X` is obeyed.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from features.processing.readers.cell_kinds import CellKind, KindCache, find_kind
from features.processing.readers.csv.grammar import CsvGrammar, RowSplitter, is_blank
from features.processing.readers.csv.scan import scan_rows
from features.processing.readers.csv.table_likeness import NO_TABLE, Likeness, judge_lines, judge_rows
from features.processing.readers.own_columns import ERRORS_LABEL, ROW_LABEL

DELIMITERS = (",", ";", "\t", "|")
"""On a tie the first one wins, which also stands for the case that there is only one column."""
LAST_RESORTS = ("^", "~", ":", " ")
"""Delimiters only where none of the others makes a table; the first two stand in cells too rarely to be there by chance."""
NO_DELIMITER = "\x1f"
"""Stands for no delimiter at all, in a table of one column whose cells hold commas; ASCII's unit separator, which text does not have."""
SAMPLE_ROWS = 1000
_ENOUGH_BYTES, _ENOUGH_ROWS = 2**15, 200
"""The beginning of the sample is enough if it has so many rows; each candidate takes time for every byte."""
_SAMPLE_CELLS = 16_384
_WORTH = {"^": 0.95, "~": 0.95, ":": 0.7, " ": 0.7}
_WORTH_OF_LISTS = 0.7
"""In a single row the bar is as likely to be the delimiter of a list in a cell."""
_TABLE_SCORE = 0.4
"""Rows with at least this score are a table; prose that is cut at its commas has about 0.2."""
_UNSPLIT_WORTH = 0.6
"""A column of numbers with decimal commas is one only if its header is not cut in two as well."""
_LEAST_UNIFORMITY = 0.9
_MOST = 0.9
_SEP_LINE = re.compile(rb'"?sep=(\\t|[^\w\s"\x80-\xff]|[\t ])"?[,;\t|]*\r*(?:\n|\r|\Z)', re.IGNORECASE)

_OWN_LABELS = re.compile(rb"[\"']?%b[\"']?([^\w\s\"'\x80-\xff]|[\t ])[\"']?%b[\"']?\1" % (ROW_LABEL.encode(), ERRORS_LABEL.encode()))


@dataclass(frozen=True, slots=True)
class _Split:
    """The sample as one grammar splits it."""

    grammar: CsvGrammar
    rows: Sequence[Sequence[str]]
    likeness: Likeness

    @property
    def worth(self) -> float:
        worth = _WORTH.get(self.grammar.delimiter, 1.0)
        return self.likeness.score * (worth * _WORTH_OF_LISTS if self.grammar.delimiter == "|" and len(self.rows) == 1 else worth)


def find_sep_line(sample: bytes) -> str | None:
    """Return the delimiter that a first line `sep=X` names, as Excel understands it; None if the first line is another."""
    found = _SEP_LINE.match(sample)
    if found is None:
        return None
    name = found[1].decode()
    return "\t" if name == "\\t" else name


def find_own_delimiter(sample: bytes) -> str | None:
    """Return the delimiter after the labels that outputs put in front of a header; None if the first line is another."""
    found = _OWN_LABELS.match(sample)
    return None if found is None else found[1].decode()


def detect_dialect(
    sample: bytes, grammar: CsvGrammar, *, find_delimiter: bool, find_quote: bool, find_escape: bool, find_space: bool, skip_rows: int
) -> CsvGrammar:
    """Return `grammar` with the delimiter, quote and escape character and initial blanks that fit the sample best; each is replaced only if it is to be found.

    The first `skip_rows` rows, above the header, do not count.
    """
    if sample.count(b"\n", 0, _ENOUGH_BYTES) >= _ENOUGH_ROWS:
        sample = sample[:_ENOUGH_BYTES]
    finder = _Finder(sample, grammar, find_quote=find_quote, find_escape=find_escape, find_space=find_space, skip_rows=skip_rows)
    if not find_delimiter:
        return finder.settle(finder.split(grammar.delimiter))
    own = find_own_delimiter(sample)
    if own is not None:
        return finder.settle(finder.split(own))
    best = max((finder.split(delimiter) for delimiter in finder.usable(DELIMITERS)), key=lambda split: split.worth, default=None)
    unsplit = finder.judge_lines(best)
    if rare := finder.split_rare(best, unsplit):
        return finder.settle(rare)
    if best is None or best.worth < unsplit.score:
        return finder.leave_unsplit(best)
    return finder.settle(best)


def _is_clear(split: _Split) -> bool:
    """Whether a delimiter that is common inside cells makes a table that cannot be chance."""
    likeness = split.likeness
    if len(split.rows) < 2 or likeness.uniformity < _LEAST_UNIFORMITY or likeness.width < 2:  # noqa: PLR2004 - rows and columns
        return False
    if split.grammar.delimiter == " " and len(split.rows[0]) == 1 and find_kind(split.rows[0][0]) is CellKind.TEXT:
        # Numbers may have blanks in them, and so may telephone numbers; their one label has none.
        return False
    return split.grammar.delimiter in LAST_RESORTS[:2] or likeness.typed_columns > 0 or (split.grammar.delimiter == ":" and likeness.width > 3)  # noqa: PLR2004 - columns


class _Finder:
    """Splits one sample in several ways."""

    def __init__(self, sample: bytes, grammar: CsvGrammar, *, find_quote: bool, find_escape: bool, find_space: bool, skip_rows: int) -> None:
        self._sample, self._grammar = sample, grammar
        self._find_quote, self._find_escape, self._find_space, self._skip_rows = find_quote, find_escape, find_space, skip_rows
        self._kinds = KindCache()

    def usable(self, delimiters: Sequence[str], *, needs_occurrence: bool = True) -> list[str]:
        """Return the delimiters that occur in the sample and have no other meaning."""
        grammar = self._grammar
        return [
            delimiter
            for delimiter in delimiters
            if delimiter not in (grammar.quote_char, grammar.escape_char)
            and delimiter not in (grammar.comment_char or "")
            and (delimiter.encode() in self._sample or not needs_occurrence)
        ]

    def split(self, delimiter: str) -> _Split:
        """Return the best split by one delimiter."""
        splits = [self._split(grammar) for grammar in self._vary(delimiter)]
        # The first one, which is the likelier, on a tie: rows tell quotes that are misread, and cells hardly do.
        return max(splits, key=lambda split: round(split.likeness.uniformity, 2))

    def judge_lines(self, best: _Split | None) -> Likeness:
        """Judge the lines as they are; less likely to be one column if the first of them is cut into as many cells as the best split has columns."""
        rows = self._split_rows(replace(self._grammar, delimiter=NO_DELIMITER))
        likeness = judge_lines([row[0] for row in rows], self._kinds) if rows else NO_TABLE
        if best is not None and best.rows and len(best.rows[0]) == best.likeness.width > 1:
            return replace(likeness, score=likeness.score * _UNSPLIT_WORTH)
        return likeness

    def settle(self, split: _Split) -> CsvGrammar:
        """Return the grammar of a split, with `skip_initial_space` where blanks follow the delimiters of nearly all rows."""
        if not self._find_space or split.grammar.skip_initial_space or split.grammar.delimiter in " \t":
            return split.grammar
        cells = [cell for row in split.rows if len(row) == split.likeness.width for cell in row[1:] if cell.strip()]
        padded = sum(cell.startswith(" ") for cell in cells)
        if len(cells) > 1 and padded >= _MOST * len(cells):
            return replace(split.grammar, skip_initial_space=True)
        return split.grammar

    def split_rare(self, best: _Split | None, unsplit: Likeness) -> _Split | None:
        """Return the split by a delimiter that is common inside cells; None unless it makes a table that cannot be chance, and no other delimiter makes one."""
        worth, uniformity = (best.worth, best.likeness.uniformity) if best else (0.0, 0.0)
        is_no_table = max(unsplit.score, worth) < _TABLE_SCORE or (not unsplit.typed_columns and worth < unsplit.score)
        delimiters = LAST_RESORTS if is_no_table else LAST_RESORTS[:2] if uniformity < 1 else ()
        rare = max(filter(_is_clear, map(self.split, self.usable(delimiters))), key=lambda split: split.worth, default=None)
        if rare is None:
            return None
        if is_no_table and rare.worth > max(unsplit.score, worth):
            return rare
        # The first two hardly ever stand in a cell, let alone as often in every row.
        return rare if rare.grammar.delimiter in LAST_RESORTS[:2] and rare.likeness.uniformity == 1 > uniformity else None

    def leave_unsplit(self, best: _Split | None) -> CsvGrammar:
        """Return the grammar of a table of one column: with the comma if it would not cut any cell, else without a delimiter.

        A header that is cut into labels shows that its delimiter is one all the same.
        """
        quote = _list_quotes(self._sample, NO_DELIMITER)[0] if self._find_quote else self._grammar.quote_char
        grammar = replace(self._grammar, quote_char=quote)
        if best is None or all(len(row) == 1 for row in best.rows):
            return grammar
        header = self._split_rows(replace(grammar, delimiter=NO_DELIMITER))[0][0]
        if len(best.rows[0]) > 1 and (header.endswith(best.grammar.delimiter) or find_kind(header) is CellKind.ODD):
            return best.grammar
        return replace(grammar, delimiter=NO_DELIMITER)

    def _vary(self, delimiter: str) -> Iterator[CsvGrammar]:
        """Yield the grammars that are possible with a delimiter, at most eight, the likeliest first."""
        edge, sample = re.escape(delimiter.encode()), self._sample
        quotes = _list_quotes(sample, delimiter) if self._find_quote else [self._grammar.quote_char]
        for quote in quotes:
            grammar = replace(self._grammar, delimiter=delimiter, quote_char=quote)
            grammars = [grammar]
            if quote is None:
                yield grammar
                continue
            mark = re.escape(quote.encode())
            if self._find_escape and b"\\" in sample and delimiter != "\\":
                # Before a delimiter it may be the end of a Windows path: "C:\data\".
                inside = re.search(rb"\\%b[^%b\r\n]" % (mark, edge), sample) is not None
                if inside or re.search(rb"\\%b" % edge, sample):
                    escaped = replace(grammar, escape_char="\\")
                    grammars = [escaped, grammar] if inside else [grammar, escaped]
            # Columns that are aligned with blanks have many of them between two cells.
            if self._find_space and (b"  " in sample if delimiter == " " else delimiter != "\t" and re.search(rb"%b +%b" % (edge, mark), sample)):
                grammars += [replace(each, skip_initial_space=True) for each in grammars]
            yield from grammars

    def _split(self, grammar: CsvGrammar) -> _Split:
        rows = self._split_rows(grammar)
        return _Split(grammar, rows, judge_rows(rows, grammar.delimiter, self._kinds))

    def _split_rows(self, grammar: CsvGrammar) -> list[list[str]]:
        """Return the first rows that are neither blank nor comments, without the one that the sample cuts off."""
        scan = scan_rows(self._sample, grammar, final=False)
        if not len(scan.starts):
            scan = scan_rows(self._sample, grammar, final=True)
        split = _make_splitter(grammar)
        rows = []
        spans = zip(scan.starts[:SAMPLE_ROWS].tolist(), scan.stops[:SAMPLE_ROWS].tolist(), strict=True)
        for start, stop in list(spans)[self._skip_rows :]:
            text = self._sample[start:stop].decode("utf-8", "replace")
            if text.strip() and not (grammar.comment_char and text.startswith(grammar.comment_char)):
                cells = split(text)
                if not is_blank(cells):
                    rows.append(cells)
        return rows


def _make_splitter(grammar: CsvGrammar) -> Callable[[str], list[str]]:
    """Return a function that splits one row: `RowSplitter` for few quotes; the standard library's, which is ten times as fast, for the sample."""
    exact = RowSplitter(grammar, max_cells=_SAMPLE_CELLS)
    quote = grammar.quote_char
    if quote is None:
        return exact.split

    def split(text: str) -> list[str]:
        if quote not in text and grammar.escape_char is None and not grammar.skip_initial_space:
            return text.split(grammar.delimiter)
        try:
            return next(
                csv.reader(
                    [text],
                    delimiter=grammar.delimiter,
                    quotechar=quote,
                    escapechar=grammar.escape_char,
                    doublequote=grammar.double_quote,
                    skipinitialspace=grammar.skip_initial_space,
                )
            )
        except (csv.Error, StopIteration):
            return exact.split(text)

    return split


def _list_quotes(sample: bytes, delimiter: str) -> list[str]:
    """Return the quote characters that cells may be enclosed in, the likelier first: the single one only if there are more than apostrophes of it."""
    double, single = _count_enclosed(sample, '"', delimiter), _count_enclosed(sample, "'", delimiter)
    if double.enclosed or single.enclosed < 2:  # noqa: PLR2004 - one pair may be chance
        return ['"']
    lines = sample.count(b"\n") or sample.count(b"\r")
    is_clear = single.enclosed * 50 >= single.opened * 49 and (single.holding or 2 * single.enclosed >= lines)
    return ["'", '"'] if is_clear else ['"', "'"]


@dataclass(frozen=True, slots=True)
class _Enclosed:
    """How often cells begin with a quote, end with it as well, and hold a delimiter between them."""

    opened: int
    enclosed: int
    holding: int


def _count_enclosed(sample: bytes, quote: str, delimiter: str) -> _Enclosed:
    if quote.encode() not in sample:
        return _Enclosed(0, 0, 0)
    edge = re.escape(delimiter)
    opened = len(re.findall(f"(?:^|[{edge}\r\n]) *{quote}".encode(), sample))
    enclosed = re.findall(f"(?:^|[{edge}\r\n]) *{quote}([^{quote}\r\n]*){quote}(?=[{edge}\r\n]|$)".encode(), sample)
    return _Enclosed(opened, len(enclosed), sum(delimiter.encode() in inside for inside in enclosed))
