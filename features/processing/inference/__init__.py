"""Infer a Table Schema for a file that came without one."""
