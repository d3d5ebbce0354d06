"""Requests of the connector and answers of the demo API are as api.video documents them: Prism stands between and compares.

README.md beside this file says how to get the two OpenAPI documents.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from include.api_video.catalog.endpoints import ENDPOINTS
from include.api_video.catalog.model import Host
from tests.acceptance.conftest import Stage
from tests.acceptance.connector import COMMAND, SECTION, Connector
from tests.acceptance.openapi import Document
from tests.acceptance.prism import NoPrismError, Violation, Watch, find_prism, watching
from tests.lacking import LACKING, leave_out

pytestmark = pytest.mark.slow
OF_OURS = pytest.mark.skipif(bool(COMMAND), reason="another connector may read less")

VARIABLES = {Host.MAIN: "API_VIDEO_OPENAPI", Host.ADMIN: "API_VIDEO_OPENAPI_ADMIN"}
FILES = {host: os.environ.get(name) for host, name in VARIABLES.items()}  # read on import: a fixture cleans the environment
HOW_TO_RUN = f"set {' and '.join(VARIABLES.values())} to api.video's OpenAPI documents (tests/acceptance/README.md)"
KEYS = {Host.MAIN: f"{SECTION}API_KEY", Host.ADMIN: f"{SECTION}ADMIN_API_KEY"}
URLS = {Host.MAIN: f"{SECTION}BASE_URL", Host.ADMIN: f"{SECTION}ADMIN_BASE_URL"}
VIDEOS = 20
# Enough for each kind of question; the first load would send some 700 requests for watch time alone.
FEW = {f"{SECTION}MAX_DETAIL_REQUESTS": "60", f"{SECTION}ANALYTICS_TOP_VIDEOS": "1"}


@dataclass(frozen=True)
class Known:
    """What the documents' schemas forbid in an answer, although api.video sends it. All fields but ``why`` must match.

    Attributes:
        paths, value: regular expressions of the documented path, and of what stands there as JSON.
    """

    paths: str
    where: str
    value: str
    why: str

    def covers(self, violation: Violation) -> bool:
        """Whether this is that violation."""
        fits = re.fullmatch(self.paths, violation.path) and re.fullmatch(self.value, violation.value)
        return bool(fits) and self.where == violation.where


# fmt: off
KNOWN = (
    Known("/(live-streams|tags|upload-tokens)|/videos/{videoId}/(captions|chapters)",
          "response.body.pagination.links[].uri", r'"/[^/{}][^{}]*"',
          "the schema wants a URI in a link, but the examples of these lists have paths"),
    Known(r"/projects|/projects/{project_id}/api-keys", "response.body.links[].href", r'"/projects[^{}]*"',
          "the schema wants a URI in a link, but the field's example is a path"),
    Known("/videos", "response.body.data[].language", "null",
          "a video without a language; null is allowed where the language is set (PATCH), but not where it is returned"),
    Known("/videos/{videoId}", "response.body.language", "null", "as in the list"),
    Known("/discarded/videos", "response.body.data[].assets", "null", "the example of this list has null"),
    Known("/discarded/videos/{videoId}", "response.body.assets", "null", "the example of this object has null"),
    Known("/videos/{videoId}/status", "response.body.ingest", r"\[\]",
          "nothing was uploaded yet: the vendor's clients repair an [] that the API sends in place of an object"),
    Known("/tags", "response.body.data[].videoCount", r'"\d+"', "the example of this list has texts"),
    Known("/data/buckets/{metric}/{breakdown}", "response.body.context.breakdown", '"referrer"',
          "a breakdown that the path allows; the answer's enum lacks it"),
    Known("/data/buckets/{metric}/{breakdown}", "response.body.context.metric", '"play-total"',
          "a metric that the path allows; the answer's enum lacks it"),
    Known("/data/metrics/{metric}/{aggregation}", "response.body.context.aggregation", '"peak"',
          "an aggregation that the path allows; the answer's enum lacks it"),
    Known("/(videos|players)", "response.body.range", r'{"min": \d+.*}',
          "the example of a page out of range has it; the schema lacks it"),
    Known("/(videos|players)", "response.body.problems[].range", r'{"min": \d+.*}', "as in the case above"),
    Known("/(videos|projects)", "response", "401",
          "no answer to a wrong key is in the documents; the guide has it (reference/errors)"),
)
# fmt: on

# Requests that are refused, whose answers are documented, too: target, status.
REFUSED = {
    Host.MAIN: (
        ("/videos?currentPage=0", 400),
        ("/players?pageSize=101", 400),
        ("/data/metrics/play/count?from=2001-01-01T00%3A00%3A00Z", 400),
        ("/videos/unknown", 404),
        ("/videos/unknown/status", 404),
        ("/videos/unknown/captions", 404),
        ("/summaries/unknown/source", 404),
    ),
    Host.ADMIN: (
        ("/projects/{project_id}/delivery-usage?interval=year", 400),
        ("/projects/{project_id}/hosting-usage?interval=year", 400),
    ),
}


@dataclass(frozen=True)
class Talk:
    """A series of requests and answers: what the documents do not allow in them, and the documented paths requested."""

    found: list[Violation]
    asked: set[str]


class Contract:
    """A connector and its demo API, with the published documents between them."""

    def __init__(self, connector: Connector, watches: dict[Host, Watch], documents: dict[Host, Document]) -> None:
        self.connector, self.documents, self._watches = connector, documents, watches
        self.urls = {URLS[host]: watch.url for host, watch in watches.items()}

    def get(self, host: Host, target: str, key: str | None = None) -> int:
        """Sends a request of our own; returns its status."""
        key = self.connector.api.settings[KEYS[host]] if key is None else key
        headers = {"Authorization": f"Basic {base64.b64encode(f'{key}:'.encode()).decode()}"}
        return self._watches[host].get(target, headers)[0]

    def take(self) -> Talk:
        """The findings since the last call."""
        watches = self._watches.values()
        found = [violation for watch in watches for violation in watch.found]
        said = Talk(found, {path for watch in watches for path in watch.asked})
        for watch in watches:
            watch.found.clear()
            watch.asked.clear()
        return said


@pytest.fixture(scope="module")
def contract(whole_stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Contract]:
    if not all(FILES.values()):
        pytest.skip(LACKING + HOW_TO_RUN)  # in CI, too: they are no part of this project
    documents = {host: Document(Path(str(file))) for host, file in FILES.items()}
    try:
        prism = find_prism()
    except NoPrismError as none:
        leave_out(str(none))
    main, admin = (tmp_path_factory.mktemp(host.value) for host in Host)
    with whole_stage.act() as stage:
        connector = stage.empty([endpoint.name for endpoint in ENDPOINTS], VIDEOS)
        url = connector.api.url
        with (
            watching(prism, documents[Host.MAIN], url, main) as of_main,
            watching(prism, documents[Host.ADMIN], url, admin) as of_admin,
        ):
            yield Contract(connector, {Host.MAIN: of_main, Host.ADMIN: of_admin}, documents)


@pytest.fixture(scope="module")
def talk(contract: Contract) -> Talk:
    """A first load, the doctor, and a single object of each list that offers them; then requests that the demo refuses.

    ``asked`` has the paths of the load alone.
    """
    contract.take()
    contract.connector.run(**contract.urls, **FEW)
    load = contract.take()
    if not COMMAND:
        contract.connector.run("doctor", **contract.urls)
    for endpoint in ENDPOINTS:
        if endpoint.one_path:
            key = contract.connector.api.ids(endpoint.name)[0]
            assert contract.get(endpoint.host, re.sub(r"{\w+}", key, endpoint.one_path)) == 200
    objects = contract.take()
    project = contract.connector.api.ids("projects")[0]
    for host, cases in REFUSED.items():
        for target, status in cases:
            assert contract.get(host, target.format(project_id=project)) == status, target
    assert contract.get(Host.MAIN, "/videos", "wrong") == contract.get(Host.ADMIN, "/projects", "wrong") == 401
    contract.connector.api.fail("/videos", "status", status=429)
    assert contract.get(Host.MAIN, "/videos") == 429
    refused = [violation for violation in contract.take().found if violation.where.startswith("response")]
    return Talk([*load.found, *objects.found, *refused], load.asked)


def test_the_connector_asks_only_what_is_documented(talk: Talk) -> None:
    requests = [str(violation) for violation in talk.found if violation.where.startswith("request")]
    assert not requests, "\n".join(sorted(set(requests)))


def test_the_demo_answers_as_documented_but_for_known_errors_of_the_documents(talk: Talk) -> None:
    answers = [violation for violation in talk.found if violation.where.startswith("response")]
    new = {str(violation) for violation in answers if not any(known.covers(violation) for known in KNOWN)}
    assert not new, "\n".join(sorted(new))


@OF_OURS
def test_each_known_error_of_the_documents_was_met(talk: Talk) -> None:
    """An entry that no longer occurs would hide a new error in the same place."""
    gone = [known for known in KNOWN if not any(map(known.covers, talk.found))]
    assert not gone, f"take out of KNOWN: {gone}"


@OF_OURS
def test_every_table_was_asked_for(talk: Talk, contract: Contract) -> None:
    for endpoint in ENDPOINTS:
        own = [f"/data/{ask.path}" for ask in endpoint.asks] or [endpoint.path]
        documented = {contract.documents[endpoint.host].path_of(re.sub(r"{\w+}", "x", path)) for path in own}
        assert documented <= talk.asked, endpoint.name


@pytest.mark.usefixtures("talk")  # first: this test changes what the demo answers
def test_what_is_not_documented_is_found(contract: Contract) -> None:
    """A parameter, a value of one, a type, a field, a path: Prism alone would let the first and the fourth pass."""
    contract.take()
    player = contract.connector.api.ids("players")[0]
    contract.connector.api.change("update", "players", player, name=7, mood="good")
    contract.get(Host.MAIN, "/players?createdAfter=2026-01-01")
    contract.get(Host.MAIN, f"/players/{player}")
    contract.get(Host.MAIN, "/videos?sortBy=mood")
    contract.get(Host.ADMIN, "/project")

    found = {(violation.path, violation.where, violation.value) for violation in contract.take().found}

    assert found >= {
        ("/players", "request.query.createdAfter", '"createdAfter=2026-01-01"'),
        ("/players/{playerId}", "response.body.name", "7"),
        ("/players/{playerId}", "response.body.mood", '"good"'),
        ("/videos", "request.query.sortBy", '"sortBy=mood"'),
        ("/project", "request", '""'),
    }
