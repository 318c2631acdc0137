"""Parse a multipart/form-data body (RFC 7578) as it arrives: small fields are kept in memory, the file's bytes go to a callback."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from email.utils import collapse_rfc2231_value

import re2
from python_multipart.exceptions import FormParserError, MultipartParseError
from python_multipart.multipart import MultipartParser, MultipartState, parse_options_header

from features.upload.problems import FileTooLarge, MalformedBody
from shared.settings import FORM_FIELDS_ALLOWANCE_BYTES

FILE_FIELD = "file"
MAX_PARTS = 64
FILENAME_LENGTH = 255
_HEADER_BYTES = 16 * 1024
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
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if kind != b"multipart/form-data" or not boundary:
            raise MalformedBody("Send the upload as multipart/form-data with a boundary, the file in a field named file.")
        self.fields: list[Part] = []
        self._on_file, self._on_file_data, self._on_large_field = on_file, on_file_data, on_large_field
        self._header_name, self._header_value = bytearray(), bytearray()
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
                max_header_size=_HEADER_BYTES,
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
            raise MalformedBody(f"The form has more than {MAX_PARTS} parts.")
        self._disposition = b""
        self._part = None

    def _take_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _take_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

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


def parse_disposition(header: bytes) -> Part:
    """Return the part that a Content-Disposition header describes; `filename*` (RFC 8187) takes precedence over `filename`.

    Raises `MalformedBody` if the header is not form-data, or has no name.
    """
    message = Message()
    message["content-disposition"] = header.decode("utf-8", "replace").replace("\r", " ").replace("\n", " ")
    parameters = message.get_params(header="content-disposition", unquote=True) or []
    if not parameters or parameters[0][0].lower() != "form-data":
        raise MalformedBody("A part of the form has no Content-Disposition: form-data header.")
    names: dict[str, str] = {}
    for key, value in parameters[1:]:
        if isinstance(value, tuple):
            names[f"{key.lower()}*"] = collapse_rfc2231_value(value, errors="replace", fallback_charset="utf-8")
        else:
            names.setdefault(key.lower(), value)
    if "name" not in names:
        raise MalformedBody("A part of the form has no name.")
    filename = names.get("filename*", names.get("filename"))
    return Part(name=names["name"], filename=None if filename is None else client_filename(filename))


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
