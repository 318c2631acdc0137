"""What the documents of the repository say, taken apart: sections, tables, code blocks, commands, links."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.paths import ROOT

FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
INDENTED = re.compile(r"(?:^ {4}\S.*\n)+", re.MULTILINE)
SHELLS = ("sh", "bash", "console")


@dataclass(frozen=True)
class Document:
    """A Markdown file of the repository."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    @cached_property
    def text(self) -> str:
        return self.path.read_text()

    @property
    def prose(self) -> str:
        """The text without its fenced blocks."""
        return FENCED.sub("", self.text)

    def section(self, title: str) -> str:
        """What stands below the heading `## title`, up to the next one of its level."""
        [found] = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", self.text, re.DOTALL | re.MULTILINE)
        return str(found)

    def table(self, title: str) -> Sequence[str]:
        """The rows of the only table of a section, without its head."""
        rows = [line for line in self.section(title).splitlines() if line.startswith("|")]
        assert set(rows[1]) <= set("|-: "), rows[1]
        return rows[2:]

    def blocks(self, language: str) -> Sequence[str]:
        """The fenced blocks of a language."""
        return [text for name, text in FENCED.findall(self.text) if name == language]

    def commands(self) -> Iterator[Sequence[str]]:
        """The words of each command of the shell: of indented blocks, of shell blocks, and, in `console` blocks, behind the prompt."""
        for language, text in [*FENCED.findall(self.text), *(("", text) for text in INDENTED.findall(self.prose))]:
            for line in text.replace("\\\n", " ").splitlines():
                if language == "console" and not line.startswith("$ "):
                    continue
                if language in SHELLS or line.startswith("    "):
                    yield from split(line.removeprefix("$ ").strip())

    def inline_code(self) -> Sequence[str]:
        return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", self.prose)

    def links(self) -> Sequence[str]:
        """The targets of links that stay within the repository."""
        return [target for target in re.findall(r"\]\(([^)\s]+)\)", self.prose) if "://" not in target and not target.startswith("mailto:")]

    def anchors(self) -> set[str]:
        """The anchors of its headings, as GitHub makes them."""
        headings = re.findall(r"^#+ (.+)$", self.prose, re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def split(line: str) -> Iterator[Sequence[str]]:
    """The commands of one line of the shell: comments are dropped, and so is where output goes."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in lexer:
        if set(word) <= set("();<>|&"):
            if words:
                yield words
            words = []
            continue
        words.append(word)
    if words:
        yield words


DOCUMENTS = [
    Document(path)
    for path in sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("tests/**/*.md"), *ROOT.glob(".github/**/*.md"), *ROOT.glob("bench/*.md")})
]
PRESENT = [document for document in DOCUMENTS if document.name != "CHANGELOG.md"]
"""Those that say what is; a changelog also says what was."""
README = Document(ROOT / "README.md")


def place_blocks() -> Mapping[str, str]:
    """Return the README's Python blocks by the path in their first line; one without is a part of its reader's own module, `readme_N.py`."""
    placed = {}
    for number, text in enumerate(README.blocks("python")):
        first_line = text.partition("\n")[0]
        has_path = first_line.startswith("# ") and first_line.endswith(".py")
        path = first_line.removeprefix("# ") if has_path else f"readme_{number}.py"
        assert path not in placed
        placed[path] = text
    return placed


def write_files(tree: Path, files: Mapping[str, str]) -> None:
    """Write files by their paths, also into folders that do not exist yet."""
    for name, text in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
