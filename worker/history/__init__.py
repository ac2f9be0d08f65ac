"""The log as history: read from its beginning to its end, without a group, never written, no platform called."""
