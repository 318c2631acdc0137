"""Readers: turn a file of any format into rows of cells. Each gives one table, read once, in chunks."""
