"""Detection of encodings: marks, UTF-16, UTF-8 with damage, legacy encodings by their letters."""

# ruff: noqa: RUF001 - texts in other alphabets
from __future__ import annotations

import random
from pathlib import Path

import pytest

from features.processing.readers.base import ReadLimits
from features.processing.readers.csv.detect_encoding import FoundEncoding, detect_encoding
from features.processing.readers.csv.legacy_encoding import detect_legacy_encoding
from features.processing.readers.csv.table import CsvTable, open_csv
from features.processing.readers.csv.utf8_count import Utf8Count, count_utf8
from tests.features.processing.readers.csv.encoded_tables import TABLES

CASES = [(language, encoding) for language, (_, encodings) in TABLES.items() for encoding in encodings]


def detect(folder: Path, data: bytes) -> FoundEncoding:
    path = folder / "a.csv"
    path.write_bytes(data)
    return detect_encoding(path)


def read(folder: Path, data: bytes) -> tuple[CsvTable, list[list[str | None]], list[str]]:
    path = folder / "a.csv"
    path.write_bytes(data)
    table = open_csv(path, dialect=None, encoding=None, limits=ReadLimits())
    try:
        chunks = list(table.chunks())
    finally:
        table.close()
    columns = [[cell for chunk in chunks for cell in chunk.columns[index].to_pylist()] for index in range(len(table.labels or ()))]
    return table, columns, [finding.error_type for chunk in chunks for finding in chunk.findings]


@pytest.mark.parametrize(("language", "encoding"), CASES)
def test_a_short_table_shows_its_encoding(tmp_path: Path, language: str, encoding: str) -> None:
    data = TABLES[language][0].encode(encoding)
    found = detect(tmp_path, data)
    assert (data.decode(found.name), found.is_guess) == (data.decode(encoding), True)


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["cp1252", "mac_roman", "cp850"])
def test_line_ends_do_not_tell_the_encoding(tmp_path: Path, encoding: str, ending: str) -> None:
    assert detect(tmp_path, TABLES["french"][0].replace("\n", ending).encode(encoding)).name == encoding


@pytest.mark.parametrize(
    "text",
    [
        *("id,temp\n1,20 °C\n2,25 °C\n", "id,price\n1,5 €\n2,£7\n", "id,size\n1,5 m²\n2,7 µm\n", "id,part\n1,½\n2,¾\n"),
        *("id,note\n1,it’s “good” – very…\n", "id,drink\n1,Café\n", "id,name\n1,BJÖRN\n2,JOSÉ\n", "id,law\n1,§ 5\n2,© 2024\n", "id,x\n1,é\n"),
        "id,city\n1,São Paulo\n2,Zürich\n3,Málaga\n4,Besançon\n5,Århus\n",
    ],
)
def test_signs_and_few_accents_are_cp1252(tmp_path: Path, text: str) -> None:
    assert detect(tmp_path, text.encode("cp1252")).name == "cp1252"


@pytest.mark.parametrize("language", ["german", "french", "spanish", "portuguese", "swedish", "danish", "italian", "finnish"])
def test_western_text_is_never_called_by_a_rarer_name_that_reads_the_same(tmp_path: Path, language: str) -> None:
    assert detect(tmp_path, TABLES[language][0].encode("cp1252")).name == "cp1252"


@pytest.mark.parametrize(
    ("subset", "superset", "language"),
    [
        *(("iso8859_1", "cp1252", "french"), ("gb2312", "gb18030", "chinese_simplified"), ("euc_kr", "cp949", "korean")),
        *(("shift_jis", "cp932", "japanese"), ("tis_620", "cp874", "thai"), ("big5", "cp950", "chinese_traditional")),
    ],
)
def test_the_superset_of_an_encoding_is_named(tmp_path: Path, subset: str, superset: str, language: str) -> None:
    assert detect(tmp_path, TABLES[language][0].encode(subset)).name == superset


def test_words_of_two_scripts_are_no_words() -> None:
    # In cp1251 the first word would be Цsterreich.
    assert detect_legacy_encoding("Österreich\nÖlmühle\nÜbersee\n".encode("cp1252")) == "cp1252"


def test_letters_far_from_the_beginning_are_seen(tmp_path: Path) -> None:
    data = b"id,city\n" + b"1,Bonn\n" * 400_000 + "2,Łódź\n3,Gdańsk\n4,Poznań\n".encode("cp1250") + b"5,Ulm\n" * 400_000
    assert detect(tmp_path, data).name == "cp1250"


def test_repeated_lines_count_once(tmp_path: Path) -> None:
    data = "id,city\n" + "1,Łódź\n" * 100_000 + "2,Gdańsk\n3,Poznań\n4,Wrocław\n5,Kraków\n" * 100
    assert detect(tmp_path, data.encode("iso8859_2")).name == "iso8859_2"


def test_one_long_line_is_sampled(tmp_path: Path) -> None:
    assert detect(tmp_path, ("Москва;Казань;Пермь;" * 100_000).encode("koi8_r")).name == "koi8_r"


def test_bytes_of_no_encoding_are_read_as_one_all_the_same(tmp_path: Path) -> None:
    noise = random.Random(5).randbytes(20_000).replace(b"\0", b"")
    assert detect(tmp_path, noise).is_guess


# UTF-8 with damage


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        ("é,ö\nü,x\n".encode() + b"\xe9\n", "utf-8"),
        ("é\n".encode() + "Müller,Köln\n".encode("cp1252"), "cp1252"),
        ("é\n".encode() + b"\xe9\n", "cp1252"),
        ("é,ö\n".encode() * 3 + "Müller,Köln\n".encode("cp1252") * 2, "utf-8"),
        ("é,ö\n".encode() + "Müller,Köln\nÖsterreich,x\n".encode("cp1252"), "cp1252"),
    ],
)
def test_utf8_is_what_has_more_characters_than_other_bytes(tmp_path: Path, data: bytes, encoding: str) -> None:
    assert detect(tmp_path, b"a,b\n" + data).name == encoding


def test_a_cut_last_character_leaves_the_file_utf8(tmp_path: Path) -> None:
    table, _, errors = read(tmp_path, "id,city\n1,München\n2,Köln\n3,Lindü".encode()[:-1])
    assert (table.source.encoding, errors, table.notes) == ("utf-8", ["encoding-error"], [])


def test_a_cut_wide_character_counts_as_one_stray(tmp_path: Path) -> None:
    assert detect(tmp_path, "é,ö,€".encode()[:-1]).name == "utf-8"


def test_accidental_pairs_do_not_make_latin_text_utf8(tmp_path: Path) -> None:
    # In cp1252 these two letters beside each other are one valid character of UTF-8.
    data = "id,note\n1,Ã©\n2,größe\n3,Müller\n4,Köln\n".encode("cp1252")
    assert detect(tmp_path, data).name == "cp1252"


def test_a_nul_byte_leaves_the_file_utf8(tmp_path: Path) -> None:
    assert detect(tmp_path, "id,city\n1,M\0ünchen\n2,Köln\n".encode()) == FoundEncoding("utf-8", is_valid_utf8=True)


def test_a_mark_in_the_middle_leaves_the_file_utf8(tmp_path: Path) -> None:
    assert detect(tmp_path, "a,é\n\ufeff1,2\n".encode()) == FoundEncoding("utf-8", is_valid_utf8=True)


@pytest.mark.parametrize("seed", range(20))
def test_counting_agrees_with_decoding(seed: int) -> None:
    random_ = random.Random(seed)
    pieces = [bytes([random_.randrange(256)]) for _ in range(200)] + [random_.choice("éЖ€字😀\ud7ff\ue000\U0010ffff").encode() for _ in range(200)]
    random_.shuffle(pieces)
    block = b"".join(pieces) + b"."
    text = block.decode("utf-8", "surrogateescape")
    strays = sum("\udc80" <= character <= "\udcff" for character in text)
    assert count_utf8(block) == Utf8Count(sum(not character.isascii() for character in text) - strays, strays)


# UTF-16 and other wide or switching encodings

WIDE = ["russian", "chinese_simplified", "japanese", "korean", "arabic", "greek", "thai", "hebrew", "polish", "latvian", "german"]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("language", WIDE)
def test_wide_text_without_a_mark_is_found_in_any_script(tmp_path: Path, language: str, ending: str, encoding: str) -> None:
    found = detect(tmp_path, TABLES[language][0].replace("\n", ending).encode(encoding))
    assert found == FoundEncoding(encoding)


@pytest.mark.parametrize("language", ["russian", "german", "chinese_simplified"])
def test_utf16_of_odd_length_is_read_to_its_end(tmp_path: Path, language: str) -> None:
    table, columns, errors = read(tmp_path, TABLES[language][0].encode("utf-16-le") + b"a")
    assert (table.source.encoding, columns[0][:4], errors) == ("utf-16-le", ["1", "2", "3", "4"], ["encoding-error", "missing-cell"])


def test_utf16_with_a_mark_and_half_a_pair_is_read_with_one_error(tmp_path: Path) -> None:
    data = "\ufeffid,city\n1,Köln\n".encode("utf-16-le") + b"2\0,\0\x3d\xd8\n\0" + "3,Łódź\n".encode("utf-16-le")
    table, columns, errors = read(tmp_path, data)
    assert (table.source.encoding, columns[1], errors) == ("utf-16", ["Köln", None, "Łódź"], ["encoding-error"])


@pytest.mark.parametrize(
    "data",
    [
        *(
            b"id,na\0me\n1,x\n",
            b"abc\0\0\0\0,def\0\0\0\n" * 50,
            b"a,b\n1,\0\n",
            b"a,b\0\n1,2\0\n" * 20,
            b"a,b\n\0" + b"1,2\n\0" * 20,
            b"a,b\n1,2\n" + b"\0" * 4096,
        ),
        *("имя,город\0\nИван,Москва\0\n".encode("cp1251") * 3, "姓名,城市\0\n王伟,北京\0\n".encode("gb18030") * 9),
    ],
)
def test_stray_nul_bytes_do_not_make_a_file_utf16(tmp_path: Path, data: bytes) -> None:
    assert not detect(tmp_path, data).name.startswith(("utf-16", "utf-32"))


@pytest.mark.parametrize(("encoding", "language"), [("iso2022_jp", "japanese"), ("iso2022_kr", "korean")])
def test_an_encoding_that_switches_is_found(tmp_path: Path, encoding: str, language: str) -> None:
    table, columns, errors = read(tmp_path, TABLES[language][0].encode(encoding))
    assert (table.source.encoding, columns[1][0], errors) == (encoding, TABLES[language][0].splitlines()[1][2:], [])


# The note


def test_a_guessed_encoding_is_noted_with_the_way_out(tmp_path: Path) -> None:
    table, _, _ = read(tmp_path, TABLES["polish"][0].encode("cp1250"))
    (note,) = table.notes
    assert note.code == "encoding-guessed"
    assert "read as cp1250" in note.message
    assert "`encoding`" in note.message


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_unicode_needs_no_note(tmp_path: Path, encoding: str) -> None:
    assert read(tmp_path, TABLES["polish"][0].encode(encoding))[0].notes == []


def test_an_encoding_that_was_sent_is_not_noted(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(TABLES["polish"][0].encode("cp1250"))
    table = open_csv(path, dialect=None, encoding="cp1250", limits=ReadLimits())
    table.close()
    assert table.notes == []
