"""The process that judges texts by regular expressions and JSON Schemas of clients, with limits on CPU time and memory.

Run as `python -m features.processing.checking.cell_judge` by `limited_judge.py`. Each message on standard input is its size, then JSON: the number of
a rule, the rule itself (`[kind, argument]`; null if it was sent before), a limit of CPU time in seconds, and texts. The answer is the CPU time that
was used and one byte, a `Verdict`, for each text. If the limit is reached, the kernel ends the process by SIGPROF. If a whole message is too much for its
memory or stack, it ends with `TOO_LARGE_STATUS`. It ends with its parent, and ignores signals that are sent to a whole service: a closed pipe ends it
between messages, the limit within one. What it says on standard error quotes no text that it judges.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import struct
import sys
import time
import warnings
from collections.abc import Callable
from decimal import Decimal
from enum import IntEnum
from typing import Any, Final

from shared.child_process import prepare_child
from shared.observing.frames import describe_frames

SIZE = struct.Struct("<Q")
USED = struct.Struct("<d")
MEMORY_BYTES = 2**29
"""Address space of the process; 100 MiB of it are Python itself."""
TOO_LARGE_STATUS: Final = 77
_WANT = (MemoryError, RecursionError, ArithmeticError)
"""Errors that a text may cause: want of memory or stack, and numbers that the library cannot divide."""


class Verdict(IntEnum):
    """The verdict on one text."""

    BAD = 0
    GOOD = 1
    NOT_JUDGED = 2
    """It cannot be judged: that takes more memory or deeper nesting than there is, or its numbers are too large."""


def main() -> None:
    """Answer messages until standard input ends."""
    prepare_child()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    warnings.simplefilter("ignore")
    rules: dict[int, Callable[[str], bool]] = {}
    has_complained = False
    while True:
        number, definition, limit_s, texts = json.loads(_read(SIZE.unpack(_read(SIZE.size))[0]))
        start_s = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, limit_s)
        if definition is not None:
            rules[number] = _make_rule(*definition)
        is_good = rules[number]
        verdicts = bytearray()
        for text in texts:
            try:
                verdicts.append(Verdict.GOOD if is_good(text) else Verdict.BAD)
            except Exception as error:  # noqa: BLE001  # one text must not keep the others from being judged
                verdicts.append(Verdict.NOT_JUDGED)
                if not isinstance(error, _WANT) and not has_complained:
                    has_complained = True
                    sys.stderr.write(f"{describe_frames(error)}\n")
        signal.setitimer(signal.ITIMER_PROF, 0)
        _write(USED.pack(time.process_time() - start_s) + verdicts)


def _make_rule(kind: str, argument: Any) -> Callable[[str], bool]:  # noqa: ANN401 - JSON
    if kind == "pattern":
        import re  # noqa: PLC0415  # only what a rule needs is imported

        match = re.compile(argument).fullmatch
        return lambda text: match(text) is not None
    if kind == "re2-pattern":
        import re2  # noqa: PLC0415

        search = re2.compile(argument).search
        return lambda text: search(text) is not None
    import jsonschema.validators  # noqa: PLC0415
    import referencing  # noqa: PLC0415
    import referencing.exceptions  # noqa: PLC0415

    from shared.descriptors.table_schema.json_schema import find_draft  # noqa: PLC0415

    known_draft = find_draft(argument)
    assert known_draft is not None, "the schema was accepted"
    integer_check = known_draft.TYPE_CHECKER.redefine("integer", _is_integer(known_draft))
    draft = jsonschema.validators.extend(known_draft, type_checker=integer_check)  # type: ignore[no-untyped-call]  # the library has no types here
    registry: referencing.Registry[Any] = referencing.Registry()
    validator = draft(argument, registry=registry)

    def is_valid(text: str) -> bool:
        try:
            return bool(validator.is_valid(json.loads(text, parse_int=_read_integer)))
        except referencing.exceptions.Unresolvable:
            return False

    return is_valid


def _read_integer(digits: str) -> int | Decimal:
    """Return a whole number; one of more digits than Python makes an `int` of is a `Decimal`, as when the cell was read for its type."""
    try:
        return int(digits)
    except ValueError:
        return Decimal(digits)


def _is_integer(draft: Any) -> Callable[[Any, Any], bool]:  # noqa: ANN401 - the library's classes have no common type
    def is_integer(_checker: object, value: object) -> bool:
        return isinstance(value, Decimal) or bool(draft.TYPE_CHECKER.is_type(value, "integer"))

    return is_integer


def _read(size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = os.read(0, min(2**20, size - len(data)))
        if not part:
            os._exit(0)
        data += part
    return bytes(data)


def _write(data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(1, left) :]


if __name__ == "__main__":
    try:
        main()
    except (MemoryError, RecursionError):
        os._exit(TOO_LARGE_STATUS)
    except Exception as error:  # noqa: BLE001  # its message may quote a text
        sys.stderr.write(f"{describe_frames(error)}\n")
        sys.exit(1)
