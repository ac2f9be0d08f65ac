"""The worker: reads the log, decides, and carries out what was decided."""
