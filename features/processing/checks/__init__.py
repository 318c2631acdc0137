'''Checks of cells and rows: pure functions over the columns of one chunk.

A check is one small file in this folder; it is found automatically, and nothing else needs to be edited. A complete example:

    """Refuses cells that begin or end with white space, if a field asks for it with `"trimmed": true`."""

    import pyarrow.compute as pc

    from features.processing.column import Column, as_mask
    from features.processing.checking.declarations import CheckContext, ColumnRule, column_check
    from shared.descriptors.table_schema import Field

    @column_check("trimmed", error_type="trimmed-error")
    def build(field: Field, context: CheckContext) -> ColumnRule | None:
        if field.descriptor.get("trimmed") is not True:
            return None
        return ColumnRule(
            message="This value must not begin or end with blanks.",
            find_bad=lambda column: as_mask(pc.not_equal(column.text, pc.utf8_trim_whitespace(column.text))),
        )

`build` runs once for each field and returns None if it has nothing to check; `find_bad` runs once for each chunk and marks bad cells. The caller
leaves out cells that are missing, of the wrong type or already in error, so every cell gets at most one error. Checks run in the order of
`ERROR_ORDER` in `checking/declarations.py`, then by name. A rule that spans the columns of a row is declared in the same way with
`row_check`, and a rule about keys with `key_check` (see `unique_key.py`).
'''
