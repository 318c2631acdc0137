"""Parse one XML part with expat, block by block, with limits that expat itself does not set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NoReturn
from xml.parsers.expat import ParserCreate, XMLParserType

from features.processing.readers.base import FileUnreadable
from features.processing.readers.excel.xlsx.package import DAMAGED, XML_ERRORS, raise_damaged

MAX_TOKEN_BYTES = 2**20
"""No real tag with its attributes, and no comment, comes near this size; expat holds a tag in memory as a whole."""
MAX_DEPTH = 64

_TEXT_BLOCK_CHARS = 2**16


class PartParser:
    """Feeds one part to expat. `install` is called with the name of the root, including its prefix, and sets the handlers; they do not see the root."""

    def __init__(self, install: Callable[[XMLParserType, str], None]) -> None:
        self._install = install
        self._parser = ParserCreate()
        self._parser.buffer_text = True
        self._parser.buffer_size = _TEXT_BLOCK_CHARS
        self._parser.StartDoctypeDeclHandler = _refuse
        self._parser.StartElementHandler = self._start_root
        self._fed_bytes = 0

    def feed(self, block: bytes) -> None:
        """Parse one block. Raises `FileUnreadable` if it is not well-formed."""
        self._fed_bytes += len(block)
        self._parse(block, is_final=False)
        if self._fed_bytes - self._parser.CurrentByteIndex > MAX_TOKEN_BYTES + len(block):
            raise FileUnreadable(DAMAGED)

    def finish(self) -> None:
        """End the parsing after the last block. Raises `FileUnreadable` if the XML is incomplete."""
        self._parse(b"", is_final=True)

    def _parse(self, block: bytes, *, is_final: bool) -> None:
        try:
            self._parser.Parse(block, is_final)
        except XML_ERRORS as error:
            raise_damaged(error)

    def _start_root(self, name: str, _: Mapping[str, str]) -> None:
        self._install(self._parser, name)


def local_name(name: str) -> str:
    """Return the name without its prefix."""
    return name.rpartition(":")[2]


def prefix_of(name: str) -> str:
    """Return the prefix with its colon; all elements of a part share the prefix of its root."""
    return name[: len(name) - len(local_name(name))]


def _refuse(*_: object) -> NoReturn:
    raise FileUnreadable(DAMAGED)
