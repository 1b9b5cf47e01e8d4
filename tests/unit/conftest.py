"""What holds for all unit tests."""

from hypothesis import settings

# A machine that is busy for a moment must not fail a test.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
