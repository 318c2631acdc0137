"""A multipart/form-data body (RFC 7578), parsed as it arrives: small fields to memory, the file's bytes to whoever takes them."""

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
    """One part of the body: its name and, for a file, the client's name of it."""

    name: str
    filename: str | None
    value: bytearray = field(default_factory=bytearray)

    @property
    def is_file(self) -> bool:
        """Whether this is the upload itself; another field that comes with a filename (`curl -F schema=@schema.json`) is a field."""
        return self.name == FILE_FIELD and self.filename is not None


class FormParser:
    """Feeds on pieces of the body in any split; calls back for each file's start and bytes, and before it refuses fields that are too large.

    Fields are in `fields` when it is done.
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
        """Whether all of `data` is the file's: no boundary is or begins in it, and none had begun before.

        RE2 looks for it several times faster than `bytes.find`, which is most of what the parser does with a large file.
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
        """The body has ended. Raises `MalformedBody` where its final boundary is missing."""
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
            raise FileTooLarge(f"The form fields beside the file are larger than {FORM_FIELDS_ALLOWANCE_BYTES:,} bytes.")
        part.value += data[start:end]

    def _end(self) -> None:
        self._ended = True


def parse_disposition(header: bytes) -> Part:
    """The part that a Content-Disposition names; `filename*` (RFC 8187) goes before `filename`. Raises `MalformedBody`."""
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
    """The last path component of what the client sent, without control characters, cut to 255 characters before its extension."""
    last = sent.replace("\\", "/").rpartition("/")[2]
    clean = "".join(character if character.isprintable() and not "\ud800" <= character <= "\udfff" else "\ufffd" for character in last).strip()
    stem, dot, extension = clean.rpartition(".")
    if not dot:
        return clean[:FILENAME_LENGTH]
    return stem[: FILENAME_LENGTH - len(dot + extension)] + dot + extension[: FILENAME_LENGTH - 1]
