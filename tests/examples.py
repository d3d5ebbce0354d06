"""Number of examples that hypothesis tries: the test's own in ``make test-all``, a fifth of it in ``make test``."""

from __future__ import annotations

from hypothesis import settings

USUAL = 100  # hypothesis' default; the profile of `make test` has a fifth of it


def examples(count: int) -> settings:
    """Settings for a test with so many examples, without a time limit."""
    return settings(max_examples=max(1, count * settings().max_examples // USUAL), deadline=None)
