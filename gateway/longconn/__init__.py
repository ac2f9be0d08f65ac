"""The long connection: callbacks over a WebSocket that we open, as a second front end of the gateway."""
