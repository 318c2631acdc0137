"""Find out which error cells are pictures: Excel stores a picture in a cell as the error `#VALUE!` with a number that leads to the picture.

The number of a cell (its attribute `vm`) counts the blocks of `valueMetadata` in `metadata.xml`. A block leads to a rich value, that to its structure, and
the structure has a type. Sources: ECMA-376 part 1, 18.9 (metadata); [MS-XLSX] 2.3.6, 2.6.204 (rich values).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from features.processing.readers.base import FileUnreadable
from features.processing.readers.excel.xlsx.package import MAX_SMALL_PART_BYTES, Package
from features.processing.readers.excel.xlsx.part_parser import visit_elements
from features.processing.readers.excel.xlsx.relationships import Relationship, find_related

_PICTURES = frozenset({"_localimage", "_webimage"})
_RICH_VALUE = "xlrichvalue"


def find_pictures(package: Package, relationships: Mapping[str, Relationship]) -> frozenset[int]:
    """Return the numbers, from 1, that cells with pictures have in their attribute `vm`; none if the parts that tell are missing or damaged."""
    try:
        values = _Parts(package, relationships)
        structures = values.list_attributes("rdrichvaluestructure", "s", "t")
        rich_values = values.list_attributes("rdrichvalue", "rv", "s")
        pictures = {place for place, number in enumerate(rich_values) if structures[int(number)].lower() in _PICTURES}
        return frozenset(number for number, place in values.number_rich_values() if place in pictures) if pictures else frozenset()
    except (FileUnreadable, ValueError, LookupError):
        # Without them the cells are what they say: errors.
        return frozenset()


class _Parts:
    """The parts that lead from a cell to a picture."""

    def __init__(self, package: Package, relationships: Mapping[str, Relationship]) -> None:
        self._package, self._relationships = package, relationships

    def list_attributes(self, kind: str, path: str, attribute: str) -> list[str]:
        """Return an attribute of all elements at `path` in the part that is related as `kind`."""
        found: list[str] = []

        def visit(at: str, attributes: Mapping[str, str]) -> None:
            if at == path:
                found.append(attributes.get(attribute, "")[:100])

        self._visit(kind, visit)
        return found

    def number_rich_values(self) -> list[tuple[int, int]]:
        """Return the number of each block of `valueMetadata` that leads to a rich value, and the place of that rich value, from 0."""
        types: list[str] = []
        places: list[int] = []
        blocks: list[tuple[int, int, int]] = []
        count = 0
        future = ""

        def visit(path: str, attributes: Mapping[str, str]) -> None:
            nonlocal count, future
            if path == "metadataTypes/metadataType":
                types.append(attributes.get("name", "").lower()[:100])
            elif path == "futureMetadata":
                future = attributes.get("name", "").lower()
            elif path.startswith("futureMetadata/bk/") and path.endswith(" rvb") and future == _RICH_VALUE:
                places.append(int(attributes["i"]))
            elif path == "valueMetadata/bk":
                count += 1
            elif path == "valueMetadata/bk/rc":
                blocks.append((count, int(attributes["t"]), int(attributes["v"])))

        self._visit("sheetmetadata", visit)
        return [(number, places[place]) for number, kind, place in blocks if kind >= 1 and types[kind - 1] == _RICH_VALUE and place >= 0]

    def _visit(self, kind: str, visit: Callable[[str, Mapping[str, str]], None]) -> None:
        part = find_related(self._relationships, kind)
        if part is not None:
            visit_elements(self._package.blocks(part, most_bytes=MAX_SMALL_PART_BYTES), lambda _: None, visit)
