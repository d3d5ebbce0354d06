"""Marks of tests of what older versions do not do."""

from __future__ import annotations

import dlt
import pytest
from packaging.version import Version

# Savings of memory and time, no promise of theirs: `make oldest` runs with the oldest supported dlt.
OF_NEW_DLT = pytest.mark.skipif(Version(dlt.__version__) < Version("1.31"), reason="older dlt imports and opens more")
