"""Feature networks: what they are, where their weights lie, how these are read, and the part of them that is used."""
