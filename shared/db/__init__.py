"""The database: the tables shared by all slices, and the unit of work."""
