"""The worker's way to the platform: HTTP, access tokens, and when to leave it alone. Decides nothing."""
