"""Every type, format and option, with valid, invalid and borderline values."""

from __future__ import annotations

from tests.peer.case import Case, column_case

STRINGS = (
    column_case("string", {"type": "string"}, ["a", "Müller", " padded ", "", "12", "true", "日本語", "a,b", 'say "hi"', "null"]),
    column_case(
        "string-email",
        {"type": "string", "format": "email"},
        ["ada@example.org", "a.b+c@mail.example.com", "nobody", "a@b@example.org", "@example.org", "me@", "me@home", "", "a b@example.org", "x@example..org"],
    ),
    column_case(
        "string-uri",
        {"type": "string", "format": "uri"},
        ["https://example.org/a?b=c#d", "mailto:ada@example.org", "urn:isbn:0451450523", "example.org", "/path", "", "ftp://example.org/x", "not a uri"],
    ),
    column_case(
        "string-uri-strict",
        {"type": "string", "format": "uri"},
        ["http://exa mple.org", "https://example.org/a b", "http:///path", "https://example.org/%zz", "https://example.org/ü", "https://example.org/%20"],
    ),
    column_case(
        "string-uuid",
        {"type": "string", "format": "uuid"},
        [
            "123e4567-e89b-12d3-a456-426614174000",
            "123E4567-E89B-12D3-A456-426614174000",
            "123e4567e89b12d3a456426614174000",
            "{123e4567-e89b-12d3-a456-426614174000}",
            "urn:uuid:123e4567-e89b-12d3-a456-426614174000",
            "123e4567-e89b-12d3-a456-42661417400",
            "g23e4567-e89b-12d3-a456-426614174000",
            "",
        ],
    ),
    column_case("string-binary", {"type": "string", "format": "binary"}, ["aGVsbG8=", "aGVsbG8", "", "TWFu", "T", "a?b=", "TW Fu", "Zm9vYg=="]),
)

NUMBERS = (
    column_case("integer", {"type": "integer"}, ["0", "1", "-5", "+7", "007", "12345678901234567890", "", "x", "1.0", "1.5", "1e3", "0x1F", "--1", "1 000"]),
    column_case("integer-edges", {"type": "integer"}, [" 1", "1 ", "1_000", "\u0661\u0662\u0663", "\uff11\uff12", "5\u00a0"]),
    column_case("integer-group", {"type": "integer", "groupChar": ","}, ["1,000", "1,234,567", "1000", "1.000", "12", "a,b", ""]),
    column_case("integer-bare", {"type": "integer", "bareNumber": False}, ["€95", "95%", "EUR 95", "95", "-5", "none", "", "$-5", "12 kg"]),
    column_case(
        "number",
        {"type": "number"},
        [
            "0",
            "1.5",
            "-2.25",
            "+3",
            ".5",
            "5.",
            "1e3",
            "1E-3",
            "1.5e+2",
            "NaN",
            "INF",
            "-INF",
            "nan",
            "inf",
            "",
            "x",
            "1,5",
            "1.2.3",
            "1 000",
            "--1",
            "0x1F",
            "e5",
        ],
    ),
    column_case("number-edges", {"type": "number"}, [" 1.5", "1.5 ", "1_000.5", "\u0661.\u0665", "Infinity", "-nan", "+inf", "sNaN", "1e400", "1e-400"]),
    column_case("number-decimal-char", {"type": "number", "decimalChar": ","}, ["1,5", "-0,25", "10", "1.5", "1,2,3", "", "a", "1e3"]),
    column_case("number-group-char", {"type": "number", "groupChar": ","}, ["1,000.5", "1,234,567", "1000", "12.75", "1.000,5", "", "a"]),
    column_case("number-european", {"type": "number", "groupChar": ".", "decimalChar": ","}, ["1.000,5", "1.234.567", "12,75", "1000", "a,b", ""]),
    column_case("number-group-edges", {"type": "number", "groupChar": ","}, [",5", "5,", "1,,000", "1.5,0", "-,5"]),
    column_case("number-bare", {"type": "number", "bareNumber": False}, ["€1.50", "99.9%", "USD 12.25", "-3.5", "7", "free", "", "1.5 kg"]),
)

BOOLEANS = (
    column_case("boolean", {"type": "boolean"}, ["true", "True", "TRUE", "1", "false", "False", "FALSE", "0", "", "yes", "no", "t", "tRUE", "2"]),
    column_case(
        "boolean-own-values",
        {"type": "boolean", "trueValues": ["yes", "Y"], "falseValues": ["no", "N"]},
        ["yes", "Y", "no", "N", "true", "1", "", "YES", "n"],
    ),
)

TIMES = (
    column_case(
        "date",
        {"type": "date"},
        ["2024-01-31", "2024-02-29", "1999-12-31", "2023-02-29", "2024-13-01", "31.12.2024", "2024/01/31", "20240131", "", "today", "2024-01-31T00:00:00"],
    ),
    column_case("date-edges", {"type": "date"}, ["2024-1-5", "2024-01-5", "24-01-05", "0001-01-01", "9999-12-31", "0000-01-01", " 2024-01-05"]),
    column_case(
        "date-any", {"type": "date", "format": "any"}, ["2024-01-31", "2024/01/31", "31 Jan 2024", "January 31, 2024", "31.12.2024", "", "never", "2024-13-45"]
    ),
    column_case("date-any-loose", {"type": "date", "format": "any"}, ["01/02/2024", "5", "Monday", "2024", "10:30", "2024-01-31 10:00"]),
    column_case("date-pattern", {"type": "date", "format": "%d.%m.%Y"}, ["31.12.2024", "01.02.2024", "29.02.2023", "2024-12-31", "12.31.2024", "", "1.2.2024"]),
    column_case("time", {"type": "time"}, ["10:30:00", "00:00:00", "23:59:59", "24:00:01", "10:60:00", "10:30", "10", "", "noon", "1:2:3"]),
    column_case("time-edges", {"type": "time"}, ["10:30:00Z", "10:30:00+01:00", "10:30:00.5", "24:00:00", "10:30:60", "10:30:00 "]),
    column_case("time-any", {"type": "time", "format": "any"}, ["10:30", "10:30:15", "10:30 PM", "", "25:00", "whenever"]),
    column_case("time-pattern", {"type": "time", "format": "%H.%M"}, ["10.30", "00.00", "24.00", "10:30", "", "9.5"]),
    column_case(
        "datetime",
        {"type": "datetime"},
        ["2024-01-31T10:30:00", "2024-01-31T10:30:00Z", "2024-01-31T10:30:00+01:00", "2024-01-31T10:30:00.123", "2024-01-31", "2024-02-30T00:00:00", "", "now"],
    ),
    column_case(
        "datetime-edges",
        {"type": "datetime"},
        [
            "2024-01-31 10:30:00",
            "2024-01-31T10:30",
            "2024-01-31T24:00:00",
            "2024-01-31T10:30:00+0100",
            "2024-01-31T10:30:00,5",
            "2024-W05-3T10:30:00",
            "2024-01-31T10:30:60",
        ],
    ),
    column_case("datetime-any", {"type": "datetime", "format": "any"}, ["2024-01-31 10:30:00", "2024-01-31T10:30:00", "31 Jan 2024 10:30", "", "sometime"]),
    column_case(
        "datetime-pattern",
        {"type": "datetime", "format": "%d/%m/%Y %H:%M"},
        ["31/01/2024 10:30", "01/02/2024 00:00", "31/02/2024 10:30", "2024-01-31T10:30:00", ""],
    ),
    column_case("year", {"type": "year"}, ["2024", "1999", "0001", "", "24", "20245", "MMXX", "20.4", "2024-01"]),
    column_case("year-edges", {"type": "year"}, ["-2024", "0000", "+999", "2024Z", " 999", "9_99", "12024"]),
    column_case("yearmonth", {"type": "yearmonth"}, ["2024-01", "1999-12", "2024-13", "2024-00", "2024", "", "Jan 2024", "2024/01"]),
    column_case("yearmonth-edges", {"type": "yearmonth"}, ["2024-1", "24-01", "-2024-01", "2024-01-01", "2024- 1", "0000-01"]),
    column_case("duration", {"type": "duration"}, ["P1Y2M3DT4H5M6S", "P1D", "PT1H", "-P1D", "P0Y", "PT0.5S", "", "1 day", "1D", "P1S"]),
    column_case("duration-edges", {"type": "duration"}, ["P", "PT", "P1YT", "P2W", "P1.5D", "P1M2Y", "+P1D", "p1d", "P0001-01-01T00:00:00", "PT1,5S"]),
)

PLACES = (
    column_case("geopoint", {"type": "geopoint"}, ["90.5,45.25", "90.5, 45.25", "-180,-90", "181,0", "0,91", "45", "a,b", "", "1,2,3"]),
    column_case("geopoint-edges", {"type": "geopoint"}, ["1 ,2", " 1,2", "1,  2", "NaN,1", "1e1,2", "1_0,2"]),
    column_case(
        "geopoint-array",
        {"type": "geopoint", "format": "array"},
        ["[90.5, 45.25]", "[0, 0]", "[1]", "[1, 2, 3]", "90,45", "[181, 0]", "", '["1", "2"]', "[true, 2]"],
    ),
    column_case(
        "geopoint-object",
        {"type": "geopoint", "format": "object"},
        ['{"lon": 90.5, "lat": 45.25}', '{"lat": 1, "lon": 2}', '{"lon": 1}', '{"x": 1, "y": 2}', '{"lon": 1, "lat": 91}', "[1, 2]", ""],
    ),
    column_case(
        "geojson",
        {"type": "geojson"},
        [
            '{"type": "Point", "coordinates": [1, 2]}',
            '{"type": "LineString", "coordinates": [[1, 2], [3, 4]]}',
            '{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}',
            '{"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2]}, "properties": {}}',
            '{"type": "FeatureCollection", "features": []}',
            '{"type": "Circle", "coordinates": [1, 2]}',
            '{"type": "Point", "coordinates": ["a", 2]}',
            '{"type": "Point"}',
            "[1, 2]",
            "",
            "{",
        ],
    ),
    column_case(
        "geojson-edges",
        {"type": "geojson"},
        [
            '{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [2, 2]]]}',
            '{"type": "LineString", "coordinates": [[1, 2]]}',
            '{"type": "Point", "coordinates": [1]}',
            '{"type": "Feature", "geometry": null, "properties": null}',
            '{"type": "GeometryCollection", "geometries": [{"type": "Point", "coordinates": [1, 2]}]}',
            "{}",
        ],
    ),
    column_case(
        "geojson-topojson",
        {"type": "geojson", "format": "topojson"},
        [
            '{"type": "Topology", "objects": {"a": {"type": "Point", "coordinates": [1, 2]}}, "arcs": []}',
            '{"type": "Topology", "objects": {"a": {"type": "LineString", "arcs": [0]}}, "arcs": [[[0, 0], [1, 1]]]}',
            '{"type": "Point", "coordinates": [1, 2]}',
            '{"type": "Topology", "arcs": []}',
            "",
        ],
    ),
)

STRUCTURES = (
    column_case("object", {"type": "object"}, ['{"a": 1}', "{}", '{"a": {"b": [1]}}', "[1]", "1", '"a"', "", "{a: 1}", "{", "null"]),
    column_case("array", {"type": "array"}, ["[1, 2]", "[]", '["a", null]', "{}", "1", "", "1,2", "[1,", "[1 2]"]),
    column_case("json-edges", {"type": "array"}, ["[NaN]", "[Infinity]", " [1]", "[1,]", "[01]", "['a']"]),
    column_case("list", {"type": "list"}, ["a,b,c", "a", "", "a,,b", ",", "1,2"]),
    column_case("list-delimiter", {"type": "list", "delimiter": ";", "itemType": "integer"}, ["1;2;3", "1", "1;x", "1,2", "", "1;2.5", "1;"]),
    column_case("list-dates", {"type": "list", "itemType": "date"}, ["2024-01-01,2024-01-02", "2024-01-01", "2024-01-01,x", "2024-02-30", ""]),
    column_case("any", {"type": "any"}, ["a", "1", "", "true", "{}"]),
    column_case("no-type", {}, ["a", "1", "", "true", "{}"]),
)

MISSING = (
    column_case("missing-global", {"type": "integer"}, ["1", "", "NA", "-", "n/a", "x"], missingValues=["", "NA", "-"]),
    column_case("missing-without-empty", {"type": "integer"}, ["1", "NA", "x", "", "2"], missingValues=["NA"]),
    column_case("missing-of-field", {"type": "number", "missingValues": ["-999", ""]}, ["1.5", "-999", "", "NA", "-998"], missingValues=["NA"]),
    column_case(
        "missing-labelled",
        {"type": "integer"},
        ["1", "-99", "-98", "", "-97"],
        missingValues=[{"value": "-99", "label": "refused"}, {"value": "-98", "label": "unknown"}],
    ),
    column_case("missing-none", {"type": "string", "constraints": {"required": True}}, ["a", "", "b"], missingValues=[]),
    column_case("missing-required", {"type": "string", "constraints": {"required": True}}, ["a", "", "NA", "-", "b"], missingValues=["", "NA", "-"]),
    column_case("blanks", {"type": "integer"}, ["1", " ", "\t", "2"]),
    column_case("blanks-required", {"type": "string", "constraints": {"required": True}}, ["a", " ", "   ", ""]),
)

VALUE_CASES: tuple[Case, ...] = (*STRINGS, *NUMBERS, *BOOLEANS, *TIMES, *PLACES, *STRUCTURES, *MISSING)
