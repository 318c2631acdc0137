"""Code that every slice may use. It imports no slice."""
