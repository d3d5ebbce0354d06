"""The session against a small HTTP server on this machine: rate limit, retries, and errors in plain words.

``sleep`` is an argument of the session: tests pass a list's ``append`` and read the waits from the list.
"""

from __future__ import annotations

import copy
import socket
import threading
from collections.abc import Iterator

import pytest

from include.api_video.api.client import AT_ONCE, ATTEMPTS, MISSING, MORE_LIMITED, ApiVideoSession
from include.api_video.catalog.model import Host
from include.api_video.errors import (
    ApiVideoError,
    ApiVideoKeyError,
    ApiVideoLimitError,
    ApiVideoPermissionError,
    ApiVideoRequestError,
    ApiVideoServerError,
    SettingsError,
)
from include.api_video.settings.settings import Settings
from tests.small_api import PAGE, Api, answer, limit, limited

KEY, ADMIN_KEY = "k3yOfTheCustomer", "adm1nK3y"


@pytest.fixture
def api() -> Iterator[Api]:
    api = Api()
    yield api
    api.server.shutdown()
    api.server.server_close()


@pytest.fixture
def sleeps() -> list[float]:
    """The waits that the session asked for, in seconds."""
    return []


@pytest.fixture
def session(sleeps: list[float]) -> Iterator[ApiVideoSession]:
    with ApiVideoSession(Settings(KEY, "sandbox"), Host.MAIN, sleep=sleeps.append) as session:
        yield session


TRUNCATED = answer(200, b'{"data": [', Content_Length="1000")
PASSING = {
    "500": answer(500, {"title": "Server error", "status": 500}),
    "502": answer(502, b"<html>Bad gateway</html>", Content_Type="text/html"),
    "503": answer(503, b""),
    "504": answer(504, b"<html>Timeout</html>", Content_Type="text/html"),
    "HTML instead of JSON": answer(200, b"<html>Please log in</html>", Content_Type="text/html"),
    "a list instead of an object": answer(200, []),
    "half of the JSON": answer(200, b'{"data": ['),
    "nothing": answer(200, b""),
    "truncated": TRUNCATED,
    "dropped": "drop",
}
passing = pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING.keys())


# --- the key -----------------------------------------------------------------------------------------------------------


def test_the_key_is_the_user_name_and_the_password_is_empty(api, session):
    session.get(api.url + "/videos")
    assert api.headers[0]["Authorization"] == "Basic azN5T2ZUaGVDdXN0b21lcjo="  # base64 of "k3yOfTheCustomer:"


def test_the_admin_api_gets_the_admin_key(api):
    session = ApiVideoSession(Settings(KEY, admin_api_key=ADMIN_KEY), Host.ADMIN)
    session.get(api.url + "/projects")
    assert api.headers[0]["Authorization"] == "Basic YWRtMW5LM3k6"  # base64 of "adm1nK3y:"


def test_without_an_admin_key_nothing_is_sent_to_the_admin_api():
    with pytest.raises(SettingsError, match="SOURCES__API_VIDEO_SOURCE__ADMIN_API_KEY"):
        ApiVideoSession(Settings(KEY), Host.ADMIN)


# --- no retry can help -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "error_type"),
    [
        (400, ApiVideoRequestError),
        (401, ApiVideoKeyError),
        (403, ApiVideoPermissionError),
        (404, ApiVideoRequestError),
        (405, ApiVideoRequestError),
        (409, ApiVideoRequestError),
    ],
)
def test_what_cannot_pass_is_sent_once(api, session, sleeps, status, error_type):
    api.answers = [answer(status, {"title": "No.", "status": status})]
    with pytest.raises(error_type):
        session.get(api.url + "/videos")
    assert (len(api.paths), session.requests_sent, session.rate_limited, sleeps) == (1, 1, 0, [])


def test_a_wrong_key_names_its_setting_and_its_environment_and_not_itself(api, session):
    api.answers = [answer(401, b"")]
    with pytest.raises(ApiVideoKeyError) as raised:
        session.get(api.url + "/videos")
    message = str(raised.value)
    assert "SOURCES__API_VIDEO_SOURCE__API_KEY" in message
    assert "'sandbox'" in message
    assert KEY not in message


def test_a_wrong_admin_key_names_its_own_setting(api):
    api.answers = [answer(401, b"")]
    session = ApiVideoSession(Settings(KEY, admin_api_key=ADMIN_KEY), Host.ADMIN)
    with pytest.raises(ApiVideoKeyError, match="SOURCES__API_VIDEO_SOURCE__ADMIN_API_KEY"):
        session.get(api.url + "/projects")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
def test_no_error_holds_the_query_the_key_or_the_body(api, session, status):
    api.answers = [answer(status, {"title": "No.", "value": "s3cret"})]
    with pytest.raises(ApiVideoError) as raised:
        session.get(api.url + "/live-streams", params={"streamKey": "s3cret"})
    told = f"{raised.value!r} {raised.value.__cause__!r} {raised.value.__context__!r}"
    assert "s3cret" not in told
    assert KEY not in told


def test_problem_json_is_understood_like_json(api, session):
    api.answers = [answer(400, {"title": "This attribute is required."}, Content_Type="application/problem+json")]
    with pytest.raises(ApiVideoRequestError, match="This attribute is required"):
        session.get(api.url + "/videos")


# --- a retry may help --------------------------------------------------------------------------------------------------


@passing
def test_what_can_pass_is_tried_again(api, session, sleeps, fault):
    api.answers = [fault, fault, answer()]
    assert session.get(api.url + "/videos").json() == PAGE
    assert (len(api.paths), session.requests_sent, len(sleeps)) == (3, 3, 2)


@passing
def test_what_does_not_pass_ends_in_a_server_error(api, session, sleeps, fault):
    api.answers = [fault]
    with pytest.raises(ApiVideoServerError):
        session.get(api.url + "/videos")
    assert (len(api.paths), session.requests_sent, len(sleeps)) == (ATTEMPTS, ATTEMPTS, ATTEMPTS - 1)


def test_the_waits_for_one_request_are_bounded_in_number_and_time(api, session, sleeps):
    api.answers = [PASSING["500"]]
    with pytest.raises(ApiVideoServerError):
        session.get(api.url + "/videos")
    assert len(sleeps) == 5
    assert all(0 <= seconds <= 20 for seconds in sleeps)
    assert sum(sleeps) <= 60


def test_a_server_that_is_not_there_is_a_server_error_that_asks_whether_it_is_reachable(session, sleeps):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(ApiVideoServerError, match=r"connection to http://127\.0\.0\.1:\d+/videos broke .* reachable"):
        session.get(url + "/videos?streamKey=s3cret")
    assert (session.requests_sent, len(sleeps)) == (6, 5)


def test_a_server_that_says_nothing_is_a_server_error(session, sleeps):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ApiVideoServerError, match="ReadTimeout"):
            session.get(url + "/videos", timeout=0.01)
    assert len(sleeps) == 5


# --- the rate limit ----------------------------------------------------------------------------------------------------


def test_a_429_waits_exactly_as_long_as_told(api, session, sleeps):
    """The 429 also says that nothing remains. That must not cause a second wait."""
    api.answers = [limited(7), answer()]
    assert session.get(api.url + "/videos").json() == PAGE
    assert sleeps == [7]
    assert (session.requests_sent, session.rate_limited) == (2, 1)


def test_every_429_in_a_row_waits_as_long_as_it_tells(api, session, sleeps):
    api.answers = [limited(7), limited(3), answer(**{"X-RateLimit-Remaining": "1"})]
    session.get(api.url + "/videos")
    assert sleeps == [7, 3]


def test_a_429_of_a_proxy_waits_as_the_standard_header_tells(api, session, sleeps):
    api.answers = [answer(429, b"slow down", Retry_After="11"), answer()]
    session.get(api.url + "/videos")
    assert sleeps == [11]


def test_a_429_that_tells_no_time_waits_a_while(api, session, sleeps):
    api.answers = [answer(429, b""), answer()]
    session.get(api.url + "/videos")
    assert len(sleeps) == 1
    assert 0 <= sleeps[0] <= 20


def test_a_429_without_end_is_an_error_that_carries_the_wait(api, session, sleeps):
    api.answers = [limited(7)]
    with pytest.raises(ApiVideoLimitError) as raised:
        session.get(api.url + "/videos")
    assert raised.value.retry_after_s == 7
    assert sleeps == [7] * (ATTEMPTS * MORE_LIMITED - 1)
    assert session.requests_sent == session.rate_limited == ATTEMPTS * MORE_LIMITED


def test_when_nothing_remains_the_next_request_waits_for_the_window(api, session, sleeps):
    api.answers = [(200, PAGE, limit(1, 42, of=2)), (200, PAGE, limit(0, 41, of=2)), (200, PAGE, limit(499, 60))]
    for _ in range(2):
        session.get(api.url + "/videos")
    assert sleeps == []
    for _ in range(2):
        session.get(api.url + "/videos")
    assert sleeps == [41]
    assert session.rate_limited == 0


def test_where_others_use_the_account_too_the_last_requests_of_a_window_are_left_to_them(api, session, sleeps):
    """If all readers took the last requests of a window at once, most would be answered 429."""
    api.answers = [(200, PAGE, limit(remaining, 9, of=10)) for remaining in (8, 5, 3)] + [answer()]
    for _ in range(3):
        session.get(api.url + "/videos")
    assert sleeps == []
    session.get(api.url + "/videos")
    assert sleeps == [9]


def test_what_others_used_before_costs_nothing(api, session, sleeps):
    """Earlier use by others, such as a previous task: nobody else reads now, so the window is used to its end."""
    api.answers = [(200, PAGE, limit(remaining, 9, of=10)) for remaining in (3, 2, 1, 0)] + [answer()]
    for _ in range(4):
        session.get(api.url + "/videos")
    assert sleeps == []
    session.get(api.url + "/videos")
    assert sleeps == [9]


def test_a_share_of_the_limit_is_kept_free(api, sleeps):
    session = ApiVideoSession(Settings(KEY, rate_limit_reserve=0.5), Host.MAIN, sleep=sleeps.append)
    api.answers = [(200, PAGE, limit(remaining, 9, of=10)) for remaining in (9, 8, 7, 6, 5)] + [answer()]
    for _ in range(5):
        session.get(api.url + "/videos")
    assert sleeps == []
    session.get(api.url + "/videos")
    assert sleeps == [9]


def test_a_window_is_waited_for_once_also_where_the_next_answer_says_nothing(api, session, sleeps):
    api.answers = [(200, PAGE, limit(0, 5)), answer()]
    for _ in range(3):
        session.get(api.url + "/videos")
    assert sleeps == [5]


def test_when_nothing_remains_every_thread_waits(api):
    """dlt requests details in several threads: while one waits for the window, no other may send."""
    api.answers = [(200, PAGE, limit(0, 41)), answer()]
    sent_meanwhile: list[int] = []
    window = threading.Event()

    def sleep(seconds: float) -> None:
        if threading.current_thread() is not threading.main_thread():
            window.wait()
            return
        other.start()
        other.join(timeout=0.3)  # ends at once if it does not wait
        sent_meanwhile.append(len(api.paths) - 1)
        window.set()

    session = ApiVideoSession(Settings(KEY), Host.MAIN, sleep=sleep)
    other = threading.Thread(target=session.get, args=(api.url + "/videos",), daemon=True)
    session.get(api.url + "/videos")
    session.get(api.url + "/videos")
    other.join()
    assert sent_meanwhile == [0]


def test_a_fault_that_says_that_nothing_remains_is_tried_again_in_the_next_window(api, session, sleeps):
    api.answers = [(503, b"", limit(0, 30)), answer()]
    session.get(api.url + "/videos")
    assert 30 in sleeps


# --- several at once ----------------------------------------------------------------------------------------------------


def page_url(api: Api, number: int) -> str:
    return f"{api.url}/videos?currentPage={number}"


def test_pages_that_were_read_ahead_are_not_sent_for_again(api, session):
    first = session.get(page_url(api, 1))
    session.read_ahead(first.request, [page_url(api, 2), page_url(api, 3)])
    for number in (2, 3):
        assert session.get(page_url(api, number)).json() == PAGE
    assert sorted(api.paths) == [f"/videos?currentPage={number}" for number in (1, 2, 3)]
    assert {headers["Authorization"] for headers in api.headers} == {first.request.headers["Authorization"]}


def test_only_some_pages_are_read_ahead(api, session):
    first = session.get(page_url(api, 1))
    pages = iter(range(2, 100))
    session.read_ahead(first.request, (page_url(api, number) for number in pages))
    session.get(page_url(api, AT_ONCE + 1))
    assert session.requests_sent <= 1 + AT_ONCE
    # For a million rows, ten thousand URLs are passed after each page: those far ahead must cost nothing.
    assert next(pages) == 2 + AT_ONCE
    session.close()


def test_an_error_of_a_page_that_was_read_ahead_comes_when_it_is_asked_for(api, session):
    first = session.get(page_url(api, 1))
    api.answers = [answer(403, b"")]
    session.read_ahead(first.request, [page_url(api, 2)])
    with pytest.raises(ApiVideoPermissionError):
        session.get(page_url(api, 2))


def test_single_objects_come_in_the_order_they_were_asked_for_and_none_where_there_is_none(api, session):
    api.answers = [answer(404, {"title": "The requested resource was not found."})]
    assert list(session.find_all([api.url + "/videos/vi1", api.url + "/videos/vi2"])) == [None, None]
    api.answers = [answer(200, {"videoId": "vi1"})]
    assert list(session.find_all([api.url + "/videos/vi1"])) == [{"videoId": "vi1"}]
    api.answers = [answer(403, b"")]
    with pytest.raises(ApiVideoPermissionError):
        list(session.find_all([api.url + "/videos/vi1"]))


# --- meanings of a 404 -------------------------------------------------------------------------------------------------


def test_where_a_404_says_there_is_none_it_is_an_answer(api):
    api.answers = [answer(404, {"title": "The requested resource was not found.", "name": "summaryId", "status": 404})]
    session = ApiVideoSession(Settings(KEY), Host.MAIN, missing_ok=True)
    got = session.get(api.url + "/summaries/su1/source")
    assert (got.status_code, got.json(), session.requests_sent) == (200, {MISSING: True}, 1)


@pytest.mark.parametrize(("status", "error_type"), [(401, ApiVideoKeyError), (403, ApiVideoPermissionError)])
def test_where_a_404_is_an_answer_a_refusal_is_still_an_error(api, status, error_type):
    api.answers = [answer(status, b"")]
    with pytest.raises(error_type):
        ApiVideoSession(Settings(KEY), Host.MAIN, missing_ok=True).get(api.url + "/videos/vi1/status")


def test_asking_whether_a_path_is_known_costs_nothing_since_the_answer_is_kept(api, session):
    api.answers = [answer(200, {"items": [1]}), answer(200, {"items": [2]})]
    assert session.knows(api.url + "/projects", {"page_size": 100})
    answers = [session.get(api.url + "/projects", params={"page_size": 100, "page": 1}).json() for _ in range(2)]
    assert answers == [{"items": [1]}, {"items": [2]}]
    assert api.paths == ["/projects?page_size=100&page=1"] * 2


def test_a_path_that_answers_404_is_not_known(api, session):
    api.answers = [answer(404, {"title": "Unrecognized request URL.", "status": 404})]
    assert not session.knows(api.url + "/projects", {"page_size": 100})
    assert session.requests_sent == 1


@pytest.mark.parametrize(("status", "error_type"), [(400, ApiVideoRequestError), (401, ApiVideoKeyError)])
def test_a_refusal_does_not_say_whether_a_path_is_known(api, session, status, error_type):
    api.answers = [answer(status, b"")]
    with pytest.raises(error_type):
        session.knows(api.url + "/projects", {})


# --- what dlt needs ----------------------------------------------------------------------------------------------------


def test_hooks_see_the_last_answer_only(api, session):
    """dlt's hook would raise dlt's error at the first 500, before any retry."""
    api.answers = [PASSING["500"], answer()]
    seen: list[int] = []
    session.get(api.url + "/videos", hooks={"response": [lambda response, **_: seen.append(response.status_code)]})
    assert seen == [200]


def test_a_copy_of_the_session_is_the_session(session):
    assert copy.deepcopy(session) is session


def test_requests_of_several_threads_are_all_counted(api, session):
    threads = [threading.Thread(target=session.get, args=(api.url + "/videos",)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert session.requests_sent == len(api.paths) == 20


@pytest.mark.parametrize(("told", "waited"), [(0, 1.0), (999_999, 300.0)])
def test_a_wait_of_no_seconds_is_a_second_and_of_days_some_minutes(api, session, sleeps, told, waited):
    """The header's seconds may be rounded down to 0. Without a wait, all attempts were used up within milliseconds."""
    api.answers = [limited(told), answer()]

    session.get(api.url + "/videos")

    assert sleeps == [waited]
