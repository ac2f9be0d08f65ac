"""Stage one: from records of the log to decisions in the ledger. Calls user code; never the platform."""
