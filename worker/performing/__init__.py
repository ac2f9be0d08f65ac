"""Stage two: from due effects to outcomes in the ledger. Calls the platform; never user code."""
