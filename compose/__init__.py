"""How the parts are assembled: the containers, the same stack on one machine without Docker, and the tools that `make` runs."""
