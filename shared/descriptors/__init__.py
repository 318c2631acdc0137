"""Parse the two Frictionless descriptors (Table Schema, Table Dialect); every problem is reported with its JSON pointer."""
