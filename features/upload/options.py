"""Check the form fields other than the file, before anything is accepted. Every problem is reported, not only the first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from features.upload.form import FILE_FIELD, Part
from features.upload.problems import TooManyUploads
from features.upload.schemas import OPTION_NAMES, UploadOptions
from shared.descriptors.encodings import normalize_encoding
from shared.descriptors.judging import JudgesBusy, Kind, judge_descriptor
from shared.descriptors.problems import DescriptorInvalid
from shared.settings import Settings
from shared.texts import quote_briefly
from shared.web.problems import InvalidPart
from shared.web.webhook_address import WebhookAddressRefused, require_acceptable


async def check_options(parts: Sequence[Part], *, settings: Settings, client: str = "") -> tuple[UploadOptions, list[InvalidPart]]:
    """Return the form's options and every problem found; an empty field counts as absent.

    `client` is whoever sent them, for a fair share of what checks descriptors. Raises `TooManyUploads` if a descriptor cannot be checked now.
    """
    problems = [*find_wrong_names(parts)]
    texts = {part.name: part.value for part in parts if part.name in OPTION_NAMES and part.value.strip()}
    for name, value in list(texts.items()):
        try:
            value.decode("utf-8")
        except UnicodeDecodeError:
            problems.append(InvalidPart(field=name, message="The field's text is not UTF-8."))
            del texts[name]
    options = UploadOptions(
        webhook_url=_check_webhook_url(texts.get("webhook_url"), settings, problems),
        table_schema=await _check_descriptor("schema", texts.get("schema"), problems, client),
        dialect=await _check_descriptor("dialect", texts.get("dialect"), problems, client),
        encoding=_check_encoding(texts.get("encoding"), problems),
    )
    return options, problems


def find_wrong_names(parts: Sequence[Part]) -> Sequence[InvalidPart]:
    """Report fields that are unknown, fields sent more than once, and a `file` field that is not a file."""
    names = [part.name for part in parts]
    found = []
    for name in dict.fromkeys(names):
        shown = quote_briefly(name).encode("utf-8", "replace").decode()
        if name == FILE_FIELD:
            found.append(InvalidPart(field=name, message="The field file must be a file; send it with a filename."))
        elif name not in OPTION_NAMES:
            known = ", ".join(sorted({*OPTION_NAMES, FILE_FIELD}))
            found.append(InvalidPart(field=shown, message=f"There is no field {shown!r}; the fields are {known}."))
        elif names.count(name) > 1:
            found.append(InvalidPart(field=name, message=f"The field {name} must be sent once."))
    return found


def _check_webhook_url(value: bytearray | None, settings: Settings, problems: list[InvalidPart]) -> str | None:
    if value is None:
        return None
    url = value.decode().strip()
    try:
        require_acceptable(url, settings=settings)
    except WebhookAddressRefused as refused:
        problems.append(InvalidPart(field="webhook_url", message=str(refused)))
    return url


async def _check_descriptor(kind: Kind, value: bytearray | None, problems: list[InvalidPart], client: str) -> dict[str, Any] | None:
    if value is None:
        return None
    try:
        return await judge_descriptor(kind, bytes(value), client=client)
    except DescriptorInvalid as invalid:
        problems.extend(InvalidPart(pointer=problem.pointer, message=problem.message) for problem in invalid.problems)
        return None
    except JudgesBusy as busy:
        raise TooManyUploads(f"Too many {kind}s are being checked at once; send the file again in a few seconds.", headers={"Retry-After": "5"}) from busy


def _check_encoding(value: bytearray | None, problems: list[InvalidPart]) -> str | None:
    if value is None:
        return None
    name = value.decode().strip()
    encoding = normalize_encoding(name)
    if encoding is None:
        problems.append(InvalidPart(field="encoding", message=f"There is no encoding {quote_briefly(name)!r}; try utf-8, cp1252 or utf-16."))
    return encoding
