"""Validate GeoJSON (RFC 7946) and TopoJSON (https://github.com/topojson/topojson-specification)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

_MIN_POSITION, _MIN_LINE, _MIN_RING = 2, 2, 4


def is_geojson(value: object) -> bool:
    """Whether `value` is a geometry, a feature or a collection of these, with coordinates of the right shape."""
    if not isinstance(value, dict) or not _has_valid_bbox(value):
        return False
    kind = value.get("type")
    if kind == "FeatureCollection":
        features = value.get("features")
        return isinstance(features, list) and all(isinstance(item, dict) and item.get("type") == "Feature" and is_geojson(item) for item in features)
    if kind == "Feature":
        return _is_feature(value)
    return _is_geometry(value)


def is_topojson(value: object) -> bool:
    """Whether `value` is a topology whose objects refer only to arcs that exist in it."""
    if not isinstance(value, dict) or value.get("type") != "Topology" or not _has_valid_bbox(value):
        return False
    arcs, objects, transform = value.get("arcs"), value.get("objects"), value.get("transform")
    if not isinstance(arcs, list) or not isinstance(objects, dict):
        return False
    if not all(_is_list_of(_is_position, arc, _MIN_LINE) for arc in arcs):
        return False
    if "transform" in value and not (isinstance(transform, dict) and all(_is_list_of(_is_number, transform.get(key), 2) for key in ("scale", "translate"))):
        return False
    return all(_is_topo_geometry(item, len(arcs)) for item in objects.values())


def _is_feature(value: dict[str, Any]) -> bool:
    geometry, properties = value.get("geometry", ...), value.get("properties", ...)
    if geometry is not None and not (isinstance(geometry, dict) and _is_geometry(geometry)):
        return False
    if properties is not None and not isinstance(properties, dict):
        return False
    return "id" not in value or isinstance(value["id"], str) or _is_number(value["id"])


def _is_geometry(value: dict[str, Any]) -> bool:
    kind = value.get("type")
    if not _has_valid_bbox(value):
        return False
    if kind == "GeometryCollection":
        geometries = value.get("geometries")
        return isinstance(geometries, list) and all(isinstance(item, dict) and _is_geometry(item) for item in geometries)
    is_valid = _COORDINATES.get(kind) if isinstance(kind, str) else None
    return is_valid is not None and is_valid(value.get("coordinates"))


def _is_topo_geometry(value: object, arc_count: int) -> bool:
    if not isinstance(value, dict):
        return False
    kind = value.get("type")
    if kind is None:
        return "type" in value
    if kind == "GeometryCollection":
        geometries = value.get("geometries")
        return isinstance(geometries, list) and all(_is_topo_geometry(item, arc_count) for item in geometries)
    if kind in ("Point", "MultiPoint"):
        return _COORDINATES[kind](value.get("coordinates"))
    depths = {"LineString": 1, "MultiLineString": 2, "Polygon": 2, "MultiPolygon": 3}
    return isinstance(kind, str) and kind in depths and _has_arcs(value.get("arcs"), depths[kind], arc_count)


def _has_arcs(value: object, depth: int, arc_count: int) -> bool:
    if depth:
        return isinstance(value, list) and all(_has_arcs(item, depth - 1, arc_count) for item in value)
    # ~n stands for arc n in reverse.
    return isinstance(value, int) and not isinstance(value, bool) and -arc_count <= value < arc_count


def _has_valid_bbox(value: dict[str, Any]) -> bool:
    return "bbox" not in value or (_is_list_of(_is_number, value["bbox"], 4) and len(value["bbox"]) % 2 == 0)


def _is_number(value: object) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _is_list_of(is_valid: Callable[[object], bool], value: object, at_least: int = 0) -> bool:
    return isinstance(value, list) and len(value) >= at_least and all(map(is_valid, value))


def _is_position(value: object) -> bool:
    return _is_list_of(_is_number, value, _MIN_POSITION)


def _is_line(value: object) -> bool:
    return _is_list_of(_is_position, value, _MIN_LINE)


def _is_ring(value: object) -> bool:
    return isinstance(value, list) and _is_list_of(_is_position, value, _MIN_RING) and value[0] == value[-1]


def _is_polygon(value: object) -> bool:
    return _is_list_of(_is_ring, value)


_COORDINATES: dict[str, Callable[[object], bool]] = {
    # RFC 7946, section 3.1: an empty array of coordinates is a null geometry, which is allowed.
    "Point": lambda value: value == [] or _is_position(value),
    "MultiPoint": lambda value: _is_list_of(_is_position, value),
    "LineString": lambda value: value == [] or _is_line(value),
    "MultiLineString": lambda value: _is_list_of(_is_line, value),
    "Polygon": _is_polygon,
    "MultiPolygon": lambda value: _is_list_of(_is_polygon, value),
}
