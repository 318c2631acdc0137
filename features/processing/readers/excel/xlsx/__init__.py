"""Read XLSX workbooks (Office Open XML)."""
