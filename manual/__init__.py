"""What is generated from the one definition: tables of the documentation, manual pages, the JSON Schema.

`python -m manual` (`make manual`) writes them anew; a test fails while one of them is stale. Not installed: the daemon
needs none of it.
"""
