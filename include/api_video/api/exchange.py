"""One request and its answer: within the rate limit, in bounded time, and only to hosts where a key may go.

All requests to load api.video go through here.
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
WHOLE_ANSWER_S = 90.0  # from the host's name lookup to the last byte; a page has some 300 kB
MOST_REDIRECTS = 5
BROKEN = (requests.RequestException, HTTPError, UnicodeError)  # requests does not wrap all of urllib3's errors


class BoundedSession(requests.Session):
    """A ``requests`` session with a time limit for each request and its own rules for redirects.

    Attributes:
        requests_sent: attempts sent, including retries and redirects.
        rate_limited: how many of them were answered 429.

    Args:
        url_setting: name of the setting with the address, for messages.
        whole_answer_s: seconds that one attempt may take in all.
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
        """Requests allowed per minute, by the API's latest answer; None if it does not say."""
        return self._throttle.allowed

    def least_s(self, requests: int) -> float:
        """Shortest time for so many more requests under the rate limit, in seconds."""
        return self._throttle.least_s(requests)

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None, so that ``requests`` follows no redirect itself: it would call ``send`` in the middle of ours."""

    def follow(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """The answer after redirects within the host, each a request of its own.

        Raises:
            RedirectError: a redirect leads to another host, or they do not end.
            PassingError: no answer came in time.
            ProxySettingError: the proxy's address or login is wrong.
        """
        hop = request
        for _ in range(1 + MOST_REDIRECTS):
            response = self._exchange(hop, **kwargs)
            url = hop.url or ""
            location = read_location(response.status_code, response.headers, without_query(url))
            if location is None:
                response.request = request  # the original one: prefetched pages are found by its URL
                return response
            hop = request.copy()
            hop.url = redirected(url, location, self._url_setting)
        raise RedirectError(
            f"{without_query(request.url or '')} redirects more than {MOST_REDIRECTS} times. A login page may be in "
            f"between: ask whoever runs the network, and check {self._url_setting}."
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
            # A shutdown of the socket raises many kinds of errors in its reader.
            if not deadline.is_over and not isinstance(error, BROKEN):
                raise
            if not deadline.is_over:
                raise read_broken(error, without_query(url), kwargs.get("proxies") or {}) from None
        finally:
            self._throttle.leave(limit, answered=bool(status), good=200 <= status < 300)
        with self._lock:
            self.rate_limited += status == 429
        if deadline.is_over:  # even without an error: without a Content-Length, a cut answer looks whole
            raise read_slow(without_query(url), self._whole_answer_s)
        return response


def _read_limit(response: requests.Response) -> RateLimit | None:
    """The rate limit in the answer's headers; after a 429 nothing remains, whatever they say."""
    limit = RateLimit.from_headers(response.headers)
    if response.status_code != 429:
        return limit
    retry_after_s = read_retry_after(response.headers)
    return None if retry_after_s is None else RateLimit(limit.limit if limit else 0, 0, retry_after_s)
