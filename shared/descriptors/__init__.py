"""The two Frictionless descriptors (Table Schema, Table Dialect): parsed once, every problem reported with its JSON pointer."""
