"""Parse one XML part with expat, block by block, with limits that expat itself does not set.

Names are told with their namespaces, so that prefixes do not matter: `http://…/main row`, and `row` in a part that declares no namespace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NoReturn
from xml.parsers.expat import ParserCreate, XMLParserType

from features.processing.readers.base import FileUnreadable
from features.processing.readers.excel.xlsx.package import DAMAGED, XML_ERRORS, raise_damaged

MAX_TOKEN_BYTES = 2**20
"""No real tag with its attributes, and no comment, comes near this size; expat holds a tag in memory as a whole."""
MAX_DEPTH = 64
SPACE_ATTRIBUTE = "http://www.w3.org/XML/1998/namespace space"
"""`xml:space`, which says whether blanks at the ends of a text count."""
XML_BLANKS = " \t\r\n"
"""White space of XML, which Excel drops from the ends of a text that is not marked with `xml:space="preserve"`; others, such as no-break spaces, stay."""

_TEXT_BLOCK_CHARS = 2**16
_MAX_NAME_CHARS = 250

Attributes = Mapping[str, str]
Install = Callable[[XMLParserType, str, Attributes], None]
Visit = Callable[[str, Attributes], None]


class PartParser:
    """Feeds one part to expat. `install` is called with the name and the attributes of the root, and sets the handlers; they do not see the root."""

    def __init__(self, install: Install) -> None:
        self._install = install
        self._parser = ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.buffer_size = _TEXT_BLOCK_CHARS
        self._parser.StartDoctypeDeclHandler = _refuse
        self._parser.StartElementHandler = self._start_root
        self._fed_bytes = 0

    def watch_prefixes(self, tell: Callable[[str], None]) -> None:
        """Call `tell` with each prefix that is declared until `install` removes the handler; must be called before the first block is fed."""
        self._parser.StartNamespaceDeclHandler = lambda prefix, _: tell(prefix or "")

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

    def _start_root(self, name: str, attributes: Attributes) -> None:
        self._install(self._parser, name, attributes)


def visit_elements(blocks: Iterable[bytes], visit_root: Callable[[str], None], visit: Visit) -> None:
    """Call `visit_root` with the name of the root, then `visit` for each element in it with its path and its attributes.

    A path is made of local names, `sheets/sheet`. Elements of other namespaces than that of the root keep their whole name in it.
    Raises `FileUnreadable` if the part is damaged, and whatever the two functions raise.
    """

    def install(expat: XMLParserType, root: str, _: Attributes) -> None:
        visit_root(root)
        prefix = prefix_of(root)
        start_of_name = len(prefix)
        paths = [""]

        def start(name: str, attributes: Attributes) -> None:
            if len(paths) > MAX_DEPTH:
                raise FileUnreadable(DAMAGED)
            local = name[start_of_name:] if name.startswith(prefix) else name
            if len(local) > _MAX_NAME_CHARS:
                local = "?"
            path = f"{paths[-1]}/{local}" if paths[-1] else local
            paths.append(path)
            visit(path, attributes)

        def end(_: str) -> None:
            paths.pop()

        expat.StartElementHandler = start
        expat.EndElementHandler = end

    parser = PartParser(install)
    for block in blocks:
        parser.feed(block)
    parser.finish()


def skip_element(expat: XMLParserType) -> None:
    """Pass over the element that just began with all that is in it, then restore the handlers. Raises `FileUnreadable` if it is nested too deeply."""
    start_before, end_before, text_before = expat.StartElementHandler, expat.EndElementHandler, expat.CharacterDataHandler
    depth = 1

    def start(_: str, __: Attributes) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise FileUnreadable(DAMAGED)

    def end(_: str) -> None:
        nonlocal depth
        depth -= 1
        if not depth:
            expat.StartElementHandler, expat.EndElementHandler, expat.CharacterDataHandler = start_before, end_before, text_before

    expat.StartElementHandler, expat.EndElementHandler, expat.CharacterDataHandler = start, end, None


def local_name(name: str) -> str:
    """Return the name without its namespace."""
    return name.rpartition(" ")[2]


def prefix_of(name: str) -> str:
    """Return the namespace with the blank after it, or `""`."""
    return name[: len(name) - len(local_name(name))]


def _refuse(*_: object) -> NoReturn:
    raise FileUnreadable(DAMAGED)
