"""Check from a file's first bytes whether it can be what its extension says. Only the worker actually opens files."""

from __future__ import annotations

from shared.formats import find_by_contents, find_by_extension


def describe_mismatch(extension: str, head: bytes) -> str | None:
    """Explain why a file that begins with `head` cannot be what its extension says; None if it can.

    Files of one format family may carry each other's extensions (`FileFormat.family`).
    """
    claimed, found = find_by_extension(extension), find_by_contents(head, extension=extension)
    assert claimed is not None
    if found is not None:
        what = None if found.family == claimed.family else found.description
    else:
        foreign = claimed.describe_foreign(head)
        if foreign is not None or not claimed.signatures:
            return foreign
        what = f"no {claimed.family}"
    return None if what is None else f"The file is named .{extension} and its contents are {what}. {claimed.remedy}, or give it its real extension."
