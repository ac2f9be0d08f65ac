"""The ledger: positions, claims, cards, effects, budgets and the outbox, in SQLite or PostgreSQL."""
