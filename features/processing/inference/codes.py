"""Codes of digits with leading zeros, such as postcodes and article numbers: texts, since as numbers they would lose their zeros."""

from __future__ import annotations

from features.processing.inference.sample import Sample

_LEADING_ZERO = r"\A0[0-9]+\z"


def find_code_pattern(sample: Sample) -> str | None:
    r"""Return the pattern of a column of codes, `\d{5}` if all have one width, else `\d+`; None if it is no column of codes.

    Signs and decimals say that the column has numbers, if there are more of them than of leading zeros.
    """
    widths: set[int] = set()
    count = numbers = 0
    for shape, cells in sample.shapes:
        if shape.strip("9") == "":
            widths.add(len(shape))
            count += cells
        elif shape.strip("9+-.,") == "":
            numbers += cells
    if not sample.is_most(count):
        return None
    zeros = sample.count_matching(_LEADING_ZERO)
    if not zeros or numbers > zeros:
        return None
    return rf"\d{{{widths.pop()}}}" if len(widths) == 1 else r"\d+"
