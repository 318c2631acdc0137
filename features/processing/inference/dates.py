"""Dates, times and both as people write them, as formats of strptime."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from features.processing.inference.sample import Sample
from shared.descriptors.table_schema import Field

_SHORT = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LONG = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december")
_NAME = r"[A-Za-z]{3,9}"
_NUMERIC_DATE = re.compile(r"(?P<a>9{1,4})(?P<s>\. |[./-])(?P<b>99?)(?P=s)(?P<c>9{1,4})(?P<e>\.?)")
"""With a point at the end as well where points stand between the parts: in Hungarian and Korean."""
_NAMED_DATES = (
    re.compile(rf"(?P<d>99?)(?P<s>\. | |[-/.])(?P<n>{_NAME})(?P<t>,? |[-/.])(?P<y>9999|99)"),
    re.compile(rf"(?P<n>{_NAME})(?P<s>[ -])(?P<d>99?)(?P<t>,? |-)(?P<y>9999)"),
    re.compile(rf"(?P<y>9999)(?P<s>[ ./-])(?P<n>{_NAME})(?P<t>[ ./-])(?P<d>99?)"),
)
_TIME = re.compile(
    r"(?P<h>99?)(?P<s>[:.])99(?P<seconds>(?P=s)99)?(?P<fraction>[.,]9{1,6})?(?P<noon> ?[AaPp][Mm])?(?P<zone> ?(?:Z|[+-]99:?99)| ?UTC| ?GMT|[+-]99)?"
)
_WEEKDAY = re.compile(r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)(,? )")
_DEFAULTS = (
    ("date", re.compile(r"9999-99-99")),
    ("time", re.compile(r"99:99:99")),
    ("datetime", re.compile(r"9999-99-99T99:99:99(?:\.9+)?(?:Z|[+-]99:99)?")),
)
_SEPARATOR = re.compile(r"(?<=[9A-Za-z.])(?:, |T| )(?=99?[:.]99)")
_UNSAYABLE = re.compile(rf"(?:{_NAME}\.? )?99?(?:st|nd|rd|th),? |\bSept\b", re.IGNORECASE)
DAY_FIRST, MONTH_FIRST, YEAR_FIRST = "day", "month", "year"


@dataclass(frozen=True, slots=True)
class DateForm:
    """A form that a column may have."""

    type: str
    format: str
    wrong: int
    """How many cells do not have the form."""

    @property
    def order(self) -> str:
        """Which part of the date comes first."""
        first = next((directive for directive in re.findall("%([dmyY])", self.format)), "Y")
        return {"d": DAY_FIRST, "m": MONTH_FIRST}.get(first, YEAR_FIRST)

    @property
    def is_numeric_date(self) -> bool:
        """Whether day and month are digits and the year is not first with four of them, so that the order needs to be known."""
        return self.format != "default" and "%m" in self.format and not self.format.startswith("%Y")

    def describe(self) -> dict[str, object]:
        """Return the properties of the field."""
        described: dict[str, object] = {"type": self.type}
        return described if self.format == "default" else described | {"format": self.format}


def find_date_forms(sample: Sample) -> list[DateForm]:
    """Return the forms of dates and times that the column has with the fewest wrong cells; several of them differ in the order of their parts.

    Empty: the column has none, or one that Table Schema cannot say.
    """
    counts: Counter[tuple[str, str]] = Counter()
    lost = 0
    is_sayable = True
    for shape, count in sample.shapes:
        formats = list_formats(shape)
        for form in formats:
            counts[form] += count
        if not formats:
            is_sayable &= _UNSAYABLE.search(shape) is None
            lost += count
            if not sample.is_most(len(sample) - lost):
                return []
    forms: list[DateForm] = []
    for (type_name, pattern), count in counts.items():
        if sample.is_most(count):
            wrong = sample.count_wrong(Field(name="", type=type_name, format=pattern))
            if wrong is not None:
                forms.append(DateForm(type_name, pattern, wrong))
    if not is_sayable:
        # Where months have names, "Sept 5" and "5th May" are as good as the others.
        forms = [form for form in forms if "%b" not in form.format.lower()]
    forms = _without_unlikely_years(sample, forms)
    least = min((form.wrong for form in forms), default=0)
    best = [form for form in forms if form.wrong == least]
    default = [form for form in best if form.format == "default"]
    return default or list({form.order: form for form in reversed(best)}.values())


def choose_date_form(forms: Sequence[DateForm], order_of_file: str | None) -> DateForm:
    """Return one of several equally good forms: that of the file's other columns, else the one with the day first."""
    by_order = {form.order: form for form in forms}
    return by_order.get(order_of_file or "") or by_order.get(DAY_FIRST) or forms[0]


def _without_unlikely_years(sample: Sample, forms: Sequence[DateForm]) -> list[DateForm]:
    """Return the forms without those that take days for years: nearly every day is a year of two digits, but a column has fewer years than days."""
    year_first = [form for form in forms if form.format.startswith("%y")]
    year_last = [form for form in forms if form not in year_first]
    if not year_first or not year_last:
        return list(forms)
    firsts, lasts = _count_ends(sample)
    return year_first if firsts < lasts else year_last


def _count_ends(sample: Sample) -> tuple[int, int]:
    """Return how many different first and last parts the dates have."""
    parts = [re.findall(r"[0-9]+", text) for text in sample.column.text.slice(0, 1_000).to_pylist()]
    return len({each[0] for each in parts if each}), len({each[2] for each in parts if len(each) > 2})  # noqa: PLR2004


@lru_cache(maxsize=4096)
def list_formats(shape: str) -> tuple[tuple[str, str], ...]:
    """Return the types and formats that a shape may have; none if it is neither date nor time."""
    if "9" not in shape:
        return ()
    return tuple(_list_all(shape))


def _list_all(shape: str) -> Iterator[tuple[str, str]]:
    for type_name, default in _DEFAULTS:
        if default.fullmatch(shape):
            yield type_name, "default"
    for date in _date_formats(shape):
        yield "date", date
    match = _TIME.fullmatch(shape)
    if match and match["s"] == ":":
        for time in _time_formats(match):
            yield "time", time
    for separator in _SEPARATOR.finditer(shape):
        time_match = _TIME.fullmatch(shape, separator.end())
        if time_match is not None:
            for date in _date_formats(shape[: separator.start()]):
                for time in _time_formats(time_match):
                    yield "datetime", f"{date}{separator[0]}{time}"


def _date_formats(shape: str) -> Iterator[str]:
    weekday = _WEEKDAY.match(shape)
    prefix = f"%a{weekday[1]}" if weekday else ""
    shape = shape[weekday.end() :] if weekday else shape
    match = _NUMERIC_DATE.fullmatch(shape)
    if match:
        separator, first, last, end = match["s"], len(match["a"]), len(match["c"]), match["e"]
        if end and "." not in separator:
            return
        if first == 4 and last <= 2:  # noqa: PLR2004
            yield f"{prefix}%Y{separator}%m{separator}%d{end}"
        elif first <= 2 and last in (2, 4):  # noqa: PLR2004
            year = "%Y" if last == 4 else "%y"  # noqa: PLR2004
            yield f"{prefix}%d{separator}%m{separator}{year}{end}"
            yield f"{prefix}%m{separator}%d{separator}{year}{end}"
            if first == last:
                yield f"{prefix}%y{separator}%m{separator}%d{end}"
        return
    for pattern in _NAMED_DATES:
        match = pattern.fullmatch(shape)
        if match is None:
            continue
        for directive, names in (("%b", _SHORT), ("%B", _LONG)):
            if match["n"].lower() in names:
                parts = {"d": "%d", "n": directive, "y": "%Y" if len(match["y"]) == 4 else "%y"}  # noqa: PLR2004
                one, two, three = sorted(parts, key=match.start)
                yield f"{prefix}{parts[one]}{match['s']}{parts[two]}{match['t']}{parts[three]}"


def _time_formats(match: re.Match[str]) -> Iterator[str]:
    mark, noon, zone = match["s"], match["noon"] or "", match["zone"] or ""
    if match["fraction"] and not match["seconds"]:
        return
    text = f"{'%I' if noon else '%H'}{mark}%M" + (f"{mark}%S" if match["seconds"] else "")
    text += f"{match['fraction'][0]}%f" if match["fraction"] else ""
    text += f"{' ' if noon.startswith(' ') else ''}%p" if noon else ""
    blank, name = (" " if zone.startswith(" ") else ""), zone.strip()
    if name in ("UTC", "GMT"):
        yield f"{text}{blank}{name}"
    elif name == "+99":
        # strptime knows no zone of two digits; of the usual one, UTC, it can be said what is written.
        yield f"{text}+00"
    elif name != "-99":
        yield f"{text}{blank}%z" if name else text
