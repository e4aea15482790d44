"""What the daemon tells while it works: lines of a journal, a bar on a terminal, at the start, in trouble."""
