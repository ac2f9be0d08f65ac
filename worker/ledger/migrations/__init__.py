"""The schema's history, oldest first. Run by `worker.ledger.schema`; never edited once released."""
