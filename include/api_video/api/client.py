"""Sends requests to api.video: with the key, with retries, several at once; errors come in plain words."""

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

from include.api_video.api.answers import is_missing, read_error, read_foreign
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
    LeftOutError,
    PassingError,
    TimeIsUpError,
)
from include.api_video.settings.addresses import without_query
from include.api_video.settings.settings import Settings

ATTEMPTS = 6  # of one request: about a minute of pauses at most, plus what a 429 asks for
MORE_LIMITED = 2  # factor on the attempts after a 429
SLOW_ATTEMPTS = 2  # after an answer that did not end: another attempt may take as long
ADMIN_PER_SECOND = 10  # guide, reference/admin-api-overview; the Admin API documents no rate limit headers
AT_ONCE = 8  # parallel requests of one session: pages ahead, single objects
# Marks: names of the field that tells a stand-in for an answer from a real one.
MISSING = "_missing"  # in a row: 404, where a 404 means "there is none"
UNREAD = "_unread"  # in a row: the API failed to return the object; holds the reason
STOPPED = "_stopped"  # in a page: the API failed to return the page; holds the error
REFUSED = "_refused"  # in a page: the API does not answer this question; holds the reason, and ``status`` the status
ODD = "_odd"  # in a row: the answer was JSON, but no object; holds that JSON
MARKS = frozenset({MISSING, UNREAD, STOPPED, REFUSED, ODD})
_NO_JSON = object()
# Failures on single objects before giving up. A few must not hold up the others; without any answer, the API is down.
MOST_UNREAD, MOST_UNREAD_AT_FIRST = 20, 5


class ApiVideoSession(BoundedSession):
    """A ``requests`` session for one host, shared by all threads of a task; pass it to dlt's REST client.

    HTTP Basic with the key as user name and an empty password (guide, reference/basic-authentication). Every answer that it
    returns is a JSON object. Errors are raised as this package's own; those that may pass are retried first.

    Attributes:
        given_up: error after which no more single objects are requested; None before.

    Args:
        missing_ok: a 404 counts as an answer, the row ``{MISSING: True}``.
        unread_ok: an object that fails at every attempt becomes the row ``{UNREAD: why}``. After a few of them, or once the
            key is refused in the middle, all that follow become such rows without a request (``given_up``). An answer that
            is JSON, but no object, becomes the row ``{ODD: answer}``.
        refused_ok: a refusal (4xx but for 401 and 429) counts as an answer, ``{REFUSED: why, "status": ...}``: of several
            questions, others may be answered.
        stops_ok: a page that fails after others were read becomes an empty page with ``{STOPPED: error}``.
        attempts: most attempts for one request.
        whole_answer_s: seconds that one attempt may take in all.
        sleep, clock: in seconds; arguments, so that tests need not wait.
    """

    def __init__(
        self,
        settings: Settings,
        host: Host,
        *,
        missing_ok: bool = False,
        unread_ok: bool = False,
        stops_ok: bool = False,
        refused_ok: bool = False,
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
        self.is_demo = False  # by a header of its answers
        self._environment = settings.environment
        self._key_setting = settings.account.variable("admin_api_key" if is_admin else "api_key")
        self._missing_ok = missing_ok
        self._unread_ok, self._stops_ok, self._refused_ok = unread_ok, stops_ok, refused_ok
        self._left_out_ok = unread_ok and is_admin  # what not every key may read
        self.given_up: ApiVideoError | None = None
        self._unread = self._answered = 0
        self._attempts, self._sleep, self._clock = attempts, sleep, clock
        self._began_at, self._expected, self._reserve = clock(), 0, settings.rate_limit_reserve
        self._ahead: dict[str, Future[requests.Response]] = {}  # prefetched answers by URL
        self._options: dict[str, Any] = {}  # proxies and certificates of the last request

    def __deepcopy__(self, memo: dict[int, Any]) -> ApiVideoSession:
        """Itself: dlt copies a configuration to check it, and a lock cannot be copied."""
        return self

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Sends with retries.

        Raises:
            RefusedError: a retry cannot help (401, 403, other 4xx, a redirect to another host).
            PassingError: every attempt failed (429, 5xx, network), or they took too long.
        """
        # dlt's hooks raise dlt's errors. They run after the retries, so that ours come first.
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
        """Whether to give up. A 429 only asks to wait, so it may come more often than a failure."""
        error, most = state.outcome.exception() if state.outcome else None, self._attempts
        if isinstance(error, ApiVideoLimitError):
            most *= MORE_LIMITED
        if isinstance(error, ApiVideoSlowError):
            most = min(most, SLOW_ATTEMPTS)
        return state.attempt_number >= most

    def _stand_in(self, request: requests.PreparedRequest, error: ApiVideoError) -> requests.Response:
        """A stand-in for an answer that failed, so that rows read before are still loaded.

        Raises:
            ApiVideoError: ``error`` itself, if reading cannot go on without the answer.
        """
        body = self._instead_of(error)
        if body is None:
            raise error
        return _response(request, body)

    def _instead_of(self, error: ApiVideoError) -> dict[str, Any] | None:
        """The body of the stand-in; None if reading cannot go on without the answer."""
        if self._stops_ok and self._answered:
            return {STOPPED: error, "data": [], "items": []}
        if self._left_out_ok and isinstance(error, ApiVideoPermissionError) and not self._answered:
            raise LeftOutError(str(error)) from error
        if self._refused_ok and isinstance(error, (ApiVideoRequestError, ApiVideoPermissionError)):
            return {REFUSED: str(error), "status": getattr(error, "status", 403)}
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

    @property
    def has_answered(self) -> bool:
        """Whether any request was answered, and not refused."""
        return self._answered > 0

    # --- time ---------------------------------------------------------------------------------------------------------

    def expect(self, requests: int) -> None:
        """Notes how many requests are due in all, which decides how long reading may take (``work_time``)."""
        self._expected = requests

    def _check_time(self) -> None:
        due = max(self._expected, self.requests_sent)
        per_minute = reads_per_minute(self._environment, self._reserve, self.rate_limit)
        allowed_s = time_for(due, per_minute)
        if self._clock() - self._began_at > allowed_s:
            raise TimeIsUpError(
                f"Reading was ended after {spell(allowed_s)}: half an hour and {SLACK} times what {due:,} requests need at "
                f"{per_minute:,.0f} a minute. The API or the network is very slow, or others use up the account's rate "
                "limit. The next run continues."
            )

    # --- several at once ------------------------------------------------------------------------------------------------

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(AT_ONCE, thread_name_prefix="api-video")

    def read_ahead(self, request: requests.PreparedRequest, urls: Iterable[str]) -> None:
        """Prefetches the URLs that will be requested next, in this order, with the options of ``request``.

        Takes the first ``AT_ONCE`` only, since callers pass all remaining URLs after each page.
        """
        for url in islice(urls, AT_ONCE):
            if url not in self._ahead:
                copy = request.copy()
                copy.url, copy.hooks = url, default_hooks()
                self._ahead[url] = self._pool.submit(self._send_until_answered, copy, **self._options)

    def find_all(self, urls: Sequence[str]) -> Iterator[Mapping[str, Any] | None]:
        """The bodies of single objects, in the order of the URLs; None for a 404."""
        return self._pool.map(self._find, urls)

    def _find(self, url: str) -> Mapping[str, Any] | None:
        response = self._get_or_none(url)
        return None if response is None else cast("Mapping[str, Any]", response.json())

    def knows(self, url: str, params: dict[str, Any]) -> bool:
        """Whether the host serves this path; False on a 404.

        The answer is kept for the next request to the same URL, so the question costs no extra request.
        """
        try:
            response = self._get_or_none(url, {**params, "page": 1})
        except ForeignAnswerError as error:  # how the host answers an unknown path is not documented: maybe with a web page
            if error.status == 404:
                return False
            raise
        if response is None:
            return False
        kept: Future[requests.Response] = Future()
        kept.set_result(response)
        self._ahead[response.request.url or ""] = kept
        return True

    def _get_or_none(self, url: str, params: dict[str, Any] | None = None) -> requests.Response | None:
        """The answer; None on a 404, whatever ``missing_ok`` says."""
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
        """Closes connections and threads; drops answers that were prefetched and not used."""
        if "_pool" in vars(self):
            self._pool.shutdown(wait=False, cancel_futures=True)
            del self._pool
        self.drop_ahead()
        super().close()

    def drop_ahead(self) -> None:
        """Drops prefetched answers: rows may have moved between pages meanwhile."""
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
            if self._missing_ok and is_missing(response.status_code, response.headers, text):
                response.status_code, body = 200, {MISSING: True}
            else:
                raise self._read_error(response, body, url)
        elif body is _NO_JSON or not (isinstance(body, dict) or self._unread_ok):
            raise read_foreign(response.status_code, response.headers, text, url)
        taken = body if isinstance(body, dict) else {ODD: body}  # one odd object must not stop the others
        response.json = lambda **_: taken  # type: ignore[method-assign]  # dlt reads it several times: parse once
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
    """An answer of our own making, which never came over the network."""
    response = requests.Response()
    response.status_code, response.url, response.request = 200, request.url or "", request
    response.json = lambda **_: body  # type: ignore[method-assign]
    return response


def without_marks(row: dict[str, Any]) -> dict[str, Any]:
    """The row, with any field that has the name of one of our marks renamed to ``api...``."""
    return {f"api{name}" if name in MARKS else name: value for name, value in row.items()}


def _read_json(response: requests.Response) -> Any:
    """The body. It is parsed whatever its content type, which differs (application/json, application/problem+json)."""
    try:
        body = parse_json(response.content)
    except ValueError:
        return _NO_JSON
    return without_marks(body) if isinstance(body, dict) and not MARKS.isdisjoint(body) else body


def _wait_s(state: RetryCallState) -> float:
    """Seconds before the next attempt: a growing, random pause. After a 429 none, since the throttle waits as told."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, ApiVideoLimitError):
        # This 429 names no wait. A window lasts a minute, so all pauses together must exceed a minute.
        return 0.0 if error.retry_after_s is not None else float(wait_random_exponential(multiplier=4, max=60)(state))
    return float(wait_random_exponential(multiplier=0.5, max=20)(state))
