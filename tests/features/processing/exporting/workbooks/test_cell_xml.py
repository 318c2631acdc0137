"""Cells as XML, read again by our reader and compared with those of XlsxWriter."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.processing.exporting.workbooks.cell_xml import MAX_UNITS, cut_text, escape_text, needs_cut, number_cell, text_cell
from features.processing.readers.excel.cell_text import unescape_text

TEXTS = st.text(st.characters(codec="utf-8") | st.sampled_from(list('_x0041F<>&"\r\n\t \x00\x01\ufffe\uffff')))


@given(TEXTS)
def test_any_text_is_the_same_when_read_again(text: str) -> None:
    element = ET.fromstring(f"<c{text_cell(text, '')}")
    assert element.get("t") == "inlineStr"
    found = element.find("is/t")
    assert found is not None
    assert unescape_text(found.text or "") == text


@pytest.mark.parametrize("text", ["_x0041_", "_x0041_x0042_", "_x0041\x01", "__x0041_", "_x005F_", "_x", "_x004_"])
def test_text_that_looks_like_an_escape_stays_text(text: str) -> None:
    assert unescape_text(escape_text(text)) == text


@pytest.mark.parametrize("text", [" a", "a ", "\na", "a\n", "\u00a0a"])
def test_blanks_at_the_ends_are_kept(text: str) -> None:
    assert 'xml:space="preserve"' in text_cell(text)


def test_half_of_a_pair_does_not_break_the_file() -> None:
    assert "_xD83D_" in text_cell("a\ud83d")


@pytest.mark.parametrize("character", ["a", "€", "😀"])
def test_long_text_is_cut_to_the_limit_in_units_of_utf16(character: str) -> None:
    units = len(character.encode("utf-16-le")) // 2
    fits = character * (MAX_UNITS // units)
    assert not needs_cut(fits)
    assert needs_cut(fits + character)
    cut = cut_text(fits + character)
    assert cut.endswith("…")
    assert len(cut.encode("utf-16-le")) // 2 <= MAX_UNITS
    assert not needs_cut(cut)


def test_number_has_its_style() -> None:
    assert number_cell(5, ' s="1"') == ' s="1"><v>5</v></c>'
