"""Common base of all response bodies: how they are read from rows, how times are written, and how open lists of words are described."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, PlainSerializer, WithJsonSchema
from typing_extensions import TypeAliasType

from shared.vocabulary import ERROR_TYPES, NOTE_CODES, Meaning


def format_time(moment: datetime) -> str:
    """Format a time as RFC 3339 in UTC, with microseconds and a `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


UtcTime = Annotated[
    datetime, PlainSerializer(format_time, return_type=str, when_used="json"), WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization")
]


def describe_words(introduction: str, words: Mapping[str, Meaning], *, title: str, others: str) -> dict[str, Any]:
    """Return the JSON Schema of a text that is one of `words`, with their meanings, or, as of a plugin, any other: a client must not refuse what is new."""
    meanings = "\n".join(f"- `{word}`: {meaning.text}" for word, meaning in words.items())
    return {
        "description": f"{introduction}\n\n{meanings}",
        "anyOf": [{"title": title, "type": "string", "enum": list(words)}, {"type": "string", "description": others}],
    }


# Named types, so that the document has each list once.
_ERROR_TYPE = describe_words("What is wrong, for programs:", ERROR_TYPES, title="Known error type", others="The type of a check that was added to this service")
ErrorType = TypeAliasType("ErrorType", Annotated[str, WithJsonSchema(_ERROR_TYPE)])
_NOTE_CODE = describe_words("What the note is about, for programs:", NOTE_CODES, title="Known note code", others="A code that a later version has")
NoteCode = TypeAliasType("NoteCode", Annotated[str, WithJsonSchema(_NOTE_CODE)])


class Read(BaseModel):
    """Base of every response body: read from a row's attributes, leaving out those it does not declare."""

    model_config = ConfigDict(from_attributes=True)
