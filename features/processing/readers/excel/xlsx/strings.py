"""Shared strings of a workbook: in memory up to a limit, beyond it in a temporary file."""

from __future__ import annotations

import os
import tempfile
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol, cast
from xml.parsers.expat import XMLParserType

from features.processing.readers.base import FileUnreadable
from features.processing.readers.excel.cell_text import unescape_text
from features.processing.readers.excel.xlsx.package import DAMAGED
from features.processing.readers.excel.xlsx.part_parser import (
    SPACE_ATTRIBUTE,
    XML_BLANKS,
    Attributes,
    PartParser,
    local_name,
    prefix_of,
    skip_element,
)
from features.processing.readers.excel.xlsx.plain_strings import take_plain_strings
from shared.temporary_files import discard_file

MAX_TEXT_CHARS = 2**18
"""Eight times the most characters that an Excel cell can hold."""

_OBJECT_BYTES = 56
"""Memory that a text takes besides its characters."""
_PAGE_TEXTS = 64
_CACHE_CHARS = 2**23
_RUN_DEPTH = 2
"""How deep the runs of a rich text stand below the root."""
# XML text cannot contain this character.
_SEPARATOR = "\0"


class Texts(Protocol):
    """Texts by number."""

    def __getitem__(self, index: int, /) -> str:
        """Return the text with a number, from 0. Raises `IndexError` for numbers after the last."""
        ...


class StringTable:
    """The shared strings of one workbook."""

    def __init__(self, filed: FiledStrings | None = None) -> None:
        self._filed = filed
        self.texts: Texts = filed if filed is not None else []

    def close(self) -> None:
        """Release the memory or the file; may be called twice."""
        self.texts = []
        if self._filed is not None:
            self._filed.close()


class FiledStrings:
    """Texts in an unnamed temporary file, which is removed when it is closed; stored in pages of 64 texts, with recently loaded pages kept in memory."""

    def __init__(self, *, spill_dir: Path | None) -> None:
        self._file = cast("BinaryIO", tempfile.TemporaryFile(dir=spill_dir, prefix="strings-"))  # noqa: SIM115 - closed by close()
        self._page_starts = array("Q", [0])
        self._filling: list[str] = []
        self._cache: dict[int, list[str]] = {}
        self._cached_chars = 0

    def append(self, text: str) -> None:
        """Add a text, as it is in the XML, after the others."""
        self._filling.append(text)
        if len(self._filling) == _PAGE_TEXTS:
            data = _SEPARATOR.join(self._filling).encode()
            self._file.write(data)
            self._page_starts.append(self._page_starts[-1] + len(data))
            self._filling = []

    def finish(self) -> None:
        """Make the written texts readable; no text may be added after that."""
        self._file.flush()
        self._filling = [unescape_text(text) for text in self._filling]

    def __len__(self) -> int:
        return (len(self._page_starts) - 1) * _PAGE_TEXTS + len(self._filling)

    def __getitem__(self, index: int, /) -> str:
        number, place = divmod(index, _PAGE_TEXTS)
        page = self._cache.get(number)
        return (page or self._load(number))[place]

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._cache = {}
        discard_file(self._file)

    def _load(self, number: int) -> list[str]:
        if number >= len(self._page_starts) - 1:
            if number >= len(self._page_starts):
                raise IndexError(number)
            return self._filling
        start, stop = self._page_starts[number], self._page_starts[number + 1]
        data = os.pread(self._file.fileno(), stop - start, start).decode()
        page = [unescape_text(text) for text in data.split(_SEPARATOR)] if "_x" in data else data.split(_SEPARATOR)
        self._cache[number] = page
        self._cached_chars += _weigh(page)
        while self._cached_chars > _CACHE_CHARS and len(self._cache) > 1:
            self._cached_chars -= _weigh(self._cache.pop(next(iter(self._cache))))
        return page


def _weigh(page: Sequence[str]) -> int:
    return sum(map(len, page)) + _OBJECT_BYTES * len(page)


class _TableBuilder:
    """Collects texts, and moves them to a file if they take too much memory."""

    def __init__(self, *, spill_dir: Path | None, threshold_bytes: int) -> None:
        self._spill_dir, self._threshold_bytes = spill_dir, threshold_bytes
        self._kept: list[str] = []
        self._size_bytes = 0
        self._filed: FiledStrings | None = None

    def extend(self, texts: Sequence[str]) -> None:
        """Add texts after the others."""
        if self._filed is None:
            self._kept += texts
            self._size_bytes += _weigh(texts)
            if self._size_bytes <= self._threshold_bytes:
                return
            self._filed = FiledStrings(spill_dir=self._spill_dir)
            texts, self._kept = self._kept, []
        for text in texts:
            self._filed.append(text)

    def finish(self) -> StringTable:
        table = StringTable(self._filed)
        if self._filed is None:
            table.texts = [unescape_text(text) for text in self._kept]
        else:
            self._filed.finish()
        return table

    def discard(self) -> None:
        if self._filed is not None:
            self._filed.close()


def read_shared_strings(blocks: Iterable[bytes], *, spill_dir: Path | None, threshold_bytes: int) -> StringTable:
    """Read the texts of the part `sharedStrings.xml` in order: plain or rich, without phonetic readings, with escapes replaced.

    Blanks at the ends of a text, or of a piece of a rich one, are dropped unless it is marked with `xml:space="preserve"`, as in Excel.

    Raises `FileUnreadable` if the part is damaged, or if it holds a text that is longer than a cell can be.
    """
    builder = _TableBuilder(spill_dir=spill_dir, threshold_bytes=threshold_bytes)
    handlers = _Handlers()
    parser = PartParser(handlers.install)
    try:
        for block in take_plain_strings(blocks, builder.extend):
            parser.feed(block)
            builder.extend(handlers.take())
        parser.finish()
        return builder.finish()
    except BaseException:
        builder.discard()
        raise


class _Handlers:
    """Collects the texts of one part."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._runs: list[str] = []
        """The runs so far of the text that is being read."""
        self._parts: list[str] = []

    def take(self) -> list[str]:
        """Return the complete texts that were not taken yet. Raises `FileUnreadable` if one is longer than a cell can be."""
        if sum(map(len, self._parts)) + sum(map(len, self._runs)) > MAX_TEXT_CHARS or max(map(len, self._texts), default=0) > MAX_TEXT_CHARS:
            raise FileUnreadable("The workbook cannot be read: it holds a text that is longer than a cell can be.")
        taken = self._texts.copy()
        self._texts.clear()
        return taken

    def install(self, expat: XMLParserType, root: str, root_attributes: Attributes) -> None:
        """Set the handlers of `expat`. Raises `FileUnreadable` if the root is not that of a shared strings part."""
        if local_name(root) != "sst":
            raise FileUnreadable(DAMAGED)
        prefix = prefix_of(root)
        item_tag, text_tag, run_tag = (prefix + name for name in ("si", "t", "r"))
        texts, runs, parts = self._texts, self._runs, self._parts
        depth = 0
        # Whether blanks count, by depth: the nearest element that says so decides.
        kept = [root_attributes.get(SPACE_ATTRIBUTE) == "preserve", *[False] * (_RUN_DEPTH + 1)]

        def start(name: str, attributes: Attributes) -> None:
            nonlocal depth
            # Characters between other tags are not part of a text.
            parts.clear()
            # A text stands in an item, or in one of the runs of an item; all else, such as phonetic readings, is passed over.
            if (depth == 0 and name == item_tag) or (0 < depth < _RUN_DEPTH + 1 and name == text_tag) or (depth == _RUN_DEPTH - 1 and name == run_tag):
                depth += 1
                kept[depth] = attributes[SPACE_ATTRIBUTE] == "preserve" if SPACE_ATTRIBUTE in attributes else kept[depth - 1]
            else:
                skip_element(expat)

        def end(name: str) -> None:
            nonlocal depth
            if name == text_tag:
                text = parts[0] if len(parts) == 1 else "".join(parts)
                runs.append(text if kept[depth] else text.strip(XML_BLANKS))
            elif name == item_tag:
                texts.append(runs[0] if len(runs) == 1 else "".join(runs))
                runs.clear()
            depth -= 1
            parts.clear()

        expat.StartElementHandler = start
        expat.EndElementHandler = end
        expat.CharacterDataHandler = parts.append
