"""What users ask about the work, answered by a live daemon or from its ledger."""
