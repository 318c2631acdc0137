"""Read CSV files."""
