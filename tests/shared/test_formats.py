"""Formats are found by their bytes first, then by their extension."""

from __future__ import annotations

import pytest

from shared import formats
from shared.formats import FileFormat, describe_conversion, describe_foreign, find_by_contents, find_format, register_format

ZIP = b"PK\x03\x04"


def declare(extension: str, *signatures: bytes) -> FileFormat:
    made = FileFormat(
        extensions=(extension,), media_types=(), description=f"an .{extension} file", family=extension, remedy="", signatures=signatures, opener="os:open"
    )
    register_format(made)
    return made


@pytest.fixture(autouse=True)
def own_formats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "_formats", {})


def test_of_formats_with_the_same_signature_the_one_with_the_extension_is_found() -> None:
    ods, xlsx = declare("ods", ZIP), declare("xlsx", ZIP)
    text = declare("csv")
    assert (find_by_contents(ZIP, extension="xlsx"), find_by_contents(ZIP, extension="ods"), find_by_contents(ZIP)) == (xlsx, ods, ods)
    assert (find_format("a.xlsx", ZIP), find_format("a.ODS", ZIP), find_format("a.csv", ZIP), find_format("a", ZIP)) == (xlsx, ods, ods, ods)
    assert (find_format("a.csv", b"a,b"), find_format("a.xlsx", b"a,b"), find_format("a", b"a,b")) == (text, xlsx, text)


def judge(head: bytes) -> str | None:
    """Know one kind of foreign file."""
    return "This is a picture." if head.startswith(b"picture") else None


def test_file_with_the_extension_of_another_kind_is_said_to_be_foreign() -> None:
    described = f"{__name__}:judge"
    for extension, signatures in (("xlsx", (ZIP,)), ("csv", ())):
        register_format(
            FileFormat(
                extensions=(extension,), media_types=(), description="", family="", remedy="", signatures=signatures, opener="os:open", foreign_judge=described
            )
        )
    assert describe_foreign("a.xlsx", b"picture") == "This is a picture."
    assert [describe_foreign(*file) for file in (("a.xlsx", ZIP), ("a.xlsx", b"a,b"), ("a.csv", b"picture"), ("a", b"picture"))] == [None] * 4


def test_way_from_a_file_that_is_not_read_to_one_that_is_is_told() -> None:
    register_format(
        FileFormat(
            extensions=("xlsx",),
            media_types=(),
            description="",
            family="",
            remedy="",
            opener="os:open",
            other_extensions=("xlsm", "ods"),
            conversion="Save it as .xlsx.",
        )
    )
    assert [describe_conversion(name) for name in ("a.xlsm", "b.x.ODS")] == ["Save it as .xlsx."] * 2
    assert [describe_conversion(name) for name in ("a.xlsx", "xlsm", "a.xlsm.zip", "")] == [None] * 4


def test_two_formats_with_the_same_extension_are_refused() -> None:
    declare("ods", ZIP)
    declare("ods", ZIP)
    with pytest.raises(ValueError, match=r"Two formats have the extension \.ods"):
        declare("ods")
