"""darkroom as a service of systemd: the unit made from config.yaml, put in place and taken away again.

Why each setting is what it is: docs/decisions/027-unit.md.
"""
