"""Receive a request's stream into a stored file: limits are checked first, and nothing is left behind if it fails."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING

from features.upload.contents import describe_mismatch
from features.upload.form import FILE_FIELD, FormParser, Part
from features.upload.options import check_options, find_wrong_names
from features.upload.problems import FileTooLarge, InvalidUpload, TooManyOfYours, TooManyUploads
from features.upload.schemas import UploadOptions
from features.upload.storing import explain_failure
from shared.concurrency.pausing_timeout import PausingTimeout
from shared.formats import describe_conversion, get_extension, list_extensions
from shared.storage.base import HEAD_BYTES, FileWriter, Storage
from shared.storage.names import name_file
from shared.web.body_limit import parse_length
from shared.web.problems import ClientTooSlow, InvalidPart

if TYPE_CHECKING:
    from shared.settings import Settings
    from shared.web.auth import Viewer

MIN_BYTES_PER_S = 32 * 1024
"""Least average rate of an upload, counted from its first byte and judged from `RATE_GRACE_S` on: one that only drips holds a slot that others need."""
RATE_GRACE_S = 30.0
MIN_BYTES = 8192
"""Least that a client must send within `UPLOAD_IDLE_TIMEOUT_S` unless the body ends: a client that only trickles holds a slot that others need."""
_under_way: Counter[str] = Counter()
"""Uploads of this process by client, changed on its event loop only."""
_RETRY = {"Retry-After": "5"}
_CUSTOMER_BITS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedFile:
    """A file that is stored, complete and durable, and the form fields sent with it."""

    job_id: uuid.UUID
    filename: str
    file_type: str
    size: int
    sha256: str
    options: UploadOptions


@asynccontextmanager
async def upload_slot(settings: Settings, *, viewer: Viewer, address: str | None) -> AsyncIterator[str]:
    """Hold one of this process's `MAX_CONCURRENT_UPLOADS` slots for the block; one API key, or without keys one address, may have half of them.

    Gives the name by which the client is known. Raises `TooManyUploads` if none is free, and `TooManyOfYours` if none is for this client.
    """
    client = viewer.name or name_network(address)
    if _under_way.total() >= settings.max_concurrent_uploads:
        raise TooManyUploads(headers=_RETRY)
    if _under_way[client] >= -(-settings.max_concurrent_uploads // 2):
        raise TooManyOfYours(headers=_RETRY)
    _under_way[client] += 1
    try:
        yield client
    finally:
        _under_way[client] -= 1
        if not _under_way[client]:
            del _under_way[client]


def name_network(address: str | None) -> str:
    """Return what stands for a client without a key: its address, or of an IPv6 address the network of 64 bits that one customer is given."""
    try:
        parsed = ip_address((address or "").partition("%")[0])
    except ValueError:
        return address or ""
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or IPv6Network((parsed, _CUSTOMER_BITS), strict=False))
    return str(parsed)


def require_acceptable_length(content_length: str | None, settings: Settings) -> None:
    """Refuse a body whose `Content-Length` is too large, before any of it is read. Raises `FileTooLarge`."""
    length = parse_length(content_length)
    if length is not None and length > settings.max_request_size_bytes:
        raise too_large(settings)


def too_large(settings: Settings) -> FileTooLarge:
    """Return the problem for a file that is too large, stating the limit."""
    return FileTooLarge(f"The file is larger than the {settings.max_upload_size_bytes:,} bytes that this service accepts; split it.")


@dataclass
class _Upload:
    """The file of one form while it is being received."""

    settings: Settings
    storage: Storage
    job_id: uuid.UUID = field(default_factory=uuid.uuid4)
    filename: str | None = None
    file_type: str | None = None
    writer: FileWriter | None = None
    files: int = 0

    def begin_file(self, part: Part) -> None:
        self.files += 1
        if self.files > 1:
            raise _invalid(InvalidPart(field=FILE_FIELD, message="Send exactly one file in an upload."))
        self.filename = part.filename or ""
        self.file_type = get_extension(self.filename)
        if self.file_type is None:
            accepted = ", ".join(f".{extension}" for extension in list_extensions())
            name = self.filename or "without a name"
            conversion = describe_conversion(self.filename)
            message = f"A file {name!r} is not accepted; the name must end in one of {accepted}."
            raise _invalid(InvalidPart(field=FILE_FIELD, message=message if conversion is None else f"{message} {conversion}"))
        self.writer = self.storage.open_writer(name_file(self.job_id, self.filename))

    def take(self, data: memoryview) -> None:
        assert self.writer is not None
        if self.writer.size + len(data) > self.settings.max_upload_size_bytes:
            raise too_large(self.settings)
        knew_head = len(self.writer.head) >= HEAD_BYTES
        self.writer.take(data)
        if not knew_head and len(self.writer.head) >= HEAD_BYTES:
            self.require_match()

    def require_match(self) -> None:
        assert self.writer is not None
        assert self.file_type is not None
        if self.writer.size == 0:
            raise _invalid(InvalidPart(field=FILE_FIELD, message="The file is empty."))
        mismatch = describe_mismatch(self.file_type, self.writer.head)
        if mismatch is not None:
            raise _invalid(InvalidPart(field=FILE_FIELD, message=mismatch))


def _require_known_name(part: Part) -> None:
    wrong = find_wrong_names([part])
    if wrong:
        raise _invalid(*wrong)


def _invalid(*parts: InvalidPart) -> InvalidUpload:
    return InvalidUpload(parts[0].message if len(parts) == 1 else None, errors=parts)


async def receive_file(stream: AsyncIterator[bytes], *, content_type: str, settings: Settings, storage: Storage, client: str = "") -> ReceivedFile:
    """Parse `stream`, which comes from `client`, as it arrives and store its file.

    Raises a `Problem` of `features.upload.problems`, or whatever the stream raises; in either case nothing is left stored.
    """
    upload = _Upload(settings, storage)
    form = FormParser(content_type, on_file=upload.begin_file, on_file_data=upload.take, on_large_field=_require_known_name)
    try:
        await _feed(stream, form, upload)
        form.close()
        return await _accept(upload, form, client)
    except BaseException:
        if upload.writer is not None:
            await asyncio.shield(upload.writer.discard())
        raise


async def _accept(upload: _Upload, form: FormParser, client: str) -> ReceivedFile:
    options, problems = await check_options(form.fields, settings=upload.settings, client=client)
    if upload.writer is None:
        problems.insert(0, InvalidPart(field=FILE_FIELD, message="The file is missing; send it in a form field named file."))
    else:
        upload.require_match()
    if problems:
        raise _invalid(*problems)
    assert upload.writer is not None
    assert upload.filename is not None
    assert upload.file_type is not None
    with explain_failure(upload.storage):
        sha256 = await upload.writer.finish()
    return ReceivedFile(
        job_id=upload.job_id,
        filename=upload.filename,
        file_type=upload.file_type,
        size=upload.writer.size,
        sha256=sha256,
        options=options,
    )


async def _feed(stream: AsyncIterator[bytes], form: FormParser, upload: _Upload) -> None:
    """Parse the whole stream.

    Raises `ClientTooSlow` if fewer than `MIN_BYTES` arrive within `UPLOAD_IDLE_TIMEOUT_S`, or on average fewer than `MIN_BYTES_PER_S`; the time spent
    writing does not count. Raises `FileTooLarge` if the stream is larger than any upload, whatever it consists of.
    """
    loop, settings = asyncio.get_running_loop(), upload.settings
    idle_timeout_s, max_bytes = settings.upload_idle_timeout_s, settings.max_request_size_bytes
    left_s, arrived, total, waited_s, waits_since = idle_timeout_s, 0, 0, 0.0, loop.time()
    patience_s = min(left_s, RATE_GRACE_S)
    try:
        async with PausingTimeout(patience_s) as patience:
            async for piece in stream:
                patience.stop()
                waited_now_s, size = loop.time() - waits_since, len(piece)
                left_s, waited_s, arrived, total = left_s - waited_now_s, waited_s + waited_now_s, arrived + size, total + size
                if total > max_bytes:
                    raise too_large(settings)
                if arrived >= MIN_BYTES:
                    left_s, arrived = idle_timeout_s, 0
                form.feed(piece)
                if upload.writer is not None:
                    with explain_failure(upload.storage):
                        await upload.writer.drain()
                waits_since, patience_s = loop.time(), max(0.0, min(left_s, max(RATE_GRACE_S, total / MIN_BYTES_PER_S) - waited_s))
                patience.start(patience_s)
    except TimeoutError as error:
        message = f"Less than {MIN_BYTES:,} bytes arrived in {idle_timeout_s:g} seconds; send the file again over a faster connection."
        if patience_s < left_s:
            message = f"The upload is slower than {MIN_BYTES_PER_S // 1024} KiB a second on average; send the file again over a faster connection."
        raise ClientTooSlow(message) from error
