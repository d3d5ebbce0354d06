"""What answers mean: envelopes, totals, rate limits and errors."""

from __future__ import annotations

from typing import Any

import pytest

from include.api_video.api.answers import Page, RateLimit, read_error, read_page, read_retry_after
from include.api_video.errors import (
    ApiVideoError,
    ApiVideoKeyError,
    ApiVideoLimitError,
    ApiVideoPermissionError,
    ApiVideoRequestError,
    ApiVideoServerError,
    PassingError,
    RefusedError,
    find_cause,
)

DOCS = "https://docs.api.video/reference/"
KEY_SETTING = "SOURCES__API_VIDEO_SOURCE__API_KEY"
# Every status that the API documents (guide, reference/errors) or that a proxy sends, by what the user can do about it.
DOCUMENTED = {
    400: ApiVideoRequestError,
    401: ApiVideoKeyError,
    403: ApiVideoPermissionError,
    404: ApiVideoRequestError,
    405: ApiVideoRequestError,
    409: ApiVideoRequestError,
    429: ApiVideoLimitError,
    500: ApiVideoServerError,
    502: ApiVideoServerError,
    503: ApiVideoServerError,
    504: ApiVideoServerError,
}


def envelope(rows: list[Any], **pagination: Any) -> dict[str, Any]:
    known = {"currentPage": 1, "currentPageItems": len(rows), "pageSize": 100, "pagesTotal": 1, "itemsTotal": len(rows)}
    return {"data": rows, "pagination": {**known, "links": [], **pagination}}


def admin_envelope(rows: list[Any], *rels: str, page: int = 1) -> dict[str, Any]:
    links = [{"rel": rel, "href": "/projects?page=7&page_size=100"} for rel in rels]
    return {"items": rows, "pagination": {"page": page, "page_size": 100, "item_count": 1}, "links": links}


def error_of(status: int, body: Any = None, headers: dict[str, str] | None = None) -> ApiVideoError:
    url = "https://sandbox.api.video/videos"
    return read_error(status, headers or {}, body, url=url, environment="sandbox", key_setting=KEY_SETTING)


# --- envelopes ---------------------------------------------------------------------------------------------------------


def test_a_page_in_the_middle_has_a_next_one():
    page = read_page(envelope([{"videoId": "vi1"}], currentPage=2, pagesTotal=3, itemsTotal=201))
    assert page == Page([{"videoId": "vi1"}], number=2, pages_total=3, items_total=201, has_next=True)


def test_the_last_page_has_no_next_one():
    page = read_page(envelope([{"videoId": "vi1"}], currentPage=3, pagesTotal=3, itemsTotal=201))
    assert page == Page([{"videoId": "vi1"}], number=3, pages_total=3, items_total=201, has_next=False)


@pytest.mark.parametrize("pages_total", [0, 1])
def test_an_empty_list_ends_with_its_first_page(pages_total):
    assert read_page(envelope([], pagesTotal=pages_total)) == Page([], 1, pages_total, 0, has_next=False)


def test_links_do_not_decide_since_those_of_discarded_videos_point_elsewhere():
    links = [{"rel": "next", "uri": "https://ws.api.video/videos?currentPage=2"}]
    assert not read_page(envelope([{"videoId": "vi1"}], links=links)).has_next


def test_links_as_an_object_are_no_obstacle_as_the_schemas_own_example_has_them():
    assert read_page(envelope([], links={"self": {"rel": "self", "uri": "/videos"}})).items_total == 0


def test_totals_that_come_as_text_are_numbers():
    page = read_page(envelope([], currentPage="1", pagesTotal="2", itemsTotal="101"))
    assert page == Page([], 1, 2, 101, has_next=True)


def test_the_admin_api_is_read_on_while_it_links_to_a_next_page():
    page = read_page(admin_envelope([{"project_id": "p1"}], "previous", "self", "next", page=2))
    assert page == Page([{"project_id": "p1"}], number=2, pages_total=None, items_total=None, has_next=True)


def test_the_admin_apis_item_count_is_not_taken_as_a_total():
    """The Admin API's guide says that answers have no total; its schema says that they have one."""
    page = read_page(admin_envelope([{"project_id": "p1"}, {"project_id": "p2"}], "self"))
    assert page == Page(
        [{"project_id": "p1"}, {"project_id": "p2"}], number=1, pages_total=None, items_total=None, has_next=False
    )


def test_the_admin_api_without_links_has_one_page():
    assert not read_page({"items": [], "pagination": {"page": 1}}).has_next


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"data": None, "pagination": {}},
        {"data": {"videoId": "vi1"}},
        {"items": "all of them"},
    ],
    ids=str,
)
def test_a_body_that_is_no_list_is_a_server_error(body):
    with pytest.raises(ApiVideoServerError, match=r"api\.video answered"):
        read_page(body)


ROWS = [{"videoId": f"vi{number}"} for number in range(100)]


@pytest.mark.parametrize(
    ("pagination", "pages", "items", "has_next"),
    [
        (None, None, None, True),
        ({"currentPage": 1, "pagesTotal": 2}, 2, None, True),
        ({"currentPage": 1, "itemsTotal": 130, "pageSize": 100}, 2, 130, True),
        ({"currentPage": 1, "itemsTotal": 130}, 2, 130, True),
        ({"currentPage": "1", "itemsTotal": "130", "pagesTotal": 2.0}, 2, 130, True),
        ({"currentPage": 1, "itemsTotal": [130], "pagesTotal": "many"}, None, None, True),
        (["page 1"], None, None, True),
    ],
    ids=str,
)
def test_totals_that_cannot_be_read_keep_no_row_away(pagination, pages, items, has_next):
    assert read_page({"data": ROWS, "pagination": pagination}) == Page(ROWS, 1, pages, items, has_next)
    assert not read_page({"data": ROWS[:9], "pagination": None}).has_next, "a page that is not full is the last one"


def test_a_body_that_is_no_list_is_not_quoted():
    with pytest.raises(ApiVideoServerError) as raised:
        read_page({"streamKey": "s3cret", "data": "s3cret"})
    assert "s3cret" not in str(raised.value)


# --- rate limit --------------------------------------------------------------------------------------------------------


def test_the_rate_limit_is_read_from_any_answer():
    headers = {"X-RateLimit-Limit": "500", "X-RateLimit-Remaining": "499", "X-RateLimit-Retry-After": "42"}
    assert RateLimit.from_headers(headers) == RateLimit(limit=500, remaining=499, resets_in_s=42.0)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-RateLimit-Limit": "500"},
        {"X-RateLimit-Limit": "500", "X-RateLimit-Remaining": "many", "X-RateLimit-Retry-After": "42"},
    ],
    ids=str,
)
def test_without_whole_headers_no_rate_limit_is_known(headers):
    assert RateLimit.from_headers(headers) is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"X-RateLimit-Retry-After": "42"}, 42.0),
        ({"X-RateLimit-Retry-After": "42", "Retry-After": "7"}, 42.0),
        ({"Retry-After": "7"}, 7.0),
        ({"X-RateLimit-Retry-After": "0"}, 0.0),
        ({"X-RateLimit-Retry-After": "-3"}, 0.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({}, None),
    ],
    ids=str,
)
def test_the_wait_after_a_429_is_api_videos_own_header_or_that_of_a_proxy(headers, seconds):
    assert read_retry_after(headers) == seconds


# --- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "error_type"), DOCUMENTED.items())
def test_every_documented_status_is_one_of_our_errors(status, error_type):
    assert type(error_of(status, {"title": "Some title."})) is error_type


@pytest.mark.parametrize("status", DOCUMENTED)
def test_every_error_names_the_status_or_host_and_the_environment(status):
    message = str(error_of(status, {"title": "Some title."}))
    assert "sandbox" in message.replace("sandbox.api.video", "")
    assert "https://sandbox.api.video" in message


@pytest.mark.parametrize("status", DOCUMENTED)
@pytest.mark.parametrize("body", [None, "<html>Bad gateway</html>", [], {}, {"title": None}, {"problems": None}], ids=str)
def test_every_status_is_understood_with_any_body(status, body):
    """api.video publishes no sample of a 401 or 5xx, and a proxy answers with HTML."""
    assert isinstance(error_of(status, body), DOCUMENTED[status])


@pytest.mark.parametrize("status", DOCUMENTED)
def test_every_message_is_whole_sentences(status):
    """Without a title, two sentences ran together: "forbidden Ask api.video's support"."""
    message = str(error_of(status))
    assert message.endswith(".")
    assert not any(f"{word} {following}" in message for word in ("forbidden", "given") for following in ("Ask", "Check"))


def test_what_can_pass_and_what_cannot_are_told_apart():
    passing = {status for status in DOCUMENTED if isinstance(error_of(status), PassingError)}
    refused = {status for status in DOCUMENTED if isinstance(error_of(status), RefusedError)}
    assert (passing, refused) == ({429, 500, 502, 503, 504}, {400, 401, 403, 404, 405, 409})


def test_a_refused_key_names_both_settings_and_both_environments():
    message = str(error_of(401))
    assert KEY_SETTING in message
    assert "SOURCES__API_VIDEO_SOURCE__ENVIRONMENT" in message
    assert "production or sandbox" in message


def test_a_refused_admin_key_names_the_admin_setting():
    setting = "SOURCES__API_VIDEO_SOURCE__ADMIN_API_KEY"
    error = read_error(401, {}, None, url="https://admin.api.video/projects", environment="production", key_setting=setting)
    assert setting in str(error)


def test_a_forbidden_resource_names_the_setting_that_leaves_it_out():
    message = str(error_of(403, {"title": "You cannot get analytics from this project."}))
    assert "SOURCES__API_VIDEO_SOURCE__RESOURCES" in message
    assert "You cannot get analytics from this project." in message


def test_a_forbidden_list_of_the_admin_api_is_not_blamed_on_the_other_key():
    setting = "SOURCES__API_VIDEO_SOURCE__ADMIN_API_KEY"
    error = read_error(403, {}, None, url="https://admin.api.video/projects", environment="production", key_setting=setting)
    assert str(error).startswith("The admin API key may not read this (403 on https://admin.api.video/projects")


def test_a_used_up_limit_carries_the_seconds_to_wait():
    body = {"type": DOCS + "too-many-requests", "title": "Too many requests.", "status": 429}
    error = error_of(429, body, {"X-RateLimit-Retry-After": "42"})
    assert isinstance(error, ApiVideoLimitError)
    assert error.retry_after_s == 42.0


def test_a_request_that_is_not_understood_names_the_documented_problems():
    problems = [{"type": DOCS + "invalid-attribute", "title": "An attribute is invalid.", "name": "pageSize"}]
    body = {"title": "An attribute is invalid.", "name": "page", "status": 400, "problems": problems}
    error = error_of(400, body)
    assert isinstance(error, ApiVideoRequestError)
    assert error.status == 400
    assert "An attribute is invalid. Problem with: pageSize." in str(error)


def test_the_http_status_decides_since_admin_bodies_have_none_and_type_urls_differ():
    body = {
        "type": "https://docs.api.video/docs/authentication-invalid-api-key",
        "title": "The API key is invalid.",
        "status": 401,
    }
    error = error_of(404, body)
    assert isinstance(error, ApiVideoRequestError)
    assert error.status == 404


@pytest.mark.parametrize("status", DOCUMENTED)
def test_no_error_quotes_a_field_that_could_hold_a_secret(status):
    secret = "s3cretK3y"
    body = {"title": "Some title.", "detail": secret, "apiKey": secret, "value": secret, "type": DOCS + secret}
    body["problems"] = [{"name": "pageSize", "detail": secret, "value": secret}]
    error = error_of(status, body, {"Authorization": secret, "X-RateLimit-Retry-After": "1"})
    assert secret not in str(error) + repr(error)


def test_the_error_of_ours_is_found_inside_those_of_dlt():
    ours = error_of(401)

    def extract():
        try:
            raise ours
        except ApiVideoError as error:
            raise RuntimeError("In processing pipe videos: extraction failed") from error

    with pytest.raises(RuntimeError) as wrapped:
        extract()
    assert find_cause(wrapped.value) is ours
    assert find_cause(RuntimeError("another problem")) is None


def test_an_admin_page_whose_count_says_more_is_followed_by_the_next_one():
    """A list that contradicts itself must not look complete: rows not read would be marked removed."""
    body = {"items": [{}], "pagination": {"page": 1, "page_size": 100, "item_count": 136}, "links": []}
    assert read_page(body).has_next
    assert not read_page({**body, "pagination": {"page": 1, "page_size": 100, "item_count": 100}}).has_next


def test_an_error_that_was_raised_again_out_of_its_wrapping_is_no_endless_search():
    def load():
        try:
            try:
                raise ApiVideoKeyError("401")
            except ApiVideoKeyError as cause:
                raise RuntimeError("dlt's wrapping") from cause
        except RuntimeError as error:
            raise error.__cause__ from None

    with pytest.raises(ApiVideoKeyError) as ours:
        load()
    assert find_cause(ours.value) is ours.value
    assert find_cause(ours.value, KeyboardInterrupt) is None
