"""Requests to api.video and the meaning of its answers: rate limit, retries, errors in plain words.

May import: errors, catalog, settings.
Change here: what a status means, how long to wait, what a key may read.
"""
