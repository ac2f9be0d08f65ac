"""What tests, the chaos runner and the benchmarks share: real services, and what they need to be started."""


class ServiceMissing(Exception):
    """A real service cannot be started here; the text says what is missing and how to get it."""
