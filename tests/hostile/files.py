"""Files that are slow or costly to read, each about as large as it is asked for, and clean ones of the same formats to measure them against.

`python -m tests.hostile.files [BYTES]` reads each of them in a process of its own, and prints its time per byte as a multiple of that of a clean file.
"""

from __future__ import annotations

import base64
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.probe import peak_memory_mib
from features.processing.engine import inspect_file
from features.processing.readers.base import FileUnreadable, ReadLimits
from shared.descriptors.table_dialect import parse_table_dialect
from shared.descriptors.table_schema import parse_table_schema
from tests.features.processing.readers.excel.workbooks import MAIN, WORKBOOK, sheet_xml, strings_xml, styles_xml, write_package
from tests.paths import ROOT

Make = Callable[[Path, int], object]
"""Writes a file of about so many bytes; for a workbook these are the bytes of its XML."""
MEMORY_BYTES = 2 * 2**30
"""Address space of a process that reads a file; most of it is never used."""


@dataclass(frozen=True)
class Kind:
    """One kind of file, and how it is read."""

    make: Make
    suffix: str = ".csv"
    field: Mapping[str, Any] | None = None
    """The only field of the schema; None: the schema is inferred."""
    dialect: Mapping[str, Any] | None = None
    encoding: str | None = None


def _repeat(piece: bytes, *, head: bytes = b"a,b\n", tail: bytes = b"") -> Make:
    return lambda path, size: path.write_bytes(head + piece * max(1, (size - len(head) - len(tail)) // len(piece)) + tail)


def _number(template: str, *, head: str = "a\n", encoding: str = "utf-8") -> Make:
    """Repeat a line with a different number in each."""

    def make(path: Path, size: int) -> None:
        count = max(1, size // len(template.format(10_000)))
        path.write_bytes((head + "".join(template.format(number) for number in range(count))).encode(encoding))

    return make


def _cells(template: str, **field: Any) -> Kind:
    return Kind(_number(template + "\n"), field={"name": "a", **field})


def _one_cell(text: Callable[[int], str], **field: Any) -> Kind:
    return Kind(lambda path, size: path.write_text("a\n" + text(size) + "\n"), field={"name": "a", **field})


def _sheet(row: Callable[[int], str], parts: Mapping[str, str] | None = None, *, after: str = "") -> Kind:
    def make(path: Path, size: int) -> None:
        rows: list[str] = []
        length = 0
        while length < size:
            rows.append(row(len(rows) + 2))
            length += len(rows[-1])
        write_package(path, parts, sheet=sheet_xml("".join(rows), after=after))

    return Kind(make, ".xlsx")


def _strings(item: Callable[[int], str]) -> Kind:
    def make(path: Path, size: int) -> None:
        items: list[str] = []
        length = 0
        while length < size:
            items.append(item(len(items)))
            length += len(items[-1])
        write_package(path, {"xl/sharedStrings.xml": strings_xml(*items)}, sheet=sheet_xml('<row r="2"><c r="A2" t="s"><v>0</v></c></row>'))

    return Kind(make, ".xlsx")


def _wide(row: bytes, width: int = 4_000) -> Kind:
    head = b",".join(b"c%d" % number for number in range(width)) + b"\n"
    return Kind(_repeat(row, head=head))


CLEAN: dict[str, Kind] = {
    ".csv": Kind(_number("{0},name {0},2024-01-31,{0}.5\n", head="id,name,day,amount\n")),
    ".xlsx": _sheet(lambda number: f'<row r="{number}"><c r="A{number}"><v>{number}</v></c><c r="B{number}"><v>1.5</v></c></row>'),
}
"""By suffix."""

KINDS: dict[str, Kind] = {
    "quotes that are never closed": Kind(_repeat(b'"x\n')),
    "quotes that are never closed, after a delimiter": Kind(_repeat(b'1,"x\n')),
    "doubled quotes without end": Kind(_repeat(b'""', head=b'a,b\n1,"')),
    "doubled quotes in lines": Kind(_repeat(b'""\n', head=b'a,b\n1,"x\n')),
    "quotes after quotes": Kind(_repeat(b'"a"b,"c"d\n')),
    "stray quotes": Kind(_repeat(b'a"b,c"\n')),
    "line breaks in quoted cells": Kind(_repeat(b'"a\nb",1\n')),
    "one row of quoted line breaks": Kind(_repeat(b'"\n",', tail=b"x\n")),
    "rows of quoted line breaks": Kind(_repeat(b'"\n",' * 10_000 + b"x\n")),
    "a quote after each delimiter": Kind(_repeat(b',"\n,"",\n')),
    "quotes in turn": Kind(_repeat(b'"\n""\n"""\n')),
    "single quotes": Kind(_repeat(b"'a\n','b\n"), dialect={"quoteChar": "'"}),
    "escapes": Kind(_repeat(b'\\"a\\,\\\n,b\n'), dialect={"escapeChar": "\\"}),
    "only escapes": Kind(_repeat(b"\\"), dialect={"escapeChar": "\\"}),
    "initial spaces": Kind(_repeat(b' , "a", b\n'), dialect={"skipInitialSpace": True}),
    "comments": Kind(_repeat(b'#"\n#\n'), dialect={"commentChar": "#"}),
    "comments with quotes after rows": Kind(_repeat(b'1,2\n#"\n"a\n'), dialect={"commentChar": "#"}),
    "delimiters only": Kind(_repeat(b","), dialect=None),
    "rows of delimiters": Kind(_repeat(b",,,,,,,,,\n")),
    "blank rows between": Kind(_repeat(b"1,2\n\n")),
    "rows of blanks": Kind(_repeat(b"1,2\n , \n")),
    "short rows": Kind(_repeat(b"1\n", head=b"a,b,c,d,e,f\n")),
    "long rows": Kind(_repeat(b"1,2,3,4,5,6,7,8\n", head=b"a\n")),
    "rows of every length": Kind(_repeat(b"1\n1,2\n1,2,3\n1,2,3,4\n")),
    "one long row": Kind(_repeat(b"1,2,", tail=b"\n")),
    "one long cell": Kind(_repeat(b"x")),
    "carriage returns": Kind(_repeat(b"1,2\r", head=b"a,b\r")),
    "every line break": Kind(_repeat(b"1,2\r\n3,4\r5,6\n7,8\r\r\n")),
    "line breaks only": Kind(_repeat(b"\r\n\r\n\n\r")),
    "NULs": Kind(_repeat(b"\0,\0\n")),
    "NULs only": Kind(_repeat(b"\0", tail=b"\n")),
    "undecodable rows": Kind(_repeat(b"\xff,\xfe\n"), encoding="utf-8"),
    "undecodable cells": Kind(_repeat(b"\xff" * 500 + b",x\n"), encoding="utf-8"),
    "an undecodable row now and then": Kind(_repeat(b"1,2\n" * 20 + b"\xff,3\n"), encoding="utf-8"),
    "bytes of no encoding": Kind(_repeat(bytes(range(128, 256)) + b",x\n")),
    "marks of byte order in every row": Kind(_repeat(b"\xef\xbb\xbf1,2\n")),
    "UTF-16": Kind(_number("{0},ä{0}\n", head="a,b\n", encoding="utf-16")),
    "UTF-16 without a mark": Kind(_number("{0},{0}\n", head="a,b\n", encoding="utf-16-be")),
    "UTF-16 of lone surrogates": Kind(_repeat(b"\x00\xd8,\x00\n\x00", head=b"\xff\xfea\x00\n\x00")),
    "UTF-32": Kind(_number("{0},{0}\n", head="a,b\n", encoding="utf-32")),
    "UTF-7": Kind(_number("+AOQ-{0},{0}\n", head="a,b\n"), encoding="utf-7"),
    "ISO-2022-JP": Kind(_repeat(b"\x1b$B\x1b(B,x\n"), encoding="iso2022_jp"),
    "HZ": Kind(_repeat(b"~{~},x\n"), encoding="hz"),
    "GB18030": Kind(_repeat(b"\x81\x30\x81\x30,x\n"), encoding="gb18030"),
    "a wide table of short rows": _wide(b"x\n"),
    "a wide table of blank rows": _wide(b",\n"),
    "a wide table with a full row now and then": _wide(b"1" + b",1" * 3_999 + b"\n" + b"x\n" * 23),
    "a header of the same label": Kind(lambda path, size: path.write_bytes(b",".join([b"a"] * min(16_000, size // 4)) + b"\n" + b"1\n")),
    "a header of labels that look like made names": Kind(
        lambda path, size: path.write_text(
            ",".join(name for number in range(min(5_000, size // 30)) for name in ("b~1", f"b~1_{3 * number + 3}", "b~1")) + "\n1\n"
        )
    ),
    "a header of long labels": Kind(lambda path, size: path.write_text(",".join(f"{'x' * 2000}{number}" for number in range(size // 2005)) + "\n1\n")),
    "a header of many rows": Kind(_repeat(b"label,b\n"), dialect={"headerRows": list(range(1, 100)), "headerJoin": "-" * 255}),
    "integers": _cells("{0}x", type="integer"),
    "long integers": _one_cell(lambda size: "9" * size, type="integer"),
    "integers with groups": _cells("1,,{0}", type="integer", groupChar=","),
    "bare numbers": _cells("x{0}y", type="number", bareNumber=False),
    "bare numbers in long cells": _one_cell(lambda size: "x" * size + "1" + "y" * size, type="number", bareNumber=False),
    "exponents": _cells("1e-999999{0}", type="number", constraints={"unique": True, "minimum": 1}),
    "unique exponents": _cells("{0}e999999999999", type="number", constraints={"unique": True}),
    "numbers and a long bound": _cells("9e89999{0}", type="number", constraints={"minimum": "9" * 1_000}),
    "whole numbers and a long bound": _cells("{0}", type="integer", constraints={"minimum": "9" * 1_000}),
    "dates": _cells("2024-02-3{0}", type="date"),
    "any dates": _cells("3{0}. Jan 2024", type="date", format="any"),
    "any datetimes": _cells("31.02.2024 {0}:00", type="datetime", format="any"),
    "any datetimes of wrong days": _cells("31 Feb 2024 10:00:00.{0}", type="datetime", format="any"),
    "any datetimes of blanks": _one_cell(lambda size: "31" + " " * size + "Jan" + " " * size + "2024", type="datetime", format="any"),
    "datetimes by a pattern": _cells("31.02.2024 {0}", type="datetime", format="%d.%m.%Y %H%M%S"),
    "any times": _cells("25:00:{0}", type="time", format="any"),
    "durations": _cells("P{0}Y1", type="duration"),
    "years": _cells("-0{0}", type="year"),
    "booleans": _cells("ja{0}", type="boolean"),
    "geopoints": _cells("{0}e99999999, 1", type="geopoint"),
    "geopoints as arrays": _cells("[[[[{0}]]]]", type="geopoint", format="array"),
    "lists": _cells("1;2;{0};x", type="list", itemType="integer", delimiter=";"),
    "e-mail addresses": _cells("a.{0}." + "a." * 20 + "@b", type="string", format="email"),
    "a long e-mail address": _one_cell(lambda size: "a." * (size // 2) + "@b.c", type="string", format="email"),
    "URIs": _cells("http://a{0}/%%zz", type="string", format="uri"),
    "a long URI": _one_cell(lambda size: "http://a/" + "%20" * (size // 3), type="string", format="uri"),
    "Base64": _one_cell(lambda size: base64.b64encode(b"x" * size).decode(), type="string", format="binary"),
    "UUIDs": _cells("00000000-0000-0000-0000-{0}", type="string", format="uuid"),
    "deep arrays": Kind(_repeat(b'"' + b"[" * 300 + b"]" * 300 + b'"\n', head=b"a\n"), field={"name": "a", "type": "array"}),
    "arrays of quotes": Kind(_number('"[[[[[[""\\""{0}""]]]]]]"\n'), field={"name": "a", "type": "array", "constraints": {"unique": True}}),
    "unique arrays": _cells("[[[{0}]]]", type="array", constraints={"unique": True}),
    "a unique array": _one_cell(lambda size: '"[' + "[]," * (size // 3) + '1]"', type="array", constraints={"unique": True}),
    "unique objects": Kind(_number('"{{""a"":{{""b"":{0}}}}}"\n'), field={"name": "a", "type": "object", "constraints": {"unique": True}}),
    "GeoJSON": Kind(
        _repeat(b'"' + b'{""type"":""GeometryCollection"",""geometries"":[' * 40 + b"]}" * 40 + b'"\n', head=b"a\n"),
        field={"name": "a", "type": "geojson", "constraints": {"unique": True}},
    ),
    "patterns": _cells("aaaaaaaaaaaaaaaaaaaa{0}", type="string", constraints={"pattern": "(a+)+"}),
    "enumerations": _cells("x{0}", type="string", constraints={"enum": [str(number) for number in range(5_000)]}),
    "shared strings": _strings(lambda number: f"<t>{number}</t>"),
    "empty shared strings": _strings(lambda _number: "<t/>"),
    "rich text": _strings(lambda number: "<r><t>x</t></r>" * 50 + f"<t>{number}</t>"),
    "phonetic text": _strings(lambda _number: "<rPh><t>x</t></rPh>"),
    "escapes in strings": _strings(lambda _number: "<t>_x0041_x_x_x0000_</t>"),
    "entities": _strings(lambda _number: "<t>&amp;&lt;&#65;</t>"),
    "sparse rows": _sheet(lambda number: f'<row r="{number * 3}"><c r="XFD{number * 3}"><v>1</v></c></row>'),
    "rows without cells": _sheet(lambda number: f'<row r="{number}"/>'),
    "rows in comments": _sheet(lambda number: f'<!-- x --><row r="{number}"><c r="A{number}"><v>1</v></c></row>'),
    "rows without numbers": _sheet(lambda _number: "<row><c><v>1</v></c></row>"),
    "cells of nothing": _sheet(lambda number: f'<row r="{number}">' + "<c/>" * 50 + "</row>"),
    "cells in the wrong order": _sheet(lambda number: f'<row r="{number}">' + "".join(f'<c r="{c}{number}"><v>1</v></c>' for c in "ZYXWVUBA") + "</row>"),
    "cells that are given twice": _sheet(lambda number: f'<row r="{number}">' + f'<c r="A{number}"><v>1</v></c>' * 20 + "</row>"),
    "error values": _sheet(lambda number: f'<row r="{number}"><c r="A{number}" t="e"><v>#N/A {number}</v></c></row>'),
    "dates that are none": _sheet(lambda number: f'<row r="{number}"><c r="A{number}" t="d"><v>2024-99-{number}</v></c></row>'),
    "dated numbers": _sheet(
        lambda number: f'<row r="{number}"><c r="A{number}" s="1"><v>{number}.{number}</v></c></row>', {"xl/styles.xml": styles_xml("yyyy")}
    ),
    "numbers with exponents": _sheet(lambda number: f'<row r="{number}"><c r="A{number}"><v>{number}e-300</v></c></row>'),
    "inline text in runs": _sheet(lambda number: f'<row r="{number}"><c r="A{number}" t="inlineStr"><is>' + "<r><t>x</t></r>" * 20 + "</is></c></row>"),
    "formulas": _sheet(lambda number: f'<row r="{number}"><c r="A{number}"><f>SUM(A1:A{number})</f></c></row>'),
    "formulas to judge": _sheet(
        lambda number: f'<row r="{number}"><c r="A{number}"><f>{"IF(A1," * 40}"{number}"</f><v>0</v></c></row>',
        {"xl/workbook.xml": WORKBOOK.replace("</workbook>", '<calcPr fullCalcOnLoad="1"/></workbook>')},
    ),
    "long formulas to judge": _sheet(
        lambda number: f'<row r="{number}"><c r="A{number}"><f>{"(" * 8_000}{number}</f><v>0</v></c></row>',
        {"xl/workbook.xml": WORKBOOK.replace("</workbook>", '<calcPr fullCalcOnLoad="1"/></workbook>')},
    ),
    "rows in parts": _sheet(lambda number: f'<row r="{number // 3 + 2}"><c r="{"ABC"[number % 3]}{number // 3 + 2}"><v>1</v></c></row>'),
    "error values that may be pictures": _sheet(lambda number: f'<row r="{number}"><c r="A{number}" t="e" vm="{number}"><v>#VALUE!</v></c></row>'),
    "prefixes": _sheet(lambda number: f'<x:row xmlns:x="{MAIN}" r="{number}"><x:c r="A{number}"><x:v>1</x:v></x:c></x:row>'),
    "attributes": _sheet(lambda number: f'<row r="{number}" ' + " ".join(f'a{n}="{n}"' for n in range(50)) + f'><c r="A{number}"><v>1</v></c></row>'),
    "unknown elements": _sheet(lambda number: f'<row r="{number}"><c r="A{number}"><x/><v>1</v></c></row><y/>'),
}


def read(kind: Kind, path: Path) -> dict[str, Any]:
    """Read a file here, and return how it ended, the CPU seconds that it took, and the peak memory of this process in MiB."""
    start = time.process_time()
    rows = errors = 0
    sentence = ""
    try:
        inspection = inspect_file(
            path,
            table_schema=None if kind.field is None else parse_table_schema({"fields": [dict(kind.field)]}),
            dialect=None if kind.dialect is None else parse_table_dialect(dict(kind.dialect)),
            encoding=kind.encoding,
            limits=ReadLimits(),
        )
        try:
            for report in inspection.reports():
                rows += report.rows_processed
                errors += sum(map(len, report.findings))
        finally:
            inspection.close()
    except FileUnreadable as unreadable:
        sentence = str(unreadable)
    return {
        "rows": rows,
        "errors": errors,
        "sentence": sentence,
        "cpu_s": time.process_time() - start,
        "peak_mib": peak_memory_mib(),
    }


def measure(names: list[str], size: int, *, cpu_s: int = 60) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read files of some kinds, each of about `size` bytes, in one process with limits of its own; a name such as `.csv` stands for a clean file."""
    command = [sys.executable, "-m", "tests.hostile.files", "--inside", str(size), str(cpu_s), *names]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=600)
    for line in done.stdout.splitlines():
        name, facts = json.loads(line)
        yield name, facts
    if done.returncode:
        raise RuntimeError(f"The process ended with {done.returncode}: {done.stderr[-2000:]}")


def _measure_inside(size: int, cpu_s: int, names: list[str]) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            kind = CLEAN[name] if name in CLEAN else KINDS[name]
            path = Path(folder) / f"file{kind.suffix}"
            kind.make(path, size)
            print(json.dumps([name, read(kind, path)]), flush=True)


def main(arguments: list[str]) -> None:
    """Measure all kinds and print them, the slowest first."""
    if arguments[:1] == ["--inside"]:
        _measure_inside(int(arguments[1]), int(arguments[2]), arguments[3:])
        return
    size = int(arguments[0]) if arguments else 2**20
    clean = {suffix: next(facts for name, facts in measure([suffix, suffix], size) if name == suffix) for suffix in CLEAN}
    found: list[tuple[float, str, dict[str, Any]]] = []
    for name, kind in KINDS.items():
        try:
            facts = next(facts for _, facts in measure([name], size))
        except (RuntimeError, StopIteration) as error:
            sys.stdout.write(f"{name}: {error}\n")
            continue
        found.append((facts["cpu_s"] / clean[kind.suffix]["cpu_s"], name, facts))
    for ratio, name, facts in sorted(found, reverse=True):
        counted = f"{facts['rows']:9,} rows {facts['errors']:10,} errors"
        sys.stdout.write(f"{ratio:8.1f} x {facts['cpu_s']:7.3f} s {facts['peak_mib']:6.0f} MiB {counted}  {name}  {facts['sentence']}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
