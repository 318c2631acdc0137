"""Compile a Table Schema into rules, and check chunks against them. The rules themselves are in `checks/`."""
