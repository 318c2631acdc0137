"""Texts of a known format: e-mail addresses, web addresses, UUIDs."""

from __future__ import annotations

from features.processing.inference.sample import Sample
from shared.descriptors.table_schema import Field

_URL = r"(?i)\A(?:https?|ftps?|sftp|wss?|s3|gs|file)://[^\s]+\z"
_URL_BEYOND_ASCII = r"(?i)\A(?:https?|ftp)://[!-~]*[^\x00-\x7f][^\s]*\z"
_SIGNS = {"email": r"\A[^@\s]+@[^@\s]+\z", "uri": _URL, "uuid": r"\A[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-"}


def find_text_format(sample: Sample) -> str | None:
    """Return `email`, `uri` or `uuid`, if that is the format of the column.

    Addresses with letters beyond ASCII are none of `uri`, and good all the same: a column that has some is text.
    """
    for name, sign in _SIGNS.items():
        if not _begins_well(sample, name) or not sample.is_most(sample.count_matching(sign)):
            continue
        if name == "uri" and sample.count_matching(_URL_BEYOND_ASCII):
            continue
        if sample.count_wrong(Field(name="", type="string", format=name)) is not None:
            return name
    return None


def _begins_well(sample: Sample, name: str) -> bool:
    """Whether a few of the most frequent shapes have what the format needs: a quick look that spares most columns of text three searches."""
    need = {"email": "@", "uri": "://", "uuid": "-"}[name]
    few = sample.shapes[:30]
    # Long addresses have no shape.
    return not few or any(need in shape for shape, _ in few)
