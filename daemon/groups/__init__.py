"""Files that belong together, as the rules with `inputs` have them: named, found, put together, entered."""
