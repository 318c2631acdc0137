"""Write the measurements as one Markdown page; each group's section is kept until the group is measured again."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("pyarrow", "pandas", "numpy", "openpyxl", "fastapi", "uvicorn", "celery", "asyncpg")
_LEAST_WHOLE = 10
"""A smaller figure is written with its decimals."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target and whether it was met."""

    what: str
    target: str
    measured: str
    is_met: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """The measurements of one group."""

    title: str
    about: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    """Each row has as many cells as there are headings."""
    verdicts: Sequence[Verdict] = ()
    conditions: str = ""
    """How it was measured: when, how often, on how many rows."""
    peers: Sequence[str] = field(default_factory=tuple)
    """Versions of the peers, as `name==version`."""
    figures: Sequence[tuple[str, str]] = field(default_factory=tuple)
    """Charts for the page: the file's name, and what it shows."""


def at_least(what: str, measured: float, bound: float) -> Verdict:
    """Return the verdict on a ratio that must not be smaller than `bound`."""
    return Verdict(what, f"≥ {bound:g}x", f"{measured:.2f}x", measured >= bound)


def at_most(what: str, measured: float, bound: float, unit: str = "x") -> Verdict:
    """Return the verdict on a figure that must not be larger than `bound`."""
    return Verdict(what, f"≤ {bound:g}{unit}", f"{measured:.{2 if unit == 'x' or measured < _LEAST_WHOLE else 0}f}{unit}", measured <= bound)


def save_section(folder: Path, name: str, section: Section) -> None:
    """Store a section for the page."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(asdict(section), indent=1, ensure_ascii=False) + "\n")


def load_section(folder: Path, name: str) -> Section | None:
    """Return the section that was stored last; None if its group was never measured."""
    path = folder / f"{name}.json"
    if not path.exists():
        return None
    values = json.loads(path.read_text())
    return Section(**{**values, "verdicts": [Verdict(**verdict) for verdict in values["verdicts"]]})


def write_page(path: Path, sections: Sequence[Section]) -> None:
    """Write the whole page."""
    verdicts = [verdict for section in sections for verdict in section.verdicts]
    lines = [
        "# Benchmark results",
        "",
        "Made by `make bench` (`python -m bench`); `python -m bench --help` lists the groups, which can be measured one by one, and `--quick`.",
        "Peers run in a separate environment, in the same run and in alternating order; a figure is the median of the runs that its section names.",
        "",
        *_table(("Machine", ""), _machine()),
        "",
        "## Targets",
        "",
        *_table(
            ("What", "Target", "Measured", ""),
            [(verdict.what, verdict.target, verdict.measured, "met" if verdict.is_met else "**not met**") for verdict in verdicts],
        ),
    ]
    for section in sections:
        lines += ["", f"## {section.title}", "", section.about, "", *_table(section.headings, section.rows)]
        for name, shows in section.figures:
            lines += ["", f"![{shows}]({name})"]
        lines += ["", f"_{section.conditions}_"]
        if section.peers:
            lines += ["", f"Peers: {', '.join(section.peers)}."]
    path.write_text("\n".join(lines) + "\n")


def describe_conditions(*, times: int, rows: int) -> str:
    """Return the line under a section."""
    runs = "1 run of each" if times == 1 else f"medians of {times} runs"
    return describe_run(f"{runs}, standard file of {rows:,} rows")


def describe_run(how: str) -> str:
    """Return the line under a section that describes its own way of measuring."""
    return f"Measured {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {how}."


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    # All columns except the first hold figures.
    rule = ["---", *["---:"] * (len(headings) - 1)]
    return [f"| {' | '.join(cells)} |" for cells in (headings, rule, *rows)]


def _machine() -> list[tuple[str, str]]:
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return [
        ("Processor", f"{_processor()}, {os.cpu_count()} cores"),
        ("Memory", f"{memory_gib:.0f} GiB"),
        ("System", f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}, Python {platform.python_version()}"),
        ("Packages", ", ".join(f"{name} {version(name)}" for name in PACKAGES)),
    ]


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    return names[0] if names else platform.machine()
