"""How the parts are put together: containers, the same stack on one machine, and the tools that `make` runs."""
