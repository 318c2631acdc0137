"""Say what a file is that is called .csv and is no table."""

from __future__ import annotations

from features.processing.readers.foreign_files import WEB_PAGE, name_foreign


def describe_foreign(head: bytes) -> str | None:
    """Return a sentence that says what a file with these first bytes is; None if it may be a table."""
    what = name_foreign(head)
    if what is None:
        return None
    if what == WEB_PAGE:
        return f"This is {what} and not a CSV file; perhaps the session had expired when it was downloaded."
    return f"This is {what} and not a CSV file; export the table as CSV and upload that."
