"""The user's side: what a handlers module declares, how a handler is found, and how it is run."""
