"""Code shared by both descriptors (Table Schema, Table Dialect): reads JSON safely, and collects every problem with its pointer."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TypeAlias

from shared.texts import quote_briefly, shorten

MAX_DESCRIPTOR_BYTES = 2**20
MAX_DEPTH = 64
MAX_PROBLEMS = 1000
"""How many problems are listed; parsing stops at the last of them."""
Place: TypeAlias = "tuple[Place, str | int] | None"
"""Where a value stands: its parent's place and its own name. A pointer is built of it only for a problem, since names and nesting may be long."""


@dataclass(frozen=True, slots=True)
class DescriptorProblem:
    """One problem in a descriptor."""

    pointer: str
    """A JSON pointer (RFC 6901) that starts at the form field: `/schema/fields/2/type`."""
    message: str
    """One plain sentence, at most `MAX_TEXT_CHARACTERS` long."""


class DescriptorInvalid(Exception):
    """The descriptor cannot be used; `problems` lists everything that is wrong with it, in the order of the descriptor."""

    def __init__(self, problems: tuple[DescriptorProblem, ...]) -> None:
        super().__init__("; ".join(f"{problem.pointer}: {problem.message}" for problem in problems[:3]))
        self.problems = problems


@dataclass(slots=True)
class ProblemList:
    """Collects problems while a descriptor is parsed."""

    problems: list[DescriptorProblem] = field(default_factory=list)

    def add(self, pointer: str, message: str) -> None:
        """Add a problem; at `MAX_PROBLEMS` raises `DescriptorInvalid` at once, so that a hostile descriptor stays cheap."""
        self.problems.append(DescriptorProblem(shorten(pointer), shorten(message)))
        if len(self.problems) >= MAX_PROBLEMS:
            self.raise_if_any()

    def raise_if_any(self) -> None:
        """Raise `DescriptorInvalid` with all problems, if there is one."""
        if self.problems:
            raise DescriptorInvalid(tuple(self.problems))


def join_pointer(pointer: str, *parts: str | int) -> str:
    """Append `parts` to `pointer`, escaped according to RFC 6901; long names are cut."""
    return pointer + "".join("/" + quote_briefly(str(part)).replace("~", "~0").replace("/", "~1") for part in parts)


def decode_descriptor(text: str | bytes, *, root: str) -> object:
    """Return the JSON value in `text`. Raises `DescriptorInvalid` with one problem at `root`."""
    problems = ProblemList()
    size_bytes = len(text) if isinstance(text, bytes) else len(text.encode("utf-8", "surrogatepass"))
    if size_bytes > MAX_DESCRIPTOR_BYTES:
        problems.add(root, f"This is {size_bytes} bytes long; at most {MAX_DESCRIPTOR_BYTES} are allowed.")
        problems.raise_if_any()
    try:
        decoded = text.decode("utf-8-sig") if isinstance(text, bytes) else text
        return json.loads(decoded, object_pairs_hook=_refuse_duplicates, parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        problems.add(root, "This is not JSON: the text is not UTF-8.")
    except json.JSONDecodeError as error:
        problems.add(root, f"This is not JSON: {error.msg.removesuffix(' at')} at line {error.lineno}, column {error.colno}.")
    except RecursionError:
        problems.add(root, f"This is nested too deeply; at most {MAX_DEPTH} levels are allowed.")
    except ValueError as error:
        # json raises it when a hook refuses a value, and for whole numbers of more than 4,300 digits.
        problems.add(root, str(error) if isinstance(error, _Refused) else "This holds a number with too many digits.")
    problems.raise_if_any()
    raise AssertionError("unreachable: every branch above returned or added a problem")


def require_object(value: object, *, root: str, noun: str) -> dict[str, object]:
    """Return `value` if it is a JSON object that can be stored. Raises `DescriptorInvalid` with every problem."""
    problems = ProblemList()
    check_json_value(value, root=root, problems=problems)
    if isinstance(value, dict):
        problems.raise_if_any()
        return value
    problems.add(root, f"A {noun} must be an object, not {describe_json_type(value)}.")
    raise DescriptorInvalid(tuple(problems.problems))


def check_json_value(value: object, *, root: str, problems: ProblemList) -> None:
    """Add problems for what JSON or PostgreSQL cannot represent: NaN and infinity, NUL, lone surrogates, values that are not JSON, too deep nesting."""
    pending: list[tuple[object, Place, int]] = [(value, None, 1)]
    while pending:
        item, place, depth = pending.pop()
        if depth > MAX_DEPTH:
            problems.add(pointer_of(root, place), f"This is nested too deeply; at most {MAX_DEPTH} levels are allowed.")
        elif isinstance(item, dict):
            for key, child in item.items():
                if message := _text_problem(key) if isinstance(key, str) else "Property names must be text.":
                    problems.add(pointer_of(root, place), message)
                else:
                    pending.append((child, (place, key), depth + 1))
        elif isinstance(item, list):
            pending.extend((child, (place, index), depth + 1) for index, child in enumerate(item))
        elif message := _scalar_problem(item):
            problems.add(pointer_of(root, place), message)


def pointer_of(root: str, place: Place, *more: str | int) -> str:
    """Return the pointer of a place below `root`, and of `more` below that."""
    parts: list[str | int] = []
    while place is not None:
        place, part = place
        parts.append(part)
    return join_pointer(root, *reversed(parts), *more)


def describe_json_type(value: object) -> str:
    """Describe the type of a JSON value in words that fit after "not"."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list) else "an object"


class _Refused(ValueError):
    """The JSON contains something that is not accepted here; the message is for the client."""


def _refuse_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _Refused(f"The property {json.dumps(shorten(key))} is given twice in one object.")
            seen.add(key)
    return result


def _refuse_constant(name: str) -> float:
    raise _Refused(f"This is not JSON: {name} is not a JSON value.")


def _scalar_problem(value: object) -> str | None:
    if isinstance(value, str):
        return _text_problem(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "This number is too large, or not a number."
    return None if value is None or isinstance(value, bool | int | float) else "This is not a JSON value."


def _text_problem(text: str) -> str | None:
    if "\x00" in text:
        return "Text must not contain the character NUL."
    if text.isascii():
        return None
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "Text must not contain half a surrogate pair."
    return None
