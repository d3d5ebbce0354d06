"""One request and its answer: within the rate limit, in bounded time, and only to where a key may go.

The one place with network I/O.
"""

from __future__ import annotations

import threading
from typing import Any

import requests
from urllib3.exceptions import HTTPError

from include.api_video.api.answers import RateLimit, read_location, read_retry_after
from include.api_video.api.connection_errors import read_broken, read_slow
from include.api_video.api.deadline import Deadline, WatchedAdapter
from include.api_video.api.throttle import Throttle
from include.api_video.errors import RedirectError
from include.api_video.settings.addresses import check_unencrypted, is_local, redirected, without_query

TIMEOUT_S = (10.0, 60.0)  # to connect, and between two bytes
WHOLE_ANSWER_S = 90.0  # from the look-up of the host's name to the last byte: a page has some 300 kB
MOST_REDIRECTS = 5
BROKEN = (requests.RequestException, HTTPError, UnicodeError)  # urllib3's where requests does not turn it into its own


class BoundedSession(requests.Session):
    """A ``requests`` session whose requests end, and that follows redirects by rules of its own.

    Attributes:
        requests_sent: attempts that went out, retries and redirects included.
        rate_limited: how many of them came back as 429.

    Args:
        url_setting: what names the address, for messages.
        whole_answer_s: how long one attempt may take, whatever it waits for.
    """

    def __init__(self, throttle: Throttle, url_setting: str, whole_answer_s: float) -> None:
        super().__init__()
        for scheme in ("http://", "https://"):
            self.mount(scheme, WatchedAdapter())
        self.requests_sent = 0
        self.rate_limited = 0
        self._throttle, self._url_setting, self._whole_answer_s = throttle, url_setting, whole_answer_s
        self._lock = threading.Lock()  # for the counters

    @property
    def rate_limit(self) -> int | None:
        """Requests that the API allows in a minute, as it said last; None where it does not say."""
        return self._throttle.allowed

    def least_s(self, requests: int) -> float:
        """Seconds that so many more requests take at least, by the rate limit."""
        return self._throttle.least_s(requests)

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: ``requests`` follows no redirect by itself. It would call ``send``, inside of this one's request."""

    def follow(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """The answer, also where redirects within the host lead to it: each of them is a request of its own.

        Raises:
            RedirectError: one leads elsewhere, or they do not end.
            PassingError: no answer came, or not in time.
            ProxySettingError: the proxy on the way cannot be used so.
        """
        hop = request
        for _ in range(1 + MOST_REDIRECTS):
            response = self._exchange(hop, **kwargs)
            url = hop.url or ""
            location = read_location(response.status_code, response.headers, without_query(url))
            if location is None:
                response.request = request  # what was asked for: pages that were read ahead are found by it
                return response
            hop = request.copy()
            hop.url = redirected(url, location, self._url_setting)
        raise RedirectError(
            f"{without_query(request.url or '')} leads from one address to the next, {MOST_REDIRECTS} times and on. A "
            f"login page in between? Ask who runs the network, and check {self._url_setting}."
        )

    def _exchange(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """One request and its answer, within the rate limit and in bounded time."""
        url = request.url or ""
        check_unencrypted(url)
        if is_local(url):
            kwargs["proxies"] = {}
        self._throttle.enter()
        limit, status = None, 0
        with self._lock:
            self.requests_sent += 1
        try:
            with Deadline(self._whole_answer_s) as deadline:
                response = super().send(request, **kwargs)
            limit, status = _read_limit(response), response.status_code
        except Exception as error:
            # A socket that is shut down under a reader breaks in many ways.
            if not deadline.is_over and not isinstance(error, BROKEN):
                raise
            if not deadline.is_over:
                raise read_broken(error, without_query(url), kwargs.get("proxies") or {}) from None
        finally:
            self._throttle.leave(limit, answered=bool(status), good=200 <= status < 300)
        with self._lock:
            self.rate_limited += status == 429
        if deadline.is_over:  # what came of it looks like a whole answer where its length was not told
            raise read_slow(without_query(url), self._whole_answer_s)
        return response


def _read_limit(response: requests.Response) -> RateLimit | None:
    """What the answer says of the limit; a 429 says that nothing remains, whatever else it carries."""
    limit = RateLimit.from_headers(response.headers)
    if response.status_code != 429:
        return limit
    retry_after_s = read_retry_after(response.headers)
    return None if retry_after_s is None else RateLimit(limit.limit if limit else 0, 0, retry_after_s)
