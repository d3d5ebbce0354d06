"""What a key may read: one request to each list, nothing is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from include.api_video.api.client import ApiVideoSession
from include.api_video.catalog.endpoints import ENDPOINTS
from include.api_video.catalog.model import Endpoint, Host
from include.api_video.errors import ApiVideoKeyError, ApiVideoPermissionError
from include.api_video.settings.settings import Settings

ANSWER_WITHIN_S = 30.0  # somebody waits in front of a form


@dataclass(frozen=True)
class Permissions:
    """The lists that the keys may read, and those that they may not, with the API's reason."""

    base_url: str
    environment: str
    readable: tuple[str, ...]
    refused: Mapping[str, str]

    def __str__(self) -> str:
        what = f"{', '.join(self.readable) or 'nothing'} ({self.environment}, {self.base_url})"
        if not self.refused:
            return f"The key reads {what}."
        refused = " ".join(f"{name}: {said}" for name, said in self.refused.items())
        return f"The key may not read {', '.join(self.refused)}. It reads {what}. {refused}"


def find_permissions(settings: Settings) -> Permissions:
    """Requests each list once: those of the Admin API only if its key is set. Single objects are not tried.

    Raises:
        ApiVideoKeyError: the main API does not know the key.
        PassingError: the API cannot be reached; there is no retry.
    """
    readable: list[str] = []
    refused: dict[str, str] = {}
    for endpoint in ENDPOINTS:
        if endpoint.is_list and (endpoint.host is Host.MAIN or settings.admin_api_key):
            try:
                _ask(endpoint, settings)
                readable.append(endpoint.name)
            except ApiVideoPermissionError as error:
                refused[endpoint.name] = str(error)
            except ApiVideoKeyError as error:
                if endpoint.host is Host.MAIN:
                    raise
                refused[endpoint.name] = str(error)
    return Permissions(settings.base_url, settings.environment, tuple(readable), refused)


def _ask(endpoint: Endpoint, settings: Settings) -> None:
    session = ApiVideoSession(settings, endpoint.host, attempts=1, whole_answer_s=ANSWER_WITHIN_S)
    url = settings.url_of(endpoint.host)
    try:
        if endpoint.per_row_of and session.knows(url + endpoint.per_row_of[0], {}):
            return
        session.get(url + (endpoint.listed_path or endpoint.path))
    finally:
        session.close()
