"""One request and its answer, against real servers on this machine: redirects, endless answers, proxies, firewalls."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from include.api_video.api.client import MISSING, SLOW_ATTEMPTS, UNREAD, ApiVideoSession
from include.api_video.api.exchange import MOST_REDIRECTS
from include.api_video.catalog.model import Host
from include.api_video.errors import (
    ApiVideoError,
    ApiVideoPermissionError,
    ApiVideoServerError,
    ApiVideoSlowError,
    ForeignAnswerError,
    ProxySettingError,
    RedirectError,
    RefusedError,
    SettingsError,
    TimeIsUpError,
)
from include.api_video.settings.addresses import beside_a_proxy, check_address, is_local, redirected
from include.api_video.settings.settings import Settings
from tests.slow_servers import ByteByByte, make_certificate, serving
from tests.small_api import PAGE, Api, answer, limit

KEY = "k3yOfTheCustomer"
BASE_URL = "SOURCES__API_VIDEO_SOURCE__BASE_URL"
PAGE_OF_A_FIREWALL = b"<html><title>Access denied</title>k3yOfTheCustomer</html>"


@pytest.fixture
def api() -> Iterator[Api]:
    api = Api()
    yield api
    api.server.shutdown()
    api.server.server_close()


@pytest.fixture
def other() -> Iterator[Api]:
    """Another server, on another port."""
    other = Api()
    yield other
    other.server.shutdown()
    other.server.server_close()


@pytest.fixture
def sleeps() -> list[float]:
    return []


@pytest.fixture
def session(sleeps: list[float]) -> Iterator[ApiVideoSession]:
    with ApiVideoSession(Settings(KEY, "sandbox"), Host.MAIN, sleep=sleeps.append) as session:
        yield session


def moved(location: str, status: int = 302, **headers: str):
    return answer(status, b"", Location=location, **headers)


# --- redirects ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_of_the_same_host_is_followed_and_counted(api, session, status):
    api.answers = [moved("/v2/videos?currentPage=1", status), answer()]
    response = session.get(api.url + "/videos?currentPage=1")
    assert response.json() == PAGE
    assert api.paths == ["/videos?currentPage=1", "/v2/videos?currentPage=1"]
    assert session.requests_sent == 2
    assert api.headers[0]["Authorization"] == api.headers[1]["Authorization"]


def test_pages_that_were_read_ahead_are_found_also_where_each_is_a_redirect(api, session):
    """Prefetched pages are stored by the requested URL, and found by the URL of the answer's request."""
    api.answers = [moved("/v2/videos"), answer()]
    first = session.get(api.url + "/videos?currentPage=1")
    session.read_ahead(first.request, [first.request.url.replace("=1", "=2")])
    session.get(api.url + "/videos?currentPage=2")
    assert session.requests_sent == 3


def test_every_hop_waits_for_the_rate_limit(api, session, sleeps):
    api.answers = [moved("/v2/videos", 302, **limit(0, 7)), answer()]
    session.get(api.url + "/videos")
    assert sleeps == [7]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_no_key_goes_to_another_server(api, other, session, sleeps, host):
    """Another port counts as another server: on this machine, it is another process."""
    api.answers = [moved(f"http://{host}:{other.server.server_port}/videos?token=s3cret")]
    with pytest.raises(RedirectError, match=f"leads to another server, http://{host}:\\d+: .* set {BASE_URL}") as raised:
        session.get(api.url + "/videos?streamKey=s3cret")
    assert other.paths == []
    assert (len(api.paths), sleeps) == (1, [])
    assert "s3cret" not in str(raised.value)


def test_redirects_without_end_are_ended(api, session, sleeps):
    api.answers = [moved("/videos")]
    with pytest.raises(RedirectError, match="redirects more than 5 times"):
        session.get(api.url + "/videos")
    assert (len(api.paths), sleeps) == (1 + MOST_REDIRECTS, [])


@pytest.mark.parametrize("location", ["mailto:someone@example.com", "http://[broken/", "ftp://127.0.0.1/"])
def test_a_redirect_to_what_is_no_address_is_a_sentence(api, session, location):
    api.answers = [moved(location)]
    with pytest.raises(RedirectError, match="no web address"):
        session.get(api.url + "/videos")


@pytest.mark.parametrize("status", [300, 302, 304, 308])
def test_a_redirect_that_does_not_say_where_to_is_a_sentence(api, session, status):
    api.answers = [answer(status, b"")]
    with pytest.raises(ForeignAnswerError, match=rf"answered {status}, a redirect that does not say where to"):
        session.get(api.url + "/videos")


API, LOCAL = "https://ws.api.video", "http://127.0.0.1:80"


@pytest.mark.parametrize(
    ("here", "location", "there"),
    [
        (API + "/videos", "/v2/videos", API + "/v2/videos"),
        (API + "/videos", "https://ws.api.video:443/v2", API + ":443/v2"),
        (API + "/videos", "https://WS.api.video/v2", "https://WS.api.video/v2"),
        (LOCAL + "/videos", "https://127.0.0.1/v2", "https://127.0.0.1/v2"),
    ],
)
def test_a_redirect_may_stay_on_the_host_or_become_safer(here, location, there):
    assert redirected(here, location, BASE_URL) == there


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("http://ws.api.video/videos", "plain http://"),
        ("https://ws.api.video.example.com/videos", "another server, https://ws.api.video.example.com:"),
        ("//login.example.com/?next=k3y", "another server, https://login.example.com:"),
        ("https://ws.api.video:8443/videos", "another server, https://ws.api.video:8443:"),
        ("https://user:k3y@sandbox.api.video/", "another server, https://sandbox.api.video:"),
    ],
)
def test_a_redirect_may_not_lead_elsewhere_nor_become_less_safe(location, told):
    with pytest.raises(RedirectError) as raised:
        redirected(API + "/videos?streamKey=k3y", location, BASE_URL)
    assert told in str(raised.value)
    assert "k3y" not in str(raised.value)


# --- plain http --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["https://ws.api.video", "http://127.0.0.1:8090", "http://localhost", "http://[::1]:80", "http://demo-api:8090/"],
)
def test_a_key_is_sent_encrypted_or_to_this_machine(url):
    assert check_address("base_url", url) == url.rstrip("/")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://ws.api.video", "unencrypted: write https://ws.api.video"),
        ("http://127.0.0.1.example.com", "unencrypted"),
        ("http://demo-api.example.com:8090", "unencrypted"),
        ("http://192.168.0.7:8090", "unencrypted"),
        ("https://", "must be a URL"),
        ("http://[::1", "must be a URL"),
        ("https://ws.api.video:port", "must be a URL"),
        ("https://user:k3y@ws.api.video", "no user name"),
        ("https://ws.api.video?key=k3y", "no user name"),
    ],
)
def test_no_other_address_is_taken(url, told):
    with pytest.raises(SettingsError) as raised:
        check_address("base_url", url)
    assert told in str(raised.value)
    assert "k3y" not in str(raised.value)


def test_the_session_itself_sends_nothing_unencrypted_to_another_machine(session):
    with pytest.raises(RedirectError, match=r"http://ws\.api\.video/videos is not encrypted"):
        session.get("http://ws.api.video/videos")
    assert session.requests_sent == 0


# --- answers without end -----------------------------------------------------------------------------------------------

BODY = json.dumps(PAGE).encode()
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
SPACES = b" " * 300  # at a byte each 0.01 s
TRICKLES = {
    "status line": (b"HTTP/1.1 200 " + SPACES, b"\r\nConnection: close\r\n\r\n" + BODY),
    "headers": (b"X-Slow: " + SPACES, b"\r\n\r\n" + BODY),
    "body": (SPACES, BODY),
    "body of unknown length": (SPACES, BODY),
}


@pytest.mark.parametrize("part", TRICKLES)
def test_an_answer_that_comes_byte_by_byte_is_ended(session, sleeps, part):
    """Without a deadline, each of these would be a complete answer after some three seconds."""
    slow, end = TRICKLES[part]
    fast = b"" if part == "status line" else OK
    if part == "body":
        fast += b"Content-Length: %d\r\n\r\n" % (len(slow) + len(end))
    elif part == "body of unknown length":
        fast += b"\r\n"
    session._whole_answer_s = 0.3
    server = ByteByByte(fast, slow, end)
    told = r"/videos had not sent its whole answer after 0\.3 s"
    with serving(server) as port, pytest.raises(ApiVideoSlowError, match=told):
        session.get(f"http://127.0.0.1:{port}/videos?streamKey=s3cret")
    assert (session.requests_sent, len(sleeps)) == (SLOW_ATTEMPTS, SLOW_ATTEMPTS - 1)
    assert server.waited_for == 0


def test_an_encrypted_answer_that_comes_byte_by_byte_is_ended(session, tmp_path):
    certificate = make_certificate(tmp_path)
    session._whole_answer_s = 0.5
    server = ByteByByte(OK + b"Content-Length: %d\r\n\r\n" % (len(SPACES) + len(BODY)), SPACES, BODY)
    with serving(server, certificate) as port, pytest.raises(ApiVideoSlowError):
        session.get(f"https://127.0.0.1:{port}/videos", verify=str(certificate))
    assert server.waited_for == 0


def test_a_proxy_that_lets_through_byte_by_byte_is_ended(session, monkeypatch):
    session._whole_answer_s = 0.3
    server = ByteByByte(b"HTTP/1.1 200 OK\r\nX-Slow: ", SPACES, b"\r\n\r\n")
    with serving(server) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        with pytest.raises(ApiVideoSlowError):
            session.get("https://ws.api.video/videos")
    assert server.waited_for == 0


def test_the_session_goes_on_after_an_answer_that_was_ended(api, session):
    session._whole_answer_s = 0.3
    with serving(ByteByByte(OK + b"\r\n", SPACES, BODY)) as port, pytest.raises(ApiVideoSlowError):
        session.get(f"http://127.0.0.1:{port}/videos")
    session._whole_answer_s = 30
    assert session.get(api.url + "/videos").json() == PAGE


# --- time limit for all requests -----------------------------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_reading_ends_when_it_took_much_longer_than_the_limit_makes_it(api):
    """10,000 pages take 20 minutes at 500 a minute: the limit is 200 + 30 minutes."""
    clock = Clock()
    session = ApiVideoSession(Settings(KEY), Host.MAIN, clock=clock)
    session.expect(10_000)
    clock.seconds = 230 * 60
    session.get(api.url + "/videos")
    clock.seconds += 1
    with pytest.raises(TimeIsUpError, match=r"after 3 h 50 min: .* 10,000 requests need at 500 a minute"):
        session.get(api.url + "/videos")
    assert session.requests_sent == len(api.paths) == 1


def test_what_is_due_is_measured_by_the_limit_that_the_api_tells(api):
    clock = Clock()
    session = ApiVideoSession(Settings(KEY, "sandbox", rate_limit_reserve=0.5), Host.MAIN, clock=clock)
    session.expect(1000)
    api.answers = [(200, PAGE, limit(900, 60, of=1000))]
    session.get(api.url + "/videos")
    clock.seconds = 50 * 60 + 1  # ten times 1000 requests at 500 a minute, plus half an hour
    with pytest.raises(TimeIsUpError, match="at 500 a minute"):
        session.get(api.url + "/videos")


def test_objects_for_which_no_time_is_left_wait_for_the_next_run(api):
    """Rows read before are loaded: the task does not fail."""
    clock = Clock()
    session = ApiVideoSession(Settings(KEY), Host.MAIN, unread_ok=True, clock=clock)
    session.get(api.url + "/videos/vi1/status")
    clock.seconds = 3600
    bodies = [session.get(api.url + f"/videos/vi{number}/status").json() for number in range(100)]
    assert all("Reading was ended" in body[UNREAD] for body in bodies)
    assert session.requests_sent == 1


# --- who answered ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 203, 400, 401, 403, 404, 451, 511])
def test_a_web_page_is_a_proxy_s_and_not_the_key_s_fault(api, session, sleeps, status):
    api.answers = [answer(status, PAGE_OF_A_FIREWALL, Content_Type="text/html; charset=utf-8", Via="1.1 gate7 (squid/6.1)")]
    with pytest.raises(ForeignAnswerError) as raised:
        session.get(api.url + "/videos")
    message = str(raised.value)
    assert message.endswith(".")
    assert "network" in message
    assert "Set SOURCES__API_VIDEO_SOURCE__API_KEY" not in message
    assert KEY not in message
    assert len(sleeps) == 5, "it may pass"


def test_the_proxy_is_named_as_it_names_itself(api, session):
    api.answers = [answer(403, PAGE_OF_A_FIREWALL, Content_Type="text/html", Via="1.1 gate7 (squid/6.1)")]
    with pytest.raises(ForeignAnswerError, match="The API key is not the cause"):
        session.get(api.url + "/videos")


def test_a_page_is_known_by_its_text_where_its_type_is_wrong(api, session):
    api.answers = [answer(403, b"\n<!DOCTYPE html><html></html>", Content_Type="application/json")]
    with pytest.raises(ForeignAnswerError):
        session.get(api.url + "/videos")


def test_a_documented_403_is_the_key_s_and_an_empty_one_is_not_sure(api, session):
    api.answers = [
        answer(403, {"type": "https://docs.api.video/reference/forbidden", "title": "Forbidden.", "status": 403})
    ]
    with pytest.raises(ApiVideoPermissionError) as documented:
        session.get(api.url + "/videos")
    assert "proxy" not in str(documented.value)
    api.answers = [answer(403, b"")]
    with pytest.raises(ApiVideoPermissionError, match="a proxy or firewall may have sent it"):
        session.get(api.url + "/videos")


def test_a_firewall_s_404_does_not_say_that_there_is_none(api, sleeps):
    """A firewall's answer must not mark rows removed."""
    session = ApiVideoSession(Settings(KEY), Host.MAIN, missing_ok=True, sleep=sleeps.append)
    api.answers = [answer(404, PAGE_OF_A_FIREWALL, Content_Type="text/html")]
    with pytest.raises(ForeignAnswerError):
        session.get(api.url + "/summaries/su1/source")
    with pytest.raises(ForeignAnswerError):
        list(session.find_all([api.url + "/videos/vi1"]))
    api.answers = [answer(404, {"title": "The requested resource was not found.", "status": 404})]
    assert session.get(api.url + "/summaries/su1/source").json() == {MISSING: True}


@pytest.mark.parametrize("status", [408, 425])
def test_a_request_that_came_too_late_or_too_early_is_tried_again(api, session, status):
    api.answers = [answer(status, b""), answer()]
    assert session.get(api.url + "/videos").json() == PAGE


def test_a_proxy_that_wants_a_login_is_told_at_once(api, session, sleeps):
    api.answers = [answer(407, PAGE_OF_A_FIREWALL, Content_Type="text/html")]
    with pytest.raises(ProxySettingError, match="set HTTPS_PROXY to http://USER:PASSWORD@PROXY:PORT"):
        session.get(api.url + "/videos")
    assert sleeps == []


# --- proxies -----------------------------------------------------------------------------------------------------------


class Proxy:
    """Logs the first line of each request, and answers it."""

    def __init__(self, answer: bytes) -> None:
        self.seen: list[str] = []
        self._answer = answer

    def __call__(self, connection: socket.socket, head: bytes) -> None:
        self.seen.append(head.split(b"\r\n")[0].decode())
        connection.sendall(self._answer)


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Proxy]:
    """A proxy in the environment, for http and https, with a login; NO_PROXY is not set."""
    proxy = Proxy(getattr(request, "param", b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"))
    monkeypatch.delenv("NO_PROXY")
    with ExitStack() as stack:
        port = stack.enter_context(serving(proxy))
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
            monkeypatch.setenv(name, f"http://user:pr0xyPassw0rd@127.0.0.1:{port}")
        yield proxy


def test_requests_to_this_machine_never_use_a_proxy(api, session, proxy):
    assert session.get(api.url + "/videos").json() == PAGE
    assert list(session.find_all([api.url.replace("127.0.0.1", "localhost") + "/videos/vi1"])) == [PAGE]
    assert proxy.seen == []


def test_requests_to_api_video_use_it_and_a_login_that_it_does_not_take_is_told(session, proxy, sleeps):
    with pytest.raises(
        ProxySettingError, match=r"The proxy 127\.0\.0\.1:\d+ requires a login .* https://ws\.api\.video"
    ) as raised:
        session.get("https://ws.api.video/videos")
    assert [line.rpartition(" ")[0] for line in proxy.seen] == ["CONNECT ws.api.video:443"]
    assert sleeps == []
    assert not any(secret in str(raised.value) for secret in ("pr0xyPassw0rd", KEY))


@pytest.mark.parametrize("proxy", [b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"], indirect=True)
def test_a_proxy_that_lets_nobody_through_is_named(session, proxy):
    with pytest.raises(ForeignAnswerError, match=r"The proxy 127\.0\.0\.1:\d+ does not let this machine through"):
        session.get("https://ws.api.video/videos")


@pytest.mark.parametrize("proxy", [b"HTTP/1.1 200 OK\r\n\r\nthis is no TLS at all"], indirect=True)
def test_what_is_not_encrypted_behind_a_proxy_is_told(session, proxy):
    with pytest.raises(ApiVideoServerError, match="REQUESTS_CA_BUNDLE"):
        session.get("https://ws.api.video/videos")


def test_a_certificate_that_nobody_knows_is_told(session, tmp_path: Path):
    encrypted = serving(ByteByByte(OK + b"\r\n", b"", BODY), make_certificate(tmp_path))
    with encrypted as port, pytest.raises(ApiVideoServerError, match="REQUESTS_CA_BUNDLE"):
        session.get(f"https://127.0.0.1:{port}/videos")


def test_a_proxy_that_is_not_there_is_named(session, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:pr0xyPassw0rd@127.0.0.1:{port}")
    with pytest.raises(ApiVideoServerError, match=rf"The proxy 127\.0\.0\.1:{port} cannot be reached") as raised:
        session.get("https://ws.api.video/videos")
    assert "pr0xyPassw0rd" not in str(raised.value)


@pytest.mark.parametrize("setting", ["http://", "gopher://127.0.0.1:1", "socks5://127.0.0.1:1", "http://[", "http://a:b:c"])
def test_a_proxy_s_setting_that_cannot_be_used_is_a_sentence(session, monkeypatch, setting):
    monkeypatch.setenv("HTTPS_PROXY", setting)
    with pytest.raises(ApiVideoError, match="proxy") as raised:
        session.get("https://ws.api.video/videos")
    assert isinstance(raised.value, RefusedError)


def test_what_is_local_is_added_to_what_needs_no_proxy():
    names = "localhost,127.0.0.1,::1,demo-api,a.example.com,b.example.com"
    given = {"NO_PROXY": "a.example.com, ", "no_proxy": "b.example.com,localhost"}
    assert beside_a_proxy(given) == {"NO_PROXY": names, "no_proxy": names}


def test_what_is_local_and_what_looks_so():
    assert all(map(is_local, ["http://127.8.9.1/", "http://a.localhost", "http://0.0.0.0:8090", "http://DEMO-API:1"]))
    assert not any(map(is_local, ["http://localhost.example.com", "http://10.0.0.1", "http://127.0.0.1@example.com"]))


# --- the rate limit ----------------------------------------------------------------------------------------------------


def under_way_at_once(api: Api, session: ApiVideoSession) -> int:
    """Number of requests sent before the first is answered."""
    together, most, lock, gate = 0, 0, threading.Lock(), threading.Event()

    def give(handler, given) -> None:
        nonlocal together, most
        with lock:
            together += 1
            most = max(most, together)
        gate.wait(0.1)
        with lock:
            together -= 1
        Api.give(handler, given)

    api.give = give
    list(session.find_all([f"{api.url}/videos/vi{number}" for number in range(8)]))
    del api.give
    return most


BAD_GATEWAY = answer(502, b"<html></html>", Content_Type="text/html")


@pytest.mark.parametrize("silent", [BAD_GATEWAY, answer()], ids=["many of a proxy", "one good one"])
def test_an_answer_without_the_headers_does_not_switch_the_limit_off(api, session, silent):
    """The limit of the next window is unknown: its first request goes alone, to learn it."""
    api.answers = [silent]
    with suppress(ApiVideoServerError):
        session.get(api.url + "/videos")
    api.answers = [(200, PAGE, limit(1, 9, of=2)), (200, PAGE, limit(0, 9, of=2))] * 4
    assert under_way_at_once(api, session) == 1


def test_answers_without_the_headers_use_up_the_window_that_is_known(api, session, sleeps):
    api.answers = [(200, PAGE, limit(2, 41, of=3)), answer(), answer()]
    for _ in range(3):
        session.get(api.url + "/videos")
    assert sleeps == []
    session.get(api.url + "/videos")
    assert sleeps == [41]


def test_a_host_that_never_sends_the_headers_is_read_side_by_side(api, session):
    for _ in range(3):
        session.get(api.url + "/videos")
    assert under_way_at_once(api, session) > 1


def test_the_admin_api_gets_ten_requests_a_second(api, sleeps):
    clock = Clock()
    session = ApiVideoSession(Settings(KEY, admin_api_key="adm1n"), Host.ADMIN, sleep=sleeps.append, clock=clock)
    for _ in range(10):
        session.get(api.url + "/projects")
    assert sleeps == []
    clock.seconds = 0.25
    session.get(api.url + "/projects")
    assert sleeps == [0.75]
