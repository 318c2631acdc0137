"""Files called .csv that are no tables, and tables that look like something else."""

from __future__ import annotations

import random

import pytest

from features.processing.readers.csv.foreign_text import describe_foreign

HEAD_BYTES = 512


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (b"<!DOCTYPE html>\n<html>", "a web page (HTML)"),
        (b"\xef\xbb\xbf  <html lang='de'>\n<head>", "a web page (HTML)"),
        (b"<!-- saved -->\n<HTML><HEAD>", "a web page (HTML)"),
        (b'<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "x">', "a web page (HTML)"),
        ("<html><body>".encode("utf-16"), "a web page (HTML)"),
        (b'<?xml version="1.0"?>\n<rows/>', "an XML document"),
        (b"<items>\n  <item id='1'>x</item>\n</items>", "an XML document"),
        (b"<feed xmlns='http://x.example'><a>", "an XML document"),
        (b'[{"id": 1, "qty": 5},\n {"id": 2, "qty": 6}]\n', "JSON"),
        (b'{"data": [' + b"1, " * 300, "JSON"),
        (b'{"error": "unauthorized"}', "JSON"),
        (b'{"a": 1}\n{"a": 2}\n', "JSON"),
        (b'{\n  "text": "' + b"x" * 600, "JSON"),
        (b"[[1, 2], [3, 4]]", "JSON"),
        (b"#!/bin/sh\necho", "a script"),
        (b"import os\nimport sys\n", "the source code of a program"),
        (b"// main\n#include <stdio.h>\n", "the source code of a program"),
        (b"<?php echo 1;", "a program (PHP)"),
        (b"-- MySQL dump 10.13\n", "a SQL script"),
        (b"-- orders\nCREATE TABLE IF NOT EXISTS `orders` (id int);\n", "a SQL script"),
        (b"INSERT INTO orders VALUES (1);\n", "a SQL script"),
        (b"{\\rtf1\\ansi", "a document (RTF)"),
        (b"%PDF-1.4", "a PDF document"),
        (b"MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00\xb8\x00\x01\x02\x03\x04" * 8, "a program or another binary file"),
        (b"BEGIN:VCARD\nVERSION:3.0\n", "a list of contacts (vCard)"),
    ],
)
def test_what_is_no_table_is_named(head: bytes, says: str) -> None:
    sentence = describe_foreign(head[:HEAD_BYTES])
    assert sentence is not None
    assert sentence.startswith(f"This is {says} and not a CSV file")


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"a,b\n1,2\n",
        b"<b>,<i>\n1,2\n",
        b"<b>\nx\ny\n",
        b"<a>\n<b>\n<c>\n",
        b"<html>,<body>\n1,2\n",
        b"<html tag>,count\n",
        b"<name>;<qty>\nA;1\n",
        b"{id},{name}\n1,2\n",
        b"[id],[name]\n1,2\n",
        b"[1],[2]\n3,4\n",
        b"[a\n",
        b'json\n{"a": 1}\n{"a": 2}\n',
        b'"{""a"":1}",2\n',
        b'{"a":1},5\n{"a":2},6\n',
        b'{"a":1};5\n',
        b'["a","b"]\n1\n',
        b"#id,name\n1,2\n",
        b"# comment\nid,name\n",
        b"-- title\nid,qty\n",
        b"import,export\n1,2\n",
        b"import os\n1\n",
        b"from,to\n1,2\n",
        b"package,version\nx,1\n",
        b"create,table\n1,2\n",
        b"insert into,x\n1,2\n",
        b"a,b\n\x00,2\n",
        b"\x00\x01",
        b"id\x01name\x01qty\n1\x01Ann\x015\n",
        b"id\n" + bytes(range(32)) * 10,
        "a;é\n1;2\n".encode("utf-16"),
        "名,市\n日本,語\n".encode("utf-16-le"),
        "имя;город\n".encode("cp1251"),
    ],
)
def test_tables_are_never_refused(head: bytes) -> None:
    assert describe_foreign(head[:HEAD_BYTES]) is None


@pytest.mark.timeout(20)
@pytest.mark.parametrize("alphabet", ["<!-> a\n", '{}[]",:\n ', "-/*; \n", " \n#/", "[", "<a b>\n", "<!--", "/*", "--\n", "create table "])
def test_no_beginning_takes_long(alphabet: str) -> None:
    """A pattern that is not linear takes minutes for some of these."""
    chance = random.Random(alphabet)
    for _ in range(50):
        describe_foreign("".join(chance.choices(alphabet, k=HEAD_BYTES)).encode())
    describe_foreign((alphabet * HEAD_BYTES)[:HEAD_BYTES].encode())
