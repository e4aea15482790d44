"""What users have done with jobs from outside the daemon: once more, not at all, moved elsewhere."""
