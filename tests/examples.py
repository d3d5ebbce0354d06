"""How many examples hypothesis tries: as many as a test says in ``make test-all``, a fifth of them in ``make test``."""

from __future__ import annotations

from hypothesis import settings

USUAL = 100  # hypothesis' own default; the profile of `make test` has a fifth of it


def examples(count: int) -> settings:
    """For a test that would try so many; none is ended for its time."""
    return settings(max_examples=max(1, count * settings().max_examples // USUAL), deadline=None)
