"""The process that judges texts by regular expressions and JSON Schemas of clients, with limits on CPU time and memory.

Run as `python -m features.processing.checking.judge_process` by `limited_judge.py`. Each message on standard input is its size, then JSON: the number of
a rule, the rule itself (`[kind, argument]`; null if it was sent before), a limit of CPU time in seconds, and texts. The answer is the CPU time that
was used and one byte, a `Verdict`, for each text. If the limit is reached, the kernel ends the process by SIGPROF. It ends with its parent: a closed
pipe ends it between messages, the limit within one.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import struct
import time
import warnings
from collections.abc import Callable
from enum import IntEnum
from typing import Any

SIZE = struct.Struct("<Q")
USED = struct.Struct("<d")
MEMORY_BYTES = 2**29
"""Address space of the process; 100 MiB of it are Python itself."""


class Verdict(IntEnum):
    """The verdict on one text."""

    BAD = 0
    GOOD = 1
    NOT_JUDGED = 2
    """It cannot be judged: that takes more memory or deeper nesting than there is, or its numbers are too large."""


def main() -> None:
    """Answer messages until standard input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGPROF])
    warnings.simplefilter("ignore")
    rules: dict[int, Callable[[str], bool]] = {}
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
            except Exception:  # noqa: BLE001  # want of memory or stack, and numbers that the library cannot divide
                verdicts.append(Verdict.NOT_JUDGED)
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
    import referencing  # noqa: PLC0415
    import referencing.exceptions  # noqa: PLC0415

    from shared.descriptors.table_schema.json_schema import find_draft  # noqa: PLC0415

    draft = find_draft(argument)
    assert draft is not None, "the schema was accepted"
    registry: referencing.Registry[Any] = referencing.Registry()
    validator = draft(argument, registry=registry)

    def is_valid(text: str) -> bool:
        try:
            return bool(validator.is_valid(json.loads(text)))
        except referencing.exceptions.Unresolvable:
            return False

    return is_valid


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
    main()
