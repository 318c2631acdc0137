"""Compiles a Table Schema into rules and checks chunks against them. The rules themselves are in `checks/`."""
