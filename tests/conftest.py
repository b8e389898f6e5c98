"""Settings of all tests."""

from hypothesis import settings

# The same examples each time: a failure belongs to the change that shows it.
settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")
