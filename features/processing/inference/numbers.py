"""Numbers as people write them: with groups, decimal commas, currency, per cent, brackets for negative ones."""

# ruff: noqa: RUF001 - words of other languages have letters that look like Latin ones
from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from features.processing.inference.sample import Sample

_SYMBOLS = r"US\$|CA\$|AU\$|NZ\$|HK\$|R\$|C\$|A\$|[$€£¥₹₽₩₺₫₴₪฿₦₱₡₲₵₸¢元円]"
_NAMES = r"zł|Kč|kr\.?|Ft|лв\.?|руб\.?|грн\.?|lei|Fr\.?|Rs\.?|Rp\.?|din\.?"
_CODES = (
    "EUR|USD|GBP|CHF|JPY|CNY|CAD|AUD|NZD|SEK|NOK|DKK|ISK|PLN|CZK|HUF|RON|BGN|TRY|RUB|UAH|BRL|MXN|ARS|CLP|COP|PEN|INR|PKR|IDR|KRW|THB|VND|PHP|MYR|SGD|HKD"
    "|TWD|ILS|ZAR|EGP|NGN|KES|MAD|AED|SAR|QAR|KWD"
)
_CURRENCY = rf"(?:{_SYMBOLS}|{_NAMES}|{_CODES})"
_BLANK = r"[ \u00a0\u2009\u202f]"
_GROUPS = ".,'\u2019 \u00a0\u2009\u202f"
_NUMBER = re.compile(
    rf"(?P<pad>\s*)(?P<front>{_CURRENCY}{_BLANK}?(?=\())?(?P<open>\()?(?P<sign>[+-]?)(?P<before>{_CURRENCY}{_BLANK}?)?(?P<inner>[+-]?)(?P<core>[.,]9+|9[9{_GROUPS}]*?)(?P<power>[eE][+-]?9+)?"
    rf"(?P<minus>-?)(?P<behind>{_BLANK}?(?:[%‰]|{_CURRENCY}))?(?P<close>\))?(?P<end>\s*)"
)
_ZERO_WHOLE = r"\A[^0-9]*0[.,][0-9]{3}(?:[^0-9]|\z)"
_ZERO_GROUP = r"\A0[0-9]{1,2}[ .'][0-9]{3}"
_GROUPED = re.compile(r"9[ .'\u2019\u00a0\u2009\u202f]999")
_GROUP_DIGITS, _INDIAN_DIGITS = 3, 2
_A_FEW = 3


@dataclass(frozen=True, slots=True)
class Separators:
    """What the cells of a column use; None: no cell does."""

    decimal: str | None
    group: str | None


@dataclass(frozen=True, slots=True)
class NumberForm:
    """A form that a column may have."""

    separators: Separators
    is_whole: bool
    is_bare: bool
    wrong: int
    """How many cells do not have the form."""

    def describe(self) -> dict[str, object]:
        """Return the properties of the field."""
        described: dict[str, object] = {"type": "integer" if self.is_whole else "number"}
        if not self.is_whole and self.separators.decimal not in (None, "."):
            described["decimalChar"] = self.separators.decimal
        if self.separators.group is not None:
            described["groupChar"] = self.separators.group
        return described if self.is_bare else described | {"bareNumber": False}


@dataclass(frozen=True, slots=True)
class _Reading:
    """One way to read the digits of a shape."""

    decimal: str | None
    group: str | None
    is_whole: bool


@dataclass(frozen=True, slots=True)
class _Shape:
    readings: Sequence[_Reading]
    is_dressed: bool
    """There is text around the number."""
    is_negative_text: bool
    """Brackets, or a minus behind the number."""


def find_number_forms(sample: Sample) -> list[NumberForm]:
    """Return the forms of numbers that the column has with the fewest wrong cells; more than one if they are equally good. Empty: it has none."""
    known: list[tuple[_Shape, int]] = []
    lost = 0
    for shape, count in sample.shapes:
        read = read_shape(shape)
        if read is None:
            lost += count
            if not sample.is_most(len(sample) - lost):
                return []
        else:
            known.append((read, count))
    forms = [form for separators in _list_separators(known) if (form := _judge(sample, known, separators)) is not None]
    if _are_telephone_numbers(sample):
        forms = [form for form in forms if form.separators.group is None]
    least = min((form.wrong for form in forms), default=0)
    return list(dict.fromkeys(form for form in forms if form.wrong == least))


def _are_telephone_numbers(sample: Sample) -> bool:
    """Whether the groups of digits are those of telephone numbers: a zero or a plus sign before them."""
    grouped = [shape for shape, _ in sample.shapes if _GROUPED.search(shape)]
    return bool(grouped) and (all(shape.startswith("+") for shape in grouped) or sample.count_matching(_ZERO_GROUP) > 0)


def choose_number_form(forms: Sequence[NumberForm], sample: Sample, decimal_of_file: str | None) -> NumberForm:
    """Return one of several equally good forms, such as for `1.234` and `1,234` alone, by the column's zeros, the file's other columns, and custom."""
    if len(forms) == 1:
        return forms[0]
    if sample.count_matching(_ZERO_WHOLE):
        # 0.123 has no group.
        with_fractions = [form for form in forms if form.separators.group is None]
        forms = with_fractions or forms
    elif decimal_of_file is not None:
        forms = [form for form in forms if form.separators.decimal in (None, decimal_of_file) and form.separators.group != decimal_of_file] or forms
    else:
        forms = _choose_by_length(forms, sample) or forms
    # A point alone is a decimal point, as programs write it; a comma alone, always before three digits, stands between groups.
    return min(
        forms, key=lambda form: (form.separators.decimal not in (None, "."), form.separators.group not in (None, ",", " "), form.separators.group is not None)
    )


def _choose_by_length(forms: Sequence[NumberForm], sample: Sample) -> list[NumberForm]:
    """Return the forms that explain how long the numbers without any mark are: where some have four digits or more, the others have no groups.

    Where none has, and always three digits stand behind a mark, it stands between groups, if there are a few of both.
    """
    digits = [(len(shape.lstrip("+-")), count) for shape, count in sample.shapes if shape.lstrip("+-").strip("9") == ""]
    if any(size > _GROUP_DIGITS for size, _ in digits):
        return [form for form in forms if form.separators.group is None]
    short = sum(count for _, count in digits)
    return [form for form in forms if form.separators.group is not None] if min(short, len(sample) - short) >= _A_FEW else []


def _list_separators(known: Sequence[tuple[_Shape, int]]) -> list[Separators]:
    groups = {reading.group for shape, _ in known for reading in shape.readings}
    pairs = [Separators(decimal, group) for decimal in (".", ",") for group in sorted(groups - {None, decimal}, key=str)]
    return [Separators(".", None), Separators(",", None), *pairs]


def _judge(sample: Sample, known: Sequence[tuple[_Shape, int]], separators: Separators) -> NumberForm | None:
    bare = dressed = negative = 0
    is_whole, uses_decimal, uses_group = True, False, False
    for shape, count in known:
        reading = next((each for each in shape.readings if each.decimal in (None, separators.decimal) and each.group in (None, separators.group)), None)
        if reading is None:
            continue
        is_whole &= reading.is_whole
        uses_decimal |= reading.decimal is not None
        uses_group |= reading.group is not None
        dressed += count if shape.is_dressed else 0
        bare += 0 if shape.is_dressed else count
        negative += count if shape.is_negative_text else 0
    # Where the numbers alone are a form, a currency sign here and there is a slip; brackets and a minus behind are what makes a number negative.
    is_bare = not negative and sample.is_most(bare)
    right = bare if is_bare else bare + dressed
    if not sample.is_most(right):
        return None
    used = Separators(separators.decimal if uses_decimal else None, separators.group if uses_group else None)
    return NumberForm(used, is_whole, is_bare, len(sample) - right)


@lru_cache(maxsize=4096)
def read_shape(shape: str) -> _Shape | None:
    """Return how a shape can be read as a number; None if it is none."""
    if "9" not in shape or (match := _NUMBER.fullmatch(shape)) is None:
        return None
    if bool(match["open"]) != bool(match["close"]) or len([part for part in (match["sign"], match["inner"], match["minus"]) if part]) > 1:
        return None
    readings = _read_core(match["core"], is_power=bool(match["power"]))
    if not readings:
        return None
    in_brackets = bool(match["open"])
    dressed = bool(in_brackets or match["before"] or match["front"] or match["behind"] or match["minus"] or match["pad"] or match["end"])
    return _Shape(readings, dressed, in_brackets or bool(match["minus"]))


def _read_core(core: str, *, is_power: bool) -> list[_Reading]:
    runs = re.split(r"[^9]", core)
    marks = [character for character in core if character != "9"]
    if not marks:
        return [_Reading(None, None, not is_power)]
    if any(not run for run in runs[1:-1]):
        return []
    readings: list[_Reading] = []
    last = marks[-1]
    if len(marks) == 1 and last in ".,":
        readings.append(_Reading(last, None, is_whole=False))
    if len(set(marks)) == 1 and _are_groups(runs):
        readings.append(_Reading(None, last, not is_power))
    if len(marks) > 1 and last in ".," and len(set(marks[:-1])) == 1 and marks[0] != last and _are_groups(runs[:-1]):
        readings.append(_Reading(last, marks[0], is_whole=False))
    return readings


def _are_groups(runs: Sequence[str]) -> bool:
    first, *rest = (len(run) for run in runs)
    western = 1 <= first <= _GROUP_DIGITS and all(size == _GROUP_DIGITS for size in rest)
    indian = 1 <= first <= _INDIAN_DIGITS and rest[-1:] == [_GROUP_DIGITS] and all(size == _INDIAN_DIGITS for size in rest[:-1])
    return western or indian
