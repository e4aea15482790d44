"""What would be done with a file, or with all that wait, told without doing it."""
