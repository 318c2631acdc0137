"""Check the form fields other than the file, before anything is accepted. Every problem is reported, not only the first."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from features.upload.form import FILE_FIELD, Part
from features.upload.problems import TooManyUploads
from features.upload.schemas import OPTION_NAMES, UploadOptions
from shared.descriptors.encodings import normalize_encoding
from shared.descriptors.judging import JudgesBusy, Kind, judge_descriptor
from shared.descriptors.problems import DescriptorInvalid
from shared.jobs.schemas import ExternalId, Labels
from shared.output_names import OUTPUT_NAMES
from shared.settings import Settings
from shared.texts import list_briefly, quote_briefly
from shared.web.problems import MAX_PARTS, InvalidPart, describe_invalid
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
        outputs=_check_outputs(texts.get("outputs"), problems),
        external_id=_check_external_id(texts.get("external_id"), problems),
        labels=_check_labels(texts.get("labels"), problems),
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
    return None if value is None else check_webhook_url(value.decode(), settings, problems)


def check_webhook_url(text: str, settings: Settings, problems: list[InvalidPart]) -> str:
    """Return the URL; why it may not be called is added to `problems`."""
    url = text.strip()
    try:
        require_acceptable(url, settings=settings)
    except WebhookAddressRefused as refused:
        problems.append(InvalidPart(field="webhook_url", message=str(refused)))
    return url


async def _check_descriptor(kind: Kind, value: bytearray | None, problems: list[InvalidPart], client: str) -> dict[str, Any] | None:
    return None if value is None else await check_descriptor(kind, bytes(value), problems, client)


async def check_descriptor(kind: Kind, text: bytes, problems: list[InvalidPart], client: str) -> dict[str, Any] | None:
    """Return the JSON object of a schema or dialect; what is wrong with it is added to `problems`. Raises `TooManyUploads` if it cannot be checked now."""
    try:
        return await judge_descriptor(kind, text, client=client)
    except DescriptorInvalid as invalid:
        problems.extend(InvalidPart(pointer=problem.pointer, message=problem.message) for problem in invalid.problems)
        return None
    except JudgesBusy as busy:
        raise TooManyUploads(f"Too many {kind}s are being checked at once; send the file again in a few seconds.", headers={"Retry-After": "5"}) from busy


def _check_encoding(value: bytearray | None, problems: list[InvalidPart]) -> str | None:
    return None if value is None else check_encoding(value.decode(), problems)


def check_encoding(text: str, problems: list[InvalidPart]) -> str | None:
    """Return the encoding's usual name; if there is no such encoding, that is added to `problems`."""
    name = text.strip()
    encoding = normalize_encoding(name)
    if encoding is None:
        problems.append(InvalidPart(field="encoding", message=f"There is no encoding {quote_briefly(name)!r}; try utf-8, cp1252 or utf-16."))
    return encoding


def _check_outputs(value: bytearray | None, problems: list[InvalidPart]) -> tuple[str, ...]:
    return () if value is None else check_outputs(value.decode().split(","), problems)


def check_outputs(names: Sequence[str], problems: list[InvalidPart]) -> tuple[str, ...]:
    """Return the names of outputs without repeats and empty ones; names that there are not are added to `problems`."""
    wanted = tuple(dict.fromkeys(name.strip() for name in names if name.strip()))
    unknown = [name for name in wanted if name not in OUTPUT_NAMES]
    if unknown:
        message = f"There is no output {list_briefly([repr(quote_briefly(name)) for name in unknown])}; there are {', '.join(OUTPUT_NAMES)}."
        problems.append(InvalidPart(field="outputs", message=message))
    return wanted


def _check_external_id(value: bytearray | None, problems: list[InvalidPart]) -> str | None:
    if value is None:
        return None
    text = value.decode().strip()
    return text if _is_valid(_EXTERNAL_ID, text, "external_id", problems) else None


def _check_labels(value: bytearray | None, problems: list[InvalidPart]) -> dict[str, str]:
    if value is None:
        return {}
    try:
        given = json.loads(value)
    except (ValueError, RecursionError):
        problems.append(InvalidPart(pointer="/labels", message='This is not JSON; send an object such as {"team": "sales"}.'))
        return {}
    if not isinstance(given, dict):
        problems.append(InvalidPart(pointer="/labels", message='The labels must be a JSON object such as {"team": "sales"}.'))
        return {}
    return given if _is_valid(_LABELS, given, "labels", problems) else {}


def _is_valid(adapter: TypeAdapter[Any], value: object, field: str, problems: list[InvalidPart]) -> bool:
    """Whether a value is as `adapter` wants it; what is wrong with it is added to `problems`."""
    try:
        adapter.validate_python(value, strict=True)
    except ValidationError as invalid:
        problems.extend(describe_invalid({**error, "loc": ("body", field, *error["loc"])}) for error in invalid.errors(include_url=False)[:MAX_PARTS])
        return False
    return True


_EXTERNAL_ID: TypeAdapter[Any] = TypeAdapter(ExternalId)
_LABELS: TypeAdapter[Any] = TypeAdapter(Labels)
