"""How api.video is asked, and what its answers mean: requests, rate limit, retries, errors in plain words.

May import: errors, catalog, settings.
What a status means, how long to wait, what a key may read: here.
"""
