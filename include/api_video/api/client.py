"""Sends requests to api.video: key, retries, several at once, and errors in plain words."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from itertools import islice
from typing import Any, cast

import requests
from requests.hooks import default_hooks, dispatch_hook
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential

from include.api_video.api.answers import is_page, read_error, read_foreign
from include.api_video.api.exchange import TIMEOUT_S, WHOLE_ANSWER_S, BoundedSession
from include.api_video.api.odd_json import parse_json
from include.api_video.api.origin import DEMO_HEADER
from include.api_video.api.throttle import Throttle
from include.api_video.api.work_time import SLACK, reads_per_minute, spell, time_for
from include.api_video.catalog.model import Host
from include.api_video.errors import (
    ApiVideoError,
    ApiVideoKeyError,
    ApiVideoLimitError,
    ApiVideoPermissionError,
    ApiVideoRequestError,
    ApiVideoSlowError,
    ForeignAnswerError,
    PassingError,
    TimeIsUpError,
)
from include.api_video.settings.addresses import without_query
from include.api_video.settings.settings import Settings

ATTEMPTS = 6  # of one request: at most about a minute of waiting, beside what a 429 tells us to wait
MORE_LIMITED = 2  # times as many attempts where the answer is 429
SLOW_ATTEMPTS = 2  # where the answer did not end: another try takes as long
ADMIN_PER_SECOND = 10  # guide, reference/admin-api-overview; its answers carry no headers of a limit
AT_ONCE = 8  # requests that this session has under way by itself: pages ahead, single objects
MISSING = "_missing"  # the field of the row that stands for a 404 where a 404 says "there is none"
UNREAD = "_unread"  # the field of the row that stands for an object that the API failed to give
STOPPED = "_stopped"  # the field of the body that stands for a page that the API did not give: its error
ODD = "_odd"  # the field of the row that stands for JSON that cannot be one: it holds that JSON
MARKS = frozenset({MISSING, UNREAD, STOPPED, ODD})
_NO_JSON = object()
# One object that the API fails on must not keep all others away; when nothing is answered at all, the API is down.
MOST_UNREAD, MOST_UNREAD_AT_FIRST = 20, 5


class ApiVideoSession(BoundedSession):
    """A ``requests`` session for one host, shared by all threads of one task; give it to dlt's REST client.

    HTTP Basic with the key as user name and an empty password (guide, reference/basic-authentication). Every answer that
    arrives is a JSON object: errors are raised as ours, what can pass is tried again.

    Attributes:
        given_up: why no more single objects are asked for.

    Args:
        missing_ok: a 404 is an answer, the row ``{MISSING: True}``.
        unread_ok: an object that the API fails to give again and again is the row ``{UNREAD: why}``; after a few of them,
            or where the key is refused all of a sudden, so are all that follow (``given_up``), and none is asked for. An
            answer that is no object is the row ``{ODD: answer}``.
        stops_ok: a page after the first that the API does not give is an empty one with ``{STOPPED: error}``.
        attempts: how often one request is tried.
        whole_answer_s: how long one attempt may take, whatever it waits for.
        sleep, clock: seconds; arguments, so that tests need not wait.
    """

    def __init__(
        self,
        settings: Settings,
        host: Host,
        *,
        missing_ok: bool = False,
        unread_ok: bool = False,
        stops_ok: bool = False,
        attempts: int = ATTEMPTS,
        whole_answer_s: float = WHOLE_ANSWER_S,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        is_admin = host is Host.ADMIN
        throttle = Throttle(
            sleep, settings.rate_limit_reserve, per_second=ADMIN_PER_SECOND if is_admin else None, clock=clock
        )
        url_setting = settings.account.variable("admin_base_url" if is_admin else "base_url")
        super().__init__(throttle, url_setting, whole_answer_s)
        self.auth = (settings.key_of(host), "")
        self.headers["User-Agent"] = "api-video-airflow-dlt"
        self.is_demo = False  # by its own words
        self._environment = settings.environment
        self._key_setting = settings.account.variable("admin_api_key" if is_admin else "api_key")
        self._missing_ok = missing_ok
        self._unread_ok, self._stops_ok = unread_ok, stops_ok
        self.given_up: ApiVideoError | None = None
        self._unread = self._answered = 0
        self._attempts, self._sleep, self._clock = attempts, sleep, clock
        self._began_at, self._expected, self._reserve = clock(), 0, settings.rate_limit_reserve
        self._ahead: dict[str, Future[requests.Response]] = {}  # answers that wait for being asked for, by URL
        self._options: dict[str, Any] = {}  # proxies and certificates, as they were found for the last request

    def __deepcopy__(self, memo: dict[int, Any]) -> ApiVideoSession:
        """Itself: dlt copies a configuration to check it, and a lock cannot be copied."""
        return self

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Sends with retries.

        Raises:
            RefusedError: trying again cannot help (401, 403, other 4xx, a redirect to another host).
            PassingError: it failed each of the attempts (429, 5xx, network), or took too long.
        """
        # dlt's hooks would raise its own errors before ours are made: they run after.
        hooks, request.hooks = request.hooks, default_hooks()
        self._options = kwargs = {**kwargs, "timeout": kwargs.get("timeout") or TIMEOUT_S}
        try:
            ahead = self._ahead.pop(request.url or "", None)
            response = ahead.result() if ahead else self._send_until_answered(request, **kwargs)
        except BaseException:
            self.drop_ahead()
            raise
        finally:
            request.hooks = hooks
        return cast(requests.Response, dispatch_hook("response", hooks, response, **kwargs))  # type: ignore[no-untyped-call]

    def _send_until_answered(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        if self.given_up:
            return _response(request, {UNREAD: str(self.given_up)})
        retrying = Retrying(
            stop=self._is_enough,
            wait=_wait_s,
            retry=retry_if_exception_type(PassingError),
            sleep=lambda seconds: self._sleep(seconds) if seconds else None,
            reraise=True,
        )
        try:
            self._check_time()
            response = retrying(self._send_once, request, **kwargs)
        except ApiVideoError as error:
            return self._stand_in(request, error)
        with self._lock:
            self._answered += 1
        return response

    def _is_enough(self, state: RetryCallState) -> bool:
        """Whether to give up. A 429 is an answer that tells to wait, no failure: it may come more often."""
        error, most = state.outcome.exception() if state.outcome else None, self._attempts
        if isinstance(error, ApiVideoLimitError):
            most *= MORE_LIMITED
        if isinstance(error, ApiVideoSlowError):
            most = min(most, SLOW_ATTEMPTS)
        return state.attempt_number >= most

    def _stand_in(self, request: requests.PreparedRequest, error: ApiVideoError) -> requests.Response:
        """An answer in the place of one that never came, so that what was read before is not lost with it.

        Raises:
            ApiVideoError: ``error`` itself, where there is no going on without the answer.
        """
        body = self._instead_of(error)
        if body is None:
            raise error
        return _response(request, body)

    def _instead_of(self, error: ApiVideoError) -> dict[str, Any] | None:
        """The body that stands for an answer that never came; None where there is no going on without it."""
        if self._stops_ok and self._answered:
            return {STOPPED: error, "data": [], "items": []}
        if not self._unread_ok:
            return None
        is_refused = isinstance(error, (ApiVideoKeyError, ApiVideoPermissionError))
        with self._lock:
            self._unread += 1
            most = MOST_UNREAD if self._answered else MOST_UNREAD_AT_FIRST
            if (is_refused or self._unread > most) and not isinstance(error, TimeIsUpError):
                if not self._answered:
                    return None
                self.given_up = self.given_up or error
        return {UNREAD: str(error)}

    # --- time ---------------------------------------------------------------------------------------------------------

    def expect(self, requests: int) -> None:
        """Takes note of how many requests are due in all: they decide how long reading may take (``work_time``)."""
        self._expected = requests

    def _check_time(self) -> None:
        due = max(self._expected, self.requests_sent)
        per_minute = reads_per_minute(self._environment, self._reserve, self.rate_limit)
        allowed_s = time_for(due, per_minute)
        if self._clock() - self._began_at > allowed_s:
            raise TimeIsUpError(
                f"Reading was ended after {spell(allowed_s)}: half an hour and {SLACK} times what {due:,} requests need at "
                f"{per_minute:,.0f} a minute. The API or the network is very slow, or others use up the account's rate "
                "limit. The next run goes on."
            )

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
        try:
            response = self._look_up(url, {**params, "page": 1})
        except ForeignAnswerError as error:  # what an unknown path answers is not documented: a web page will do
            if error.status == 404:
                return False
            raise
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
            if error := response.json().get(STOPPED):
                raise error
        except ApiVideoRequestError as error:
            if error.status == 404:
                return None
            raise
        return None if MISSING in response.json() else response

    def close(self) -> None:
        """Gives back connections and threads; what was sent for and never asked for is dropped."""
        if "_pool" in vars(self):
            self._pool.shutdown(wait=False, cancel_futures=True)
            del self._pool
        self.drop_ahead()
        super().close()

    def drop_ahead(self) -> None:
        """Forgets what was sent for ahead: the pages may have moved meanwhile."""
        for future in self._ahead.values():
            future.cancel()
        self._ahead.clear()

    # --- one -----------------------------------------------------------------------------------------------------------

    def _send_once(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        url = without_query(request.url or "")
        response = self.follow(request, **kwargs)
        text, body = response.content, _read_json(response)
        self.is_demo |= DEMO_HEADER in response.headers
        if response.status_code >= 400:
            if response.status_code == 404 and self._missing_ok and not is_page(response.headers, text):
                response.status_code, body = 200, {MISSING: True}
            else:
                raise self._read_error(response, body, url)
        elif body is _NO_JSON or not (isinstance(body, dict) or self._unread_ok):
            raise read_foreign(response.status_code, response.headers, text, url)
        taken = body if isinstance(body, dict) else {ODD: body}  # of one object: all others go on
        response.json = lambda **_: taken  # type: ignore[method-assign]  # parsed once, read by dlt several times
        return response

    def _read_error(self, response: requests.Response, body: Any, url: str) -> ApiVideoError:
        return read_error(
            response.status_code,
            response.headers,
            None if body is _NO_JSON else body,
            url=url,
            environment=self._environment,
            key_setting=self._key_setting,
            text=response.content,
        )


def _response(request: requests.PreparedRequest, body: dict[str, Any]) -> requests.Response:
    """An answer that never came over the network."""
    response = requests.Response()
    response.status_code, response.url, response.request = 200, request.url or "", request
    response.json = lambda **_: body  # type: ignore[method-assign]
    return response


def without_marks(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the API that has a field of the name of one of our marks: it is stored as a new field is."""
    return {f"api{name}" if name in MARKS else name: value for name, value in row.items()}


def _read_json(response: requests.Response) -> Any:
    """Content types differ (application/json, application/problem+json), so the text decides."""
    try:
        body = parse_json(response.content)
    except ValueError:
        return _NO_JSON
    return without_marks(body) if isinstance(body, dict) and not MARKS.isdisjoint(body) else body


def _wait_s(state: RetryCallState) -> float:
    """Seconds before the next attempt: a growing, random pause; after a 429 the throttle waits, as long as told."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, ApiVideoLimitError):
        # Not told how long: a window is a minute, so that the pauses together must be longer.
        return 0.0 if error.retry_after_s is not None else float(wait_random_exponential(multiplier=4, max=60)(state))
    return float(wait_random_exponential(multiplier=0.5, max=20)(state))
