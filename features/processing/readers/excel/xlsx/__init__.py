"""Reads XLSX workbooks (Office Open XML)."""
