"""Name what a file is that cannot be a table, whatever it is called: a web page, XML, JSON, a program, a document.

Only its first bytes are looked at, and only what no table begins with counts: a header `<b>,[name]` or `{id}` is none of it, nor is a column of JSON texts
under a header. A file that is refused wrongly cannot be checked at all; one that is not refused fails with errors that are not understood.
"""

from __future__ import annotations

import codecs
import json
import re

BINARY_FILE = "a program or another binary file"
WEB_PAGE = "a web page (HTML)"
WEB_ARCHIVE = "a web page in one file (MHT)"
XML_SPREADSHEET = "a spreadsheet in XML (SpreadsheetML 2003)"
_XML_SPREADSHEET_MARKS = ("Excel.Sheet", "urn:schemas-microsoft-com:office:spreadsheet")
_MHT = re.compile(r"(?:[A-Za-z-]+:[^\n]*\n(?:[ \t][^\n]*\n)*){0,10}MIME-Version:", re.IGNORECASE)
"""Lines as at the beginning of a mail; browsers write `From:` and `Subject:` before the one that tells."""
_HTML = re.compile(r"<!doctype\s+html[\s>]|<(?:html|head|body)(?:\s+[\w:-]+\s*=[^<>]*)?>(?![ \t]*[,;|\t])", re.IGNORECASE)
_HTML_PART = re.compile(r"<(?:table|div|h1|title|meta|script|center|style|form)\b[^<>]*>(?![ \t]*[,;|\t])", re.IGNORECASE)
_HTML_END = re.compile(r"</(?:table|div|h1|title|script|center|style|form|tr|td)>|<meta\b", re.IGNORECASE)
"""A page that a server made by hand begins with any element; only one that ends somewhere counts."""
_XML = re.compile(r"<\?xml\s|<!doctype\s+\w+|<[A-Za-z_][\w.:-]*\s+xmlns(?::\w+)?\s*=", re.IGNORECASE)
_XML_TREE = re.compile(r"<[A-Za-z_][\w.:-]*(?:\s[^<>]*)?>[ \t]*\r?\n[ \t]*<[A-Za-z_][^<>]*>")
"""Two tags, one after the other on lines of their own, as in a document without a declaration; see `_is_xml_tree`."""
_XML_ROOT = re.compile(r"<([A-Za-z_][\w.:-]*)(?:\s[^<>]*)?>\s*<[A-Za-z_][^<>]*>")
"""Two tags, one after the other; the first is a document's if there is no other of its name."""
_JSON = re.compile(r'\{\s*(?:"|\})|\[\s*(?:\{\s*(?:"|\})|\[\s*(?:["\[{\d-]|null|true|false))')
_SQL = re.compile(
    r"(?:create\s+(?:temporary\s+)?(?:table|database|schema)|insert\s+into|drop\s+table)\s+(?:if\s+(?:not\s+)?exists\s+)?[`\"\w.\[\]]+\s*[\s(;]|set\s+names\s+\w|pragma\s+foreign_keys\s*=",
    re.IGNORECASE,
)
_SQL_DUMP = re.compile(r"--\s*(?:mysql|mariadb|postgresql)[ \w]*dump", re.IGNORECASE)
_BEGINNINGS = (
    ("#!/", "a script"),
    ("<?php", "a program (PHP)"),
    ("{\\rtf", "a document (RTF)"),
    ("%!PS", "a PostScript document"),
    ("BEGIN:VCARD", "a list of contacts (vCard)"),
    ("BEGIN:VCALENDAR", "a calendar (iCalendar)"),
    ("-----BEGIN ", "a key or certificate"),
)
_PROGRAM = re.compile(
    r"#include\s*[<\"]|import\s+[\w.]+(?:\s+as\s+\w+)?;?[ \t]*\r?\n\s*(?:import|from)\s|from\s+[\w.]+\s+import\s+\w|package\s+[\w.]+;|using\s+[A-Z][\w.]+;"
    r"|\"use strict\";|def \w+\([^()\n]*\)[^:\n]*:[ \t]*\r?\n|(?:async )?function \w*\s*\([^()\n]*\)\s*\{|(?:const|let|var) \w+ = [^\n]*\n"
    r"|(?:public |abstract |final )*class \w+[^,;{\n]*\{[ \t]*\r?\n"
)
_COMMENTS = (("<!--", "-->"), ("/*", "*/"), ("--", "\n"), ("//", "\n"), ("# ", "\n"))
_MOST_COMMENTS = 50
_BINARY = (
    (b"%PDF-", "a PDF document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x89PNG\r\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"PAR1", "a Parquet file"),
    (b"ARROW1", "an Arrow file"),
    (b"SQLite format 3\x00", "a SQLite database"),
    (b"\x7fELF", "a program"),
    (b"\xca\xfe\xba\xbe", "a program"),
)
_LEAST_CONTROLS = 3
_CONTROLS = frozenset(range(1, 9)) | frozenset(range(14, 32)) - {0x1A, 0x1B}


def name_foreign(head: bytes) -> str | None:
    """Return what a file with these first bytes is, such as `a PDF document`; None if it may be a table."""
    for beginning, what in _BINARY:
        if head.startswith(beginning):
            return what
    text = decode_beginning(head)
    code = _skip_comments(text)
    if _HTML.match(code.removeprefix(text[: text.find("?>") + 2]).lstrip() if text.startswith("<?xml") else code):
        return WEB_PAGE
    if _HTML_PART.match(code) and _HTML_END.search(code):
        return WEB_PAGE
    return _name_text(text, code) or (BINARY_FILE if _is_binary(head) else None)


def _name_text(text: str, code: str) -> str | None:
    """Name what a text is, `code` being what follows the comments at its beginning; None if it may be a table."""
    found = next((what for beginning, what in _BEGINNINGS if text.startswith(beginning)), None)
    if found is not None:
        return found
    if _MHT.match(text):
        return WEB_ARCHIVE
    root = _XML_ROOT.match(code)
    is_root = root is not None and ("</" in code or "/>" in code) and len(re.findall(rf"<{re.escape(root[1])}[\s>]", code)) == 1
    if is_root or _XML.match(code) or _is_xml_tree(code):
        return XML_SPREADSHEET if any(mark in text for mark in _XML_SPREADSHEET_MARKS) else "an XML document"
    if _is_json(text):
        return "JSON"
    if _SQL_DUMP.match(text) or _SQL.match(code):
        return "a SQL script"
    return "the source code of a program" if _PROGRAM.match(code) else None


def decode_beginning(head: bytes) -> str:
    """Decode the first bytes of a text, in whatever encoding, as far as its ASCII characters matter, without what is blank at its beginning."""
    for mark, encoding in ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        if head.startswith(mark):
            return head[len(mark) :].decode(encoding, "replace").lstrip()
    for start, encoding in ((0, "utf-16-be"), (1, "utf-16-le")):
        if len(head) > 1 and not any(head[start::2]):
            return head.decode(encoding, "replace").lstrip()
    return head.decode("latin-1").lstrip()


def _skip_comments(text: str) -> str:
    """Return a text without the comments at its beginning, in any of the languages that are looked for."""
    for _ in range(_MOST_COMMENTS):
        end = next((end for start, end in _COMMENTS if text.startswith(start)), None)
        if end is None or end not in text:
            break
        text = text[text.index(end) + len(end) :].lstrip()
    return text


def _is_xml_tree(text: str) -> bool:
    """Whether a text begins with nested elements, each on a line of its own, of which at least one is closed."""
    return _XML_TREE.match(text) is not None and re.search(r"</[A-Za-z_][\w.:-]*>|/>", text) is not None


def _is_json(text: str) -> bool:
    """Whether a text is JSON: objects or arrays, and neither text nor a delimiter behind the first one that ends."""
    if not _JSON.match(text):
        return _is_json_list(text)
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except json.JSONDecodeError as error:
        # Whatever is cut off in the middle fails at its end, or at the start of the string that is not closed there.
        return error.pos >= len(text) - 1 or (error.msg.startswith("Unterminated string") and "\n" not in text[error.pos :])
    except RecursionError:
        return True
    rest = text[end:].lstrip(" \t\r")
    # An object in each line is JSON too.
    return not rest or (rest.startswith("\n") and (not rest.strip() or rest.lstrip().startswith(("{", "["))))


def _is_json_list(text: str) -> bool:
    """Whether the whole text is one list; a header in brackets, `[id],[qty]`, is none."""
    if not text.startswith("["):
        return False
    try:
        return isinstance(json.loads(text), list)
    except (ValueError, RecursionError):
        return False


def _is_binary(head: bytes) -> bool:
    """Whether the first line has NULs and control characters of several kinds, as no header has; one kind may be a delimiter, and UTF-16 is full of both."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\n\x00" in head or b"\x00\n" in head:
        return False
    line = head.split(b"\n", 1)[0]
    return 0 in line and len(_CONTROLS.intersection(line)) >= _LEAST_CONTROLS
