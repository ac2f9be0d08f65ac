"""A busy machine is no reason to fail: examples have no deadline, the whole test has (pyproject.toml)."""

from hypothesis import settings

settings.register_profile("cardwire", deadline=None)
settings.load_profile("cardwire")
