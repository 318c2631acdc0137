"""Names of the parts of a package, made comparable: programs write them in any case, with either slash, relative or absolute, percent-encoded or not.

Source: ECMA-376 part 2, 6.2 (part names are compared without regard to case), annex A (relative references).
"""

from __future__ import annotations

from urllib.parse import unquote


def normalize_name(name: str) -> str:
    """Return the name in lower case, with `/` between folders, without a leading slash, `.`, `..` and empty segments."""
    segments: list[str] = []
    for segment in name.replace("\\", "/").lower().split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment not in ("", "."):
            segments.append(segment)
    return "/".join(segments)


def decode_name(name: str) -> str:
    """Return a normalized name without percent-encoding."""
    return normalize_name(unquote(name)) if "%" in name else name


def resolve_target(target: str, *, base: str) -> str:
    """Return the name of the part that a relationship of the part `base` points to; relative targets begin in the folder of `base`."""
    target = target.partition("#")[0].replace("\\", "/")
    folder = base.replace("\\", "/").rpartition("/")[0]
    return target if target.startswith("/") else f"{folder}/{target}"


def relationships_name(part: str) -> str:
    """Return the name of the part that holds the relationships of `part`; `""` stands for the package."""
    folder, _, name = part.replace("\\", "/").rpartition("/")
    return f"{folder}/_rels/{name}.rels"
