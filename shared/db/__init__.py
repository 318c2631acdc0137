"""The database: tables that belong to everybody, and the unit of work."""
