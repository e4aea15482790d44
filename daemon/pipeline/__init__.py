"""From a job to a result: claimed, read, decoded, put into batches, run, encoded, and how a job leaves."""
