"""Labels are paired with fields by name, by likeness and by place."""

from __future__ import annotations

import random

import pytest

from features.processing.checking.match_labels import Likeness, Pair, add_by_place, describe_difference, find_moved, pair_by_name

SAME, ALIKE, NEAR, PLACE = Likeness


def pair(labels: list[str], names: list[str]) -> dict[int, Pair]:
    pairs = pair_by_name([[label] for label in labels], names, left_out=[index for index, label in enumerate(labels) if not label.strip()])
    add_by_place(pairs, labels=len(labels), fields=len(names))
    return pairs


@pytest.mark.parametrize(
    ("labels", "names", "expected"),
    [
        (["id", "qty"], ["id", "qty"], {0: (0, SAME), 1: (1, SAME)}),
        (["id", "born"], ["id", "qty", "born"], {0: (0, SAME), 1: (2, SAME)}),
        (["id", "note", "qty"], ["id", "qty"], {0: (0, SAME), 2: (1, SAME)}),
        (["ID", " qty ", "Born\u00a0on"], ["id", "qty", "born_on"], {0: (0, ALIKE), 1: (1, ALIKE), 2: (2, ALIKE)}),
        (["quantty", "cusotmer"], ["customer", "quantity"], {0: (1, NEAR), 1: (0, NEAR)}),
        (["id", "x", "born"], ["id", "qty", "born"], {0: (0, SAME), 1: (1, PLACE), 2: (2, SAME)}),
        (["x", "id", "born"], ["qty", "id", "born"], {0: (0, PLACE), 1: (1, SAME), 2: (2, SAME)}),
        (["x", "y"], ["a", "b", "c"], {0: (0, PLACE), 1: (1, PLACE)}),
        (["x", "y", "z"], ["a", "b"], {0: (0, PLACE), 1: (1, PLACE)}),
        (["id", ""], ["id", "qty"], {0: (0, SAME), 1: (1, PLACE)}),
        (["qty", "id", "x"], ["id", "qty", "born"], {0: (1, SAME), 1: (0, SAME), 2: (2, PLACE)}),
        (["Id", "ID"], ["id", "qty"], {0: (0, PLACE), 1: (1, PLACE)}),
        (["a1", "a2"], ["b1", "b2"], {0: (0, PLACE), 1: (1, PLACE)}),
        ([], ["a"], {}),
    ],
)
def test_label_is_paired_by_name_then_likeness_then_place(labels: list[str], names: list[str], expected: dict[int, tuple[int, Likeness]]) -> None:
    assert {index: (found.field, found.likeness) for index, found in pair(labels, names).items()} == expected


def test_no_field_is_paired_twice() -> None:
    chance = random.Random(1)
    for _ in range(300):
        names = [f"field {number}" for number in range(chance.randrange(1, 8))]
        labels = [chance.choice([*names, "", "other", "Field 1", "feild 2", "unlike anything"]) for _ in range(chance.randrange(9))]
        labels = [label if label not in labels[:index] else f"copy {index}" for index, label in enumerate(labels)]
        pairs = pair(labels, names)
        assert len({found.field for found in pairs.values()}) == len(pairs)
        assert all(0 <= found.field < len(names) for found in pairs.values())
        assert len(pairs) >= min(sum(label in names for label in labels), len(names))


@pytest.mark.parametrize(
    ("fields", "moved"),
    [
        ([0, 1, 2, 3], set()),
        ([1, 0, 2], {0, 1}),
        ([3, 0, 1, 2], {0}),
        ([1, 2, 3, 0], {3}),
        ([2, 1, 0], {0, 2}),
        ([0, 2, 5], set()),
        ([5, 0, 2], {0}),
        ([], set()),
    ],
)
def test_only_what_was_moved_is_told(fields: list[int], moved: set[int]) -> None:
    assert find_moved(fields) == moved


@pytest.mark.parametrize(
    ("label", "said"),
    [
        (" qty", "it has a blank at its start"),
        ("qty ", "it has a blank at its end"),
        ("Qty", "it is written Qty"),
        ("QTY ", "it is written QTY, and it has a blank at its end"),
        ("qty\u200b", "it contains a zero-width space (U+200B), which cannot be seen"),
        ("\ufeffqty", "it contains a byte order mark (U+FEFF), which cannot be seen"),
        ("q-t-y", "it is written q-t-y"),
    ],
)
def test_difference_of_a_label_is_said(label: str, said: str) -> None:
    assert describe_difference(label, "qty") == said


def test_very_many_labels_are_not_compared_each_with_each() -> None:
    labels = [[f"label {number:05}"] for number in range(16_384)]
    assert pair_by_name(labels, [f"field {number:05}" for number in range(16_384)], left_out=()) == {}
