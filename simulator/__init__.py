"""A fake of the platform, for newcomers and for tests."""
