"""Shared strings of a workbook: in memory up to a limit, beyond it in a temporary file."""

from __future__ import annotations

import os
import tempfile
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol, cast
from xml.parsers.expat import XMLParserType

import numpy as np
import numpy.typing as npt
import pyarrow as pa

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
LONG_TEXT_CHARS = 2**10
"""Longer texts are never copied: all cells that have one of them share it."""

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

    def __len__(self) -> int:
        """Return how many texts there are."""
        ...

    @property
    def is_filed(self) -> bool:
        """Whether they are so many, or so long, that they are not kept in memory."""
        ...

    def find_long(self, indexes: npt.NDArray[np.int64], /) -> npt.NDArray[np.bool_]:
        """Return which of the texts with these numbers, all of which there are, are longer than `LONG_TEXT_CHARS`."""
        ...

    def weigh(self, indexes: npt.NDArray[np.int64], /) -> npt.NDArray[np.int64]:
        """Return about how many bytes each of the texts with these numbers has, none of which is long."""
        ...

    def take(self, indexes: npt.NDArray[np.int64], /) -> pa.StringArray:
        """Return the texts with these numbers, all of which there are, and none of which is long."""
        ...


class KeptStrings:
    """Texts in memory."""

    is_filed = False

    def __init__(self, texts: Sequence[str] = ()) -> None:
        self._texts: Sequence[str] = texts
        self._long: dict[int, str] = {}
        self._is_long = np.zeros(0, np.bool_)
        self._array: pa.StringArray | None = None
        self._offsets: npt.NDArray[np.int32] = np.zeros(1, np.int32)
        self._data = memoryview(b"")

    def __len__(self) -> int:
        return len(self._texts) if self._array is None else len(self._array)

    def __getitem__(self, index: int, /) -> str:
        if self._array is None:
            return self._texts[index]
        if not 0 <= index < len(self._array):
            raise IndexError(index)
        if index in self._long:
            return self._long[index]
        return str(self._data[self._offsets[index] : self._offsets[index + 1]], "utf-8")

    def find_long(self, indexes: npt.NDArray[np.int64], /) -> npt.NDArray[np.bool_]:
        """See `Texts`."""
        self._pack()
        return self._is_long[indexes]

    def weigh(self, indexes: npt.NDArray[np.int64], /) -> npt.NDArray[np.int64]:
        """See `Texts`."""
        self._pack()
        return np.asarray(self._offsets[indexes + 1] - self._offsets[indexes], np.int64)

    def take(self, indexes: npt.NDArray[np.int64], /) -> pa.StringArray:
        """See `Texts`."""
        return self._pack().take(pa.array(indexes))

    def _pack(self) -> pa.StringArray:
        """Make one array of the texts, as which they take a third of the memory; the long ones stay as they are."""
        if self._array is None:
            self._long = {index: text for index, text in enumerate(self._texts) if len(text) > LONG_TEXT_CHARS}
            self._is_long = np.zeros(len(self._texts), np.bool_)
            self._is_long[list(self._long)] = True
            short = ["" if len(text) > LONG_TEXT_CHARS else text for text in self._texts] if self._long else self._texts
            self._array, self._texts = pa.array(short, type=pa.string()), ()
            _, offsets, data = self._array.buffers()
            self._offsets, self._data = np.frombuffer(offsets, np.int32), memoryview(data or b"")
        return self._array


class StringTable:
    """The shared strings of one workbook."""

    def __init__(self, filed: FiledStrings | None = None) -> None:
        self._filed = filed
        self.texts: Texts = filed if filed is not None else KeptStrings()

    def close(self) -> None:
        """Release the memory or the file; may be called twice."""
        self.texts = KeptStrings()
        if self._filed is not None:
            self._filed.close()


class FiledStrings:
    """Texts in an unnamed temporary file, which is removed when it is closed; stored in pages of 64 texts, with recently loaded pages kept in memory."""

    is_filed = True

    def __init__(self, *, spill_dir: Path | None) -> None:
        self._file = cast("BinaryIO", tempfile.TemporaryFile(dir=spill_dir, prefix="strings-"))  # noqa: SIM115 - closed by close()
        self._page_starts = array("Q", [0])
        self._filling: list[str] = []
        self._long = array("q")
        """The numbers of the long texts, ascending."""
        self._cache: dict[int, list[str]] = {}
        self._cached_chars = 0

    def append(self, text: str) -> None:
        """Add a text, as it is in the XML, after the others."""
        if len(text) > LONG_TEXT_CHARS:
            self._long.append(len(self))
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

    def find_long(self, indexes: npt.NDArray[np.int64], /) -> npt.NDArray[np.bool_]:
        """See `Texts`."""
        return np.isin(indexes, np.asarray(self._long))

    def weigh(self, indexes: npt.NDArray[np.int64], /) -> npt.NDArray[np.int64]:
        """See `Texts`: by the average of their pages."""
        if len(self._page_starts) == 1:
            return np.zeros(len(indexes), np.int64)
        pages = np.minimum(indexes // _PAGE_TEXTS, len(self._page_starts) - 2)
        return np.asarray(np.diff(np.asarray(self._page_starts))[pages] // _PAGE_TEXTS, np.int64)

    def take(self, indexes: npt.NDArray[np.int64], /) -> pa.StringArray:
        """See `Texts`."""
        distinct, places = np.unique(indexes, return_inverse=True)
        return pa.array([self[index] for index in distinct.tolist()], type=pa.string()).take(pa.array(places))

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
            table.texts = KeptStrings([unescape_text(text) for text in self._kept])
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
