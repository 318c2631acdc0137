"""Readers: what stands in which row and cell of a file? One table, read once, in chunks."""
