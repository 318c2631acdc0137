"""Find out which field each label of a header stands for: by its name, by a name that is nearly the same, or else by its place."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import IntEnum

from features.processing.checking.explain import HIDDEN, describe_padding
from features.processing.readers.find_header import fold_label
from shared.texts import quote_briefly

_NEAR = 0.75
"""Share of characters that a misspelt label must have in common with a name (`difflib.SequenceMatcher.ratio`)."""
_NEAR_CHARACTERS = (4, 64)
_NEAR_NAMES = 50
"""Misspelt labels are looked for if no more labels and names than this are left: each is compared with each."""


class Likeness(IntEnum):
    """How sure it is that a label stands for a field."""

    SAME = 0
    ALIKE = 1
    """The same but for case, blanks and invisible characters."""
    NEAR = 2
    """Misspelt."""
    PLACE = 3
    """Nothing but its place tells."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The field that a label stands for."""

    field: int
    """Index of the field in the schema, from 0."""
    likeness: Likeness


def pair_by_name(labels: Sequence[Sequence[str]], names: Sequence[str], *, left_out: Collection[int]) -> dict[int, Pair]:
    """Return the fields that labels stand for by their names, by the index of the label.

    Each entry of `labels` has the names that are meant by one label, the label itself first; those whose index is in `left_out` stand for nothing. Of
    labels and names that are alike in more than one way, none is paired.
    """
    free = {name: number for number, name in enumerate(names)}
    pairs: dict[int, Pair] = {}
    for index, meant in enumerate(labels):
        found = next((name for name in meant if name in free), None) if index not in left_out else None
        if found is not None:
            pairs[index] = Pair(free.pop(found), Likeness.SAME)
    rest = {index: meant[0] for index, meant in enumerate(labels) if index not in pairs and index not in left_out}
    if rest and free:
        for index, name in _pair_alike(rest, free):
            pairs[index] = Pair(free.pop(name), Likeness.ALIKE)
            del rest[index]
    if rest and free and max(len(rest), len(free)) <= _NEAR_NAMES:
        for index, name in _pair_near(rest, free):
            pairs[index] = Pair(free.pop(name), Likeness.NEAR)
    return pairs


def add_by_place(pairs: dict[int, Pair], *, labels: int, fields: int) -> None:
    """Pair the labels that are left with fields that are left: with the one after its neighbour's, before its neighbour's, or at its own place."""
    taken = {pair.field for pair in pairs.values()}
    next_paired = labels
    before: dict[int, int] = {}
    for index in range(labels - 1, -1, -1):
        if index in pairs:
            next_paired = index
        elif next_paired < labels:
            before[index] = pairs[next_paired].field - (next_paired - index)
    last = -1
    for index in range(labels):
        if index not in pairs:
            place = next((each for each in (last + 1, before.get(index, -1), index) if 0 <= each < fields and each not in taken), None)
            if place is None:
                continue
            pairs[index] = Pair(place, Likeness.PLACE)
            taken.add(place)
        last = pairs[index].field


def find_moved(fields: Sequence[int]) -> set[int]:
    """Return the positions, in a list of distinct fields, that are not where they belong and that not every longest ascending selection has.

    If one of many was moved, it is that one alone; if two have changed places, it is both.
    """
    in_order = sorted(fields)
    if in_order == list(fields):
        return set()
    ahead, behind = _longest_to(fields), _longest_to([-field for field in reversed(fields)])[::-1]
    longest = max(ahead)
    chosen = Counter(here for here, after in zip(ahead, behind, strict=True) if here + after - 1 == longest)
    return {
        position
        for position, (here, after) in enumerate(zip(ahead, behind, strict=True))
        if fields[position] != in_order[position] and not (here + after - 1 == longest and chosen[here] == 1)
    }


def describe_difference(label: str, name: str) -> str:
    """Say in a few words how a label that is alike a name differs from it."""
    bare = "".join(character for character in label if character not in HIDDEN).strip()
    said = []
    if bare != name.strip() and bare.casefold() == name.strip().casefold():
        said.append(f"it is written {quote_briefly(bare)}")
    if bare != label or any(character.isspace() and character != " " for character in label):
        said.append(describe_padding(label))
    return ", and ".join(said) or f"it is written {quote_briefly(label)}"


def _pair_alike(labels: dict[int, str], names: Iterable[str]) -> list[tuple[int, str]]:
    of_names, of_labels = {name: fold_label(name) for name in names}, {index: fold_label(label) for index, label in labels.items()}
    counts, label_counts = Counter(of_names.values()), Counter(of_labels.values())
    by_key = {key: name for name, key in of_names.items() if key and counts[key] == 1}
    return [(index, by_key[key]) for index, key in of_labels.items() if key in by_key and label_counts[key] == 1]


def _pair_near(labels: dict[int, str], names: Iterable[str]) -> list[tuple[int, str]]:
    least, most = _NEAR_CHARACTERS
    folded = {fold_label(name): name for name in names if least <= len(name) <= most}
    left = dict(folded)
    pairs = []
    for index, label in labels.items():
        if least <= len(label) <= most and (found := get_close_matches(fold_label(label), left, n=1, cutoff=_NEAR)):
            pairs.append((index, left.pop(found[0])))
    return pairs


def _longest_to(numbers: Sequence[int]) -> list[int]:
    """Return for each number the length of the longest ascending selection that ends with it."""
    ends: list[int] = []
    lengths = []
    for number in numbers:
        place = bisect_left(ends, number)
        ends[place : place + 1] = [number]
        lengths.append(place + 1)
    return lengths
