'''Checks: is what stands in the cells right? Pure functions over columns of one chunk.

A check is one small file in this folder; it is found by itself, and nothing else is edited. The whole of one:

    """Refuses cells that begin or end with white space, where a field asks for it with `"trimmed": true`."""

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

`build` runs once for each field and says None where it has nothing to do; `find_bad` runs once for each chunk and marks bad cells. Cells that are
missing, of the wrong type or already in error are left out by the caller, so every cell gets one error at most. The order of the checks is
`registry.ERROR_ORDER`, then the name. A rule over whole rows is a `row_check`, made the same way (keys.py).
'''
