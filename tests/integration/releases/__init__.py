"""Tables of released versions of the package. ``python -m tests.integration.releases VERSION`` adds one.

Each archive is DuckDB's own export after two runs against the demo API with 8 videos, one of them deleted in between.
"""
