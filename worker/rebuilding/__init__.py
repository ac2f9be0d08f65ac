"""A fresh ledger from the log alone: no client, no handler, nothing performed and nothing decided."""
