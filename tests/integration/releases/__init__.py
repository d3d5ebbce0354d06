"""Tables as released versions of the package left them: ``python -m tests.integration.releases VERSION`` adds one.

Each archive is DuckDB's own export after two runs against the demo API with 8 videos, of which one was deleted in between.
"""
