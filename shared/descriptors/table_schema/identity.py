"""When two logical values are the same: canonical forms of values, for `enum`, `categories`, `unique` and keys."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Iterator
from decimal import Decimal
from typing import Any

from shared.descriptors.table_schema.temporal import Duration

_HASH_BYTES = 32
_LENGTH_BYTES = 8
_DIGIT_CODES = bytes((code + ord("0")) % 256 for code in range(256))


def identity_of(value: object) -> Hashable:
    """Return an object that is equal for two values if and only if the values are equal (NaN equals itself); for `enum`, `categories`, `unique` and keys.

    That of a JSON array or object is a canonical form of at most a few dozen bytes: the order of properties does not matter, 1 and 1.0 are equal, 1 and
    true are not.
    """
    if isinstance(value, Decimal) and value.is_nan():
        return "NaN"
    if isinstance(value, dict | list):
        return _json_identity(value)
    if isinstance(value, tuple):
        return tuple(identity_of(item) for item in value)
    if isinstance(value, Duration):
        return (value.months, value.seconds)
    assert isinstance(value, Hashable)
    return value


def join_parts(parts: Iterable[bytes]) -> bytes:
    """Join parts, each with its length before it, so that no two sequences of parts give the same bytes."""
    return b"".join(len(part).to_bytes(_LENGTH_BYTES, "little") + part for part in parts)


def number_identity(value: int | Decimal) -> bytes:
    """Return bytes that are the same for equal finite numbers only; time and memory are in proportion to the digits, whatever the exponent."""
    if isinstance(value, int):
        whole = b"%d" % value
        shortened = whole.rstrip(b"0")
        return shortened + b"e%d" % (len(whole) - len(shortened)) if value else b"0"
    sign, digits, exponent = value.as_tuple()
    text = bytes(digits).translate(_DIGIT_CODES).lstrip(b"0")
    stripped = text.rstrip(b"0")
    if not stripped or not isinstance(exponent, int):
        return b"0" if isinstance(exponent, int) else f"{sign}{exponent}".encode()
    return b"-" * sign + stripped + f"e{exponent + len(text) - len(stripped)}".encode()


def _json_identity(value: object) -> bytes:
    """Return the canonical form of a JSON value; iterative, with a hash in place of every part that is long."""
    # Each open array or object: what is left of it, its keys so far (of an object), and the forms of its items so far.
    waiting: list[tuple[Iterator[Any], list[bytes] | None, list[bytes]]] = [(iter([value]), None, [])]
    while True:
        items, keys, forms = waiting[-1]
        for item in items:
            child = item
            if keys is not None:
                keys.append(item[0].encode("utf-8", "surrogatepass"))
                child = item[1]
            if isinstance(child, dict | list) and not child:
                forms.append(b"{" if isinstance(child, dict) else b"[")
            elif isinstance(child, dict):
                waiting.append((iter(child.items()), [], []))
                break
            elif isinstance(child, list):
                waiting.append((iter(child), None, []))
                break
            else:
                forms.append(_scalar_form(child))
        else:
            waiting.pop()
            if not waiting:
                return forms[0]
            parts = forms if keys is None else [part for pair in sorted(zip(keys, forms, strict=True)) for part in pair]
            form = (b"[" if keys is None else b"{") + join_parts(parts)
            waiting[-1][2].append(form if len(form) <= _HASH_BYTES else b"#" + hashlib.blake2b(form, digest_size=_HASH_BYTES).digest())


def _scalar_form(value: object) -> bytes:
    # Booleans come first: 1 and true are equal in Python, but not in JSON.
    if value is None or isinstance(value, bool):
        return str(value).encode()
    if isinstance(value, str):
        text = value.encode("utf-8", "surrogatepass")
        return b'"' + text if len(text) < _HASH_BYTES else b"'" + hashlib.blake2b(text, digest_size=_HASH_BYTES).digest()
    assert isinstance(value, int | Decimal)
    return b"0" + number_identity(value)
