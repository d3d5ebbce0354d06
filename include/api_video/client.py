"""Sends requests to api.video: key, rate limit, retries, and errors in plain words. The one place with network I/O."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, cast

import requests
from dlt.common.json import json
from requests.hooks import default_hooks, dispatch_hook
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from include.api_video.answers import RateLimit, read_error, read_retry_after
from include.api_video.endpoints import Host
from include.api_video.errors import ApiVideoLimitError, ApiVideoRequestError, ApiVideoServerError, PassingError
from include.api_video.settings import ENV_PREFIX, Settings
from include.api_video.throttle import Throttle

ATTEMPTS = 6  # of one request: at most about a minute of waiting, beside what a 429 tells us to wait
TIMEOUT_S = (10.0, 60.0)  # to connect, and between two bytes
MISSING = "_missing"  # the field of the row that stands for a 404 where a 404 says "there is none"


class ApiVideoSession(requests.Session):
    """A ``requests`` session for one host, shared by all threads of one task; give it to dlt's REST client.

    HTTP Basic with the key as user name and an empty password (guide, reference/basic-authentication). Every answer that
    arrives is a JSON object: errors are raised as ours, what can pass is tried again.

    Attributes:
        requests_sent: attempts that went out, retries included.
        rate_limited: how many of them came back as 429.
    """

    def __init__(
        self, settings: Settings, host: Host, *, missing_ok: bool = False, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        super().__init__()
        self.auth = (settings.key_of(host), "")
        self.headers["User-Agent"] = "api-video-airflow-dlt"
        self.requests_sent = 0
        self.rate_limited = 0
        self._environment = settings.environment
        self._key_setting = ENV_PREFIX + ("ADMIN_API_KEY" if host is Host.ADMIN else "API_KEY")
        self._missing_ok = missing_ok
        self._sleep = sleep
        self._throttle = Throttle(sleep)
        self._lock = threading.Lock()  # for the counters
        self._kept: dict[str, requests.Response] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> ApiVideoSession:
        """Itself: dlt copies a configuration to check it, and a lock cannot be copied."""
        return self

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Sends with retries.

        Raises:
            RefusedError: trying again cannot help (401, 403, other 4xx).
            PassingError: it failed ``ATTEMPTS`` times (429, 5xx, network).
        """
        if kept := self._kept.pop(request.url or "", None):
            return kept
        # dlt's hooks would raise its own errors before ours are made: they run after.
        hooks, request.hooks = request.hooks, default_hooks()
        kwargs["timeout"] = kwargs.get("timeout") or TIMEOUT_S
        retrying = Retrying(
            stop=stop_after_attempt(ATTEMPTS),
            wait=_wait_s,
            retry=retry_if_exception_type(PassingError),
            sleep=lambda seconds: self._sleep(seconds) if seconds else None,
            reraise=True,
        )
        try:
            response = retrying(self._send_once, request, **kwargs)
        finally:
            request.hooks = hooks
        return cast(requests.Response, dispatch_hook("response", hooks, response, **kwargs))  # type: ignore[no-untyped-call]

    def knows(self, url: str, params: dict[str, Any]) -> bool:
        """Whether the host serves this path at all: False on a 404.

        The answer is kept for the next request of the same URL, so that asking costs nothing.
        """
        request = self.prepare_request(requests.Request("GET", url, params={**params, "page": 1}))
        try:
            self._kept[request.url or ""] = self.send(request)
        except ApiVideoRequestError as error:
            if error.status == 404:
                return False
            raise
        return True

    def _send_once(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        url = (request.url or "").split("?")[0]
        self._throttle.enter()
        limit, answered = None, False
        with self._lock:
            self.requests_sent += 1
        try:
            response = super().send(request, **kwargs)
            limit, answered = _read_limit(response), True
        except requests.RequestException as error:
            raise ApiVideoServerError(f"The connection to {url} broke ({type(error).__name__}). Is it reachable?") from None
        finally:
            self._throttle.leave(limit, answered=answered)
        body = self._read_body(response, url)
        if response.status_code == 404 and self._missing_ok:
            response.status_code, body = 200, {MISSING: True}
        if response.status_code >= 400:
            with self._lock:
                self.rate_limited += response.status_code == 429
            raise read_error(
                response.status_code,
                response.headers,
                body,
                url=url,
                environment=self._environment,
                key_setting=self._key_setting,
            )
        response.json = lambda **_: body  # type: ignore[method-assign]  # parsed once, read by dlt several times
        return response

    @staticmethod
    def _read_body(response: requests.Response, url: str) -> Any:
        """Content types differ (application/json, application/problem+json), so the text decides."""
        try:
            body = json.loadb(response.content)
        except ValueError:
            body = None
        if not isinstance(body, dict) and response.status_code < 400:
            raise ApiVideoServerError(
                f"{url} answered {response.status_code} with something that is no JSON object "
                f"({response.headers.get('Content-Type', 'no content type')}). A proxy in between?"
            )
        return body


def _read_limit(response: requests.Response) -> RateLimit | None:
    """What the answer says of the limit; a 429 says that nothing remains, whatever else it carries."""
    limit = RateLimit.from_headers(response.headers)
    if response.status_code != 429:
        return limit
    retry_after_s = read_retry_after(response.headers)
    return None if retry_after_s is None else RateLimit(limit.limit if limit else 0, 0, retry_after_s)


def _wait_s(state: RetryCallState) -> float:
    """Seconds before the next attempt: a growing, random pause; after a 429 the throttle waits, as long as told."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, ApiVideoLimitError) and error.retry_after_s is not None:
        return 0.0
    return float(wait_random_exponential(multiplier=0.5, max=20)(state))
