"""WHEN and WHERE: watching, rules, the ledger, batches, writing, and the command line."""
