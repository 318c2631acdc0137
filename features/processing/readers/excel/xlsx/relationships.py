"""Relationships between the parts of a package. Source: ECMA-376 part 2, 6.5."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from features.processing.readers.excel.xlsx.package import MAX_SMALL_PART_BYTES, Package
from features.processing.readers.excel.xlsx.part_names import relationships_name, resolve_target
from features.processing.readers.excel.xlsx.part_parser import visit_elements


@dataclass(frozen=True, slots=True)
class Relationship:
    """What one part says of another."""

    kind: str
    """The last segment of its type in lower case, such as `worksheet`: the segments before it depend on the variant of the format."""
    part: str
    """The name of the other part, which need not be there."""


def read_relationships(package: Package, part: str) -> dict[str, Relationship]:
    """Read the relationships of a part (of the package, if it is `""`) by their ids; none if the part has none.

    Those to places outside the package are left out. Raises `FileUnreadable` if they are damaged.
    """
    name = relationships_name(part)
    found: dict[str, Relationship] = {}
    if package.find(name) is None:
        return found

    def visit(path: str, attributes: Mapping[str, str]) -> None:
        if path == "Relationship" and attributes.get("TargetMode", "").lower() != "external":
            kind = attributes.get("Type", "").rstrip("/").rpartition("/")[2].lower()
            identifier = attributes.get("Id", f"#{len(found)}")
            found.setdefault(identifier, Relationship(kind, resolve_target(attributes.get("Target", ""), base=part)))

    visit_elements(package.blocks(name, most_bytes=MAX_SMALL_PART_BYTES), lambda _: None, visit)
    return found


def find_related(relationships: Mapping[str, Relationship], *kinds: str) -> str | None:
    """Return the name of the first part that is related in one of the ways of `kinds`, in their order, or None."""
    for kind in kinds:
        for relationship in relationships.values():
            if relationship.kind == kind:
                return relationship.part
    return None
