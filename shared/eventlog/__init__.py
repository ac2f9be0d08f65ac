"""The append-only log: one port, three back ends."""
