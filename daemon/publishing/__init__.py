"""From a result to a file under its final name: named, synced, renamed, recorded; then its source."""
