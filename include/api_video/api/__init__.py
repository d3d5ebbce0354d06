"""How api.video is asked, and what its answers mean.

May import: errors, catalog, settings.

Change here: requests, retries, a 429, what an answer means.

- answers: what a status (such as 404) or a body means
- client: requests, retries, several at once
- analytics: what answers of the analytics API mean
- throttle: the rate limit, and the pause after a 429 (one that does not say how long: `client`)
- exchange: one request and its answer, redirects
- deadline: an end to every request
- connection_errors: what a broken connection means
- odd_json: JSON that the fast parser refuses or rounds
- permissions: what a key may read
- origin: how the demo is told from an account
- work_time: how long reading may take
"""
