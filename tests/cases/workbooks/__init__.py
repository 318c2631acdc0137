"""Workbooks as people send them, by kind."""
