"""Detection of the encoding and the dialect of CSV files."""

# ruff: noqa: RUF001 - texts in other alphabets
from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.processing.readers.base import FileUnreadable, ReadLimits, Source
from features.processing.readers.csv import detect_encoding as detect
from features.processing.readers.csv.detect_encoding import detect_encoding
from features.processing.readers.csv.table import open_csv

PEOPLE = {
    "cp1252": "prénom,ville\nRené,Besançon\nHélène,Orléans\n",
    "cp1250": "imię,miasto\nŁukasz,Łódź\nŻaneta,Kraków\nGrażyna,Świnoujście\n",
    "cp1251": "имя,город\nИван,Москва\nПётр,Санкт-Петербург\nАнна,Казань\n",
    "cp1253": "όνομα,πόλη\nΓιώργος,Αθήνα\nΜαρία,Θεσσαλονίκη\n",
    "koi8-r": "имя,город\nИван,Москва\nПётр,Санкт-Петербург\nАнна,Казань\n",
    "cp932": "名前,都市\n田中,東京\n鈴木,大阪\n",
    "gb18030": "姓名,城市\n王伟,北京\n李娜,上海\n",
    "cp949": "이름,도시\n김철수,서울\n이영희,부산\n",
}


def source_of(path: Path, data: bytes, encoding: str | None = None) -> tuple[Source, list[str]]:
    path.write_bytes(data)
    table = open_csv(path, dialect=None, encoding=encoding, limits=ReadLimits())
    table.close()
    return table.source, list(table.labels or ())


@pytest.mark.parametrize("encoding", PEOPLE)
@pytest.mark.parametrize("times", [1, 50])
def test_text_of_a_language_shows_its_encoding(tmp_path: Path, encoding: str, times: int) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes((PEOPLE[encoding] * times).encode(encoding))
    assert path.read_bytes().decode(detect_encoding(path).name) == PEOPLE[encoding] * times


@pytest.mark.parametrize("text", ["a,b\n1,é\n", "name;city\nMüller;Köln\n", "a\nprice: 5 €\n", "a\n“quoted” – dash\n"])
def test_a_few_accents_are_cp1252(tmp_path: Path, text: str) -> None:
    source, _ = source_of(tmp_path / "a.csv", text.encode("cp1252"))
    assert source.encoding == "cp1252"


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        ("a,é\n".encode(), "utf-8"),
        ("\ufeffa,é\n".encode(), "utf-8"),
        ("a,é\n".encode("utf-16"), "utf-16"),
        (b"\xfe\xff" + "a,é\n".encode("utf-16-be"), "utf-16"),
        ("a,é\n".encode("utf-32"), "utf-32"),
        ("a,é\nplain,text\n".encode("utf-16-le"), "utf-16-le"),
        ("a,é\nplain,text\n".encode("utf-16-be"), "utf-16-be"),
    ],
)
def test_unicode_with_and_without_a_mark_is_found(tmp_path: Path, data: bytes, encoding: str) -> None:
    source, labels = source_of(tmp_path / "a.csv", data)
    assert (source.encoding, labels) == (encoding, ["a", "é"])


def test_bad_bytes_far_behind_the_head_are_seen(tmp_path: Path) -> None:
    source, _ = source_of(tmp_path / "a.csv", b"abcdefg\n" * 500_000 + b"caf\xe9\n" * 5000)
    assert source.encoding == "cp1252"


def test_characters_across_the_blocks_of_one_long_line_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"x" + "é€😀".encode() * 700_000)
    assert detect_encoding(path).name == "utf-8"


@pytest.mark.parametrize("encoding", ["nonsense", "hex", "rot13", "zlib", "idna", "", "a\0b"])
def test_unknown_encoding_is_refused(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\n")
    with pytest.raises(FileUnreadable, match="encoding"):
        open_csv(path, dialect=None, encoding=encoding or " ", limits=ReadLimits())


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_each_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    text = "\n".join(delimiter.join(row) for row in [("id", "price", "note"), ("1", "2.5", "a"), ("2", "3.5", "b")])
    source, labels = source_of(tmp_path / "a.csv", text.encode())
    assert (source.delimiter, labels) == (delimiter, ["id", "price", "note"])


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("id;price\n1;2,50\n2;3,50\n", ";"),
        ('id;note\n1;"a, b, c"\n2;"d, e, f"\n', ";"),
        ("id\tname, first\n1\tDoe, Joe\n", "\t"),
        ("id,name,x\n1\n2,b,c\n3,d,e,f\n", ","),
        ("alone\n1\n2\n", ","),
        ("a|b,c\n1|2\n3|4\n", "|"),
        ("a,b;c,d\n", ","),
    ],
)
def test_delimiter_that_fits_header_and_rows_wins(tmp_path: Path, text: str, delimiter: str) -> None:
    source, _ = source_of(tmp_path / "a.csv", text.encode())
    assert source.delimiter == delimiter


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("a,b\n'x, y',1\n'z','w'\n", "'"),
        ('a,b\n"x, y",1\n', '"'),
        ("a,b\nit's,1\n'tis,2\n", '"'),
        ("a,b\n\"x\",'y'\n'z',1\n'z',1\n", '"'),
    ],
)
def test_quote_character_is_found(tmp_path: Path, text: str, quote: str) -> None:
    source, _ = source_of(tmp_path / "a.csv", text.encode())
    assert source.quote_char == quote


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(data=st.lists(st.sampled_from(["a", "é", "€", "🙂", b"\xc3", b"\x80", b"\xbf", b"\xf0\x9f"]), max_size=12), block_bytes=st.integers(1, 6))
def test_utf8_is_judged_alike_wherever_blocks_end(tmp_path_factory: pytest.TempPathFactory, data: list[str | bytes], block_bytes: int) -> None:
    content = b"".join(item.encode() if isinstance(item, str) else item for item in data)
    path = tmp_path_factory.mktemp("blocks") / "f.csv"
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detect, "_BLOCK_BYTES", block_bytes)
        found = detect.is_utf8_file(path)
    try:
        content.decode()
    except UnicodeDecodeError:
        assert not found
    else:
        assert found
