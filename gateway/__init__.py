"""The gateway: verifies callbacks, records them in the log, answers them."""
