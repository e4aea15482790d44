"""From a watched folder to a job in the ledger: events as hints, scans as the truth, files that are still."""
