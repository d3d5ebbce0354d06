"""Sends requests to api.video: key, rate limit, retries, and errors in plain words. The one place with network I/O."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from itertools import islice
from typing import Any, cast

import requests
from requests.hooks import default_hooks, dispatch_hook
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential

from include.api_video.answers import RateLimit, read_error, read_retry_after
from include.api_video.endpoints import Host
from include.api_video.errors import ApiVideoLimitError, ApiVideoRequestError, ApiVideoServerError, PassingError
from include.api_video.odd_json import parse_json
from include.api_video.settings import Settings
from include.api_video.throttle import Throttle

ATTEMPTS = 6  # of one request: at most about a minute of waiting, beside what a 429 tells us to wait
MORE_LIMITED = 2  # times as many attempts where the answer is 429
TIMEOUT_S = (10.0, 60.0)  # to connect, and between two bytes
AT_ONCE = 8  # requests that this session has under way by itself: pages ahead, single objects
MISSING = "_missing"  # the field of the row that stands for a 404 where a 404 says "there is none"
UNREAD = "_unread"  # the field of the row that stands for an object that the API failed to give
ODD = "_odd"  # the field of the row that stands for JSON that cannot be one: it holds that JSON
MARKS = frozenset({MISSING, UNREAD, ODD})
# One object that the API fails on must not keep all others away; when nothing is answered at all, the API is down.
MOST_UNREAD, MOST_UNREAD_AT_FIRST = 20, 5


class ApiVideoSession(requests.Session):
    """A ``requests`` session for one host, shared by all threads of one task; give it to dlt's REST client.

    HTTP Basic with the key as user name and an empty password (guide, reference/basic-authentication). Every answer that
    arrives is a JSON object: errors are raised as ours, what can pass is tried again.

    Attributes:
        requests_sent: attempts that went out, retries included.
        rate_limited: how many of them came back as 429.

    Args:
        missing_ok: a 404 is an answer, the row ``{MISSING: True}``.
        unread_ok: an object that the API fails to give again and again is the row ``{UNREAD: why}``, for a few of them,
            and an answer that is no object is the row ``{ODD: answer}``.
        attempts: how often one request is tried.
    """

    def __init__(
        self,
        settings: Settings,
        host: Host,
        *,
        missing_ok: bool = False,
        unread_ok: bool = False,
        attempts: int = ATTEMPTS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__()
        self.auth = (settings.key_of(host), "")
        self.headers["User-Agent"] = "api-video-airflow-dlt"
        self.requests_sent = 0
        self.rate_limited = 0
        self._environment = settings.environment
        self._key_setting = settings.account.variable("admin_api_key" if host is Host.ADMIN else "api_key")
        self._missing_ok = missing_ok
        self._unread_ok = unread_ok
        self._unread = self._answered = 0
        self._attempts = attempts
        self._sleep = sleep
        self._throttle = Throttle(sleep, settings.rate_limit_reserve)
        self._lock = threading.Lock()  # for the counters
        self._ahead: dict[str, Future[requests.Response]] = {}  # answers that wait for being asked for, by URL
        self._options: dict[str, Any] = {}  # proxies and certificates, as they were found for the last request

    def __deepcopy__(self, memo: dict[int, Any]) -> ApiVideoSession:
        """Itself: dlt copies a configuration to check it, and a lock cannot be copied."""
        return self

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Sends with retries.

        Raises:
            RefusedError: trying again cannot help (401, 403, other 4xx).
            PassingError: it failed each of the attempts (429, 5xx, network).
        """
        # dlt's hooks would raise its own errors before ours are made: they run after.
        hooks, request.hooks = request.hooks, default_hooks()
        self._options = kwargs = {**kwargs, "timeout": kwargs.get("timeout") or TIMEOUT_S}
        try:
            ahead = self._ahead.pop(request.url or "", None)
            response = ahead.result() if ahead else self._send_until_answered(request, **kwargs)
        except BaseException:
            self._drop_ahead()
            raise
        finally:
            request.hooks = hooks
        return cast(requests.Response, dispatch_hook("response", hooks, response, **kwargs))  # type: ignore[no-untyped-call]

    def _send_until_answered(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        retrying = Retrying(
            stop=self._is_enough,
            wait=_wait_s,
            retry=retry_if_exception_type(PassingError),
            sleep=lambda seconds: self._sleep(seconds) if seconds else None,
            reraise=True,
        )
        try:
            response = retrying(self._send_once, request, **kwargs)
        except ApiVideoServerError as error:
            return self._stand_in(request, error)
        with self._lock:
            self._answered += 1
        return response

    def _is_enough(self, state: RetryCallState) -> bool:
        """Whether to give up. A 429 is an answer that tells to wait, no failure: it may come more often."""
        is_limit = state.outcome is not None and isinstance(state.outcome.exception(), ApiVideoLimitError)
        return state.attempt_number >= self._attempts * (MORE_LIMITED if is_limit else 1)

    def _stand_in(self, request: requests.PreparedRequest, error: ApiVideoServerError) -> requests.Response:
        """An answer in the place of one that never came, where this session may go on without it."""
        with self._lock:
            self._unread += 1
            most = MOST_UNREAD if self._answered else MOST_UNREAD_AT_FIRST
            if not self._unread_ok or self._unread > most:
                raise error
        response = requests.Response()
        response.status_code, response.url, response.request = 200, request.url or "", request
        response.json = lambda **_: {UNREAD: str(error)}  # type: ignore[method-assign]
        return response

    @property
    def rate_limit(self) -> int | None:
        """Requests that the API allows in a minute, as it said last; None where it does not say."""
        return self._throttle.allowed

    # --- several at once ------------------------------------------------------------------------------------------------

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(AT_ONCE, thread_name_prefix="api-video")

    def read_ahead(self, request: requests.PreparedRequest, urls: Iterable[str]) -> None:
        """Sends for URLs that will be asked for next, in this order, as ``request`` was sent.

        Takes ``AT_ONCE`` of them at most: after each of ten thousand pages, all that follow are named again.
        """
        for url in islice(urls, AT_ONCE):
            if url not in self._ahead:
                copy = request.copy()
                copy.url, copy.hooks = url, default_hooks()
                self._ahead[url] = self._pool.submit(self._send_until_answered, copy, **self._options)

    def find_all(self, urls: Sequence[str]) -> Iterator[Mapping[str, Any] | None]:
        """The bodies of single objects as they come in, in this order; None where the host has none (404)."""
        return self._pool.map(self._find, urls)

    def _find(self, url: str) -> Mapping[str, Any] | None:
        response = self._look_up(url)
        return None if response is None else cast("Mapping[str, Any]", response.json())

    def knows(self, url: str, params: dict[str, Any]) -> bool:
        """Whether the host serves this path at all: False on a 404.

        The answer is kept for the next request of the same URL, so that asking costs nothing.
        """
        response = self._look_up(url, {**params, "page": 1})
        if response is None:
            return False
        kept: Future[requests.Response] = Future()
        kept.set_result(response)
        self._ahead[response.request.url or ""] = kept
        return True

    def _look_up(self, url: str, params: dict[str, Any] | None = None) -> requests.Response | None:
        """An answer; None on a 404, whether this session takes one for an answer or for an error."""
        try:
            response = self.get(url, params=params)
        except ApiVideoRequestError as error:
            if error.status == 404:
                return None
            raise
        return None if MISSING in response.json() else response

    def least_s(self, requests: int) -> float:
        """Seconds that so many more requests take at least, by the rate limit."""
        return self._throttle.least_s(requests)

    def close(self) -> None:
        """Gives back connections and threads; what was sent for and never asked for is dropped."""
        if "_pool" in vars(self):
            self._pool.shutdown(wait=False, cancel_futures=True)
            del self._pool
        self._drop_ahead()
        super().close()

    def _drop_ahead(self) -> None:
        for future in self._ahead.values():
            future.cancel()
        self._ahead.clear()

    # --- one -----------------------------------------------------------------------------------------------------------

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

    def _read_body(self, response: requests.Response, url: str) -> Any:
        """Content types differ (application/json, application/problem+json), so the text decides."""
        try:
            body = parse_json(response.content)
            if self._unread_ok and response.status_code < 400 and not isinstance(body, dict):
                return {ODD: body}  # of one object: all others go on
            if isinstance(body, dict) and not MARKS.isdisjoint(body):
                body = without_marks(body)
        except ValueError:
            body = None
        if not isinstance(body, dict) and response.status_code < 400:
            raise ApiVideoServerError(
                f"{url} answered {response.status_code} with something that is no JSON object "
                f"({response.headers.get('Content-Type', 'no content type')}). A proxy in between?"
            )
        return body


def without_marks(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the API that has a field of the name of one of our marks: it is stored as a new field is."""
    return {f"api{name}" if name in MARKS else name: value for name, value in row.items()}


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
    if isinstance(error, ApiVideoLimitError):
        # Not told how long: a window is a minute, so that the pauses together must be longer.
        return 0.0 if error.retry_after_s is not None else float(wait_random_exponential(multiplier=4, max=60)(state))
    return float(wait_random_exponential(multiplier=0.5, max=20)(state))
