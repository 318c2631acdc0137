"""Parse a multipart/form-data body (RFC 7578) as it arrives: small fields are kept in memory, the file's bytes go to a callback."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

import re2
from python_multipart.exceptions import FormParserError, MultipartParseError
from python_multipart.multipart import MultipartParser, MultipartState

from features.upload.problems import FileTooLarge, MalformedBody
from shared.descriptors.encodings import normalize_encoding
from shared.settings import FORM_FIELDS_ALLOWANCE_BYTES

FILE_FIELD = "file"
MAX_PARTS = 32
"""Most parts of a form; it has far fewer fields."""
MAX_HEADER_BYTES = 4096
"""Most bytes of all headers of one part: a name of 255 characters takes 3 KiB where every byte of it is percent-encoded."""
MAX_HEADERS = 8
"""Most headers of one part."""
FILENAME_LENGTH = 255
_PARAMETER = re.compile(r"""[;\s]*([^=;\s]*)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"?[^;]*|([^;]*)))?""", re.DOTALL)
_EXTENDED_PARTS = 3
_ESCAPED = re.compile(r"""\\(["\\])""")
_BYTES = re2.Options()
_BYTES.encoding = re2.Options.Encoding.LATIN1


@dataclass(slots=True)
class Part:
    """One part of the body: its name, its value and, for a file, the client's name for it."""

    name: str
    filename: str | None
    value: bytearray = field(default_factory=bytearray)

    @property
    def is_file(self) -> bool:
        """Whether this part is the upload itself. Any other field sent with a filename (`curl -F schema=@schema.json`) is an ordinary field."""
        return self.name == FILE_FIELD and self.filename is not None


class FormParser:
    """Parses a body that is fed in pieces, however they are split.

    Calls back at the start of each file, for the file's bytes, and before it refuses fields that are too large. After the last piece, `fields` holds
    the other parts.
    """

    def __init__(
        self, content_type: str, *, on_file: Callable[[Part], None], on_file_data: Callable[[memoryview], None], on_large_field: Callable[[Part], None]
    ) -> None:
        kind, *parameters = _split_parameters(content_type)
        boundary = dict(reversed(parameters)).get("boundary", "").encode("latin-1")
        if kind[0] != "multipart/form-data" or not boundary:
            raise MalformedBody("Send the upload as multipart/form-data with a boundary, the file in a field named file.")
        self.fields: list[Part] = []
        self._on_file, self._on_file_data, self._on_large_field = on_file, on_file_data, on_large_field
        self._header_name, self._header_value = bytearray(), bytearray()
        self._header_bytes = 0
        self._disposition = b""
        self._part: Part | None = None
        self._parts = 0
        self._field_bytes = 0
        self._ended = False
        self._delimiter = b"\r\n--" + boundary
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin_part,
                    "on_header_field": self._take_header_name,
                    "on_header_value": self._take_header_value,
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._end_headers,
                    "on_part_data": self._take_data,
                    "on_end": self._end,
                },
                max_header_size=MAX_HEADER_BYTES,
                max_header_count=MAX_HEADERS,
            )
        except FormParserError as error:
            raise MalformedBody("The boundary of the multipart body is too long; at most 256 characters are allowed.") from error
        self._find_delimiter: Callable[[bytes], object] | None = None

    def feed(self, data: bytes) -> None:
        """Parse the next piece. Raises `MalformedBody`, or what the callbacks raise."""
        if self._is_inside_file(data):
            self._on_file_data(memoryview(data))
            return
        try:
            self._parser.write(data)
        except MultipartParseError as error:
            if str(error).startswith("Maximum header"):
                raise _large_headers() from error
            raise MalformedBody(f"The multipart body is broken: {error}.") from error

    def _is_inside_file(self, data: bytes) -> bool:
        """Whether all of `data` belongs to the file: no boundary lies or begins in it, and none had begun before it.

        RE2 finds the boundary several times faster than `bytes.find`, and this search is most of the parser's work on a large file.
        """
        if self._part is None or not self._part.is_file or self._parser.state is not MultipartState.PART_DATA or self._parser.index != 0:
            return False
        begins = data.rfind(b"\r", max(0, len(data) - len(self._delimiter) + 1))
        if begins != -1 and self._delimiter.startswith(data[begins:]):
            return False
        if self._find_delimiter is None:
            self._find_delimiter = re2.compile(re2.escape(self._delimiter), _BYTES).search
        return self._find_delimiter(data) is None

    def close(self) -> None:
        """End the body. Raises `MalformedBody` if its final boundary is missing."""
        if not self._ended:
            raise MalformedBody("The body ends before its final boundary; the upload is incomplete, send it again.")

    def _begin_part(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise MalformedBody(f"The form has more than {MAX_PARTS} parts; send each field once.")
        self._header_bytes = 0
        self._disposition = b""
        self._part = None

    def _take_header_name(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._header_name += data[start:end]

    def _take_header_value(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._header_value += data[start:end]

    def _count_header(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > MAX_HEADER_BYTES:
            raise _large_headers()

    def _end_header(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def _end_headers(self) -> None:
        self._part = parse_disposition(self._disposition)
        if self._part.is_file:
            self._on_file(self._part)
        else:
            self.fields.append(self._part)

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        part = self._part
        assert part is not None
        if part.is_file:
            self._on_file_data(memoryview(data)[start:end])
            return
        self._field_bytes += end - start
        if self._field_bytes > FORM_FIELDS_ALLOWANCE_BYTES:
            self._on_large_field(part)
            raise FileTooLarge(f"The form fields other than the file are larger than {FORM_FIELDS_ALLOWANCE_BYTES:,} bytes.")
        part.value += data[start:end]

    def _end(self) -> None:
        self._ended = True


def _large_headers() -> MalformedBody:
    return MalformedBody(
        f"A part of the form has more than {MAX_HEADER_BYTES:,} bytes of headers, or more than {MAX_HEADERS}; send a shorter name and no other headers."
    )


def parse_disposition(header: bytes) -> Part:
    """Return the part that a Content-Disposition header describes; `filename*` (RFC 8187) takes precedence over `filename`.

    Raises `MalformedBody` if the header is not form-data, or has no name.
    """
    kind, *parameters = _split_parameters(header.decode("utf-8", "replace").replace("\r", " ").replace("\n", " "))
    if kind[0] != "form-data":
        raise MalformedBody("A part of the form has no Content-Disposition: form-data header.")
    values = dict(reversed(parameters))  # of two of one name the first counts
    if "name" not in values:
        raise MalformedBody("A part of the form has no name.")
    filename = _decode_extended(values["filename*"]) if "filename*" in values else None
    if filename is None:
        filename = values.get("filename")
    return Part(name=values["name"], filename=None if filename is None else client_filename(filename))


def _split_parameters(header: str) -> Iterator[tuple[str, str]]:
    """Yield each part of a header between semicolons as its name in lower case and its value without quotes, in time that grows with the header's length.

    The standard library's parser takes time that grows with the square of it. A backslash stands for itself, except before a quote and another backslash:
    browsers send those of a Windows path alone.
    """
    for match in _PARAMETER.finditer(header):
        name, quoted, plain = match.groups()
        yield name.lower(), _ESCAPED.sub(r"\1", quoted) if quoted is not None else (plain or "").strip()


def _decode_extended(value: str) -> str | None:
    """Decode a value such as `UTF-8'en'na%C3%AFve.csv` (RFC 8187, section 3.2); None if its form or its encoding is not known."""
    charset, *rest = value.split("'", 2)
    encoding = normalize_encoding(charset) if len(rest) == _EXTENDED_PARTS - 1 else None
    return None if encoding is None else unquote_to_bytes(rest[1]).decode(encoding, "replace")


def client_filename(sent: str) -> str:
    """Return the last path component of the name the client sent, at most 255 characters long.

    Control characters and surrogates become U+FFFD. A name that is too long is cut before its extension.
    """
    last = sent.replace("\\", "/").rpartition("/")[2]
    clean = "".join(character if character.isprintable() and not "\ud800" <= character <= "\udfff" else "\ufffd" for character in last).strip()
    stem, dot, extension = clean.rpartition(".")
    if not dot:
        return clean[:FILENAME_LENGTH]
    return stem[: FILENAME_LENGTH - len(dot + extension)] + dot + extension[: FILENAME_LENGTH - 1]
