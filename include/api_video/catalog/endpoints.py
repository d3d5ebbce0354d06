"""The table of api.video's endpoints: one entry is one resource, one Airflow task and one table in the warehouse.

To load another list, add its columns and one entry to the file of its family (``videos``, ``players``, ...), or to a new
file that ``ENDPOINTS`` names. Nothing else has to change: the source, the DAG, the checks, the demo API, the tables of
resources and the data dictionary all read this table.

Facts about the API come from its OpenAPI description (https://docs.api.video/reference, file ``openapi.yaml``) and, for
``projects_api_keys``, from the Admin API's (file ``admin-api.yaml``).
"""

from __future__ import annotations

from collections.abc import Iterable

from include.api_video.catalog import account, live_streams, players, summaries, videos
from include.api_video.catalog.model import Endpoint

ENDPOINTS: tuple[Endpoint, ...] = (
    *videos.ENDPOINTS,
    *summaries.ENDPOINTS,
    *players.ENDPOINTS,
    *live_streams.ENDPOINTS,
    *account.ENDPOINTS,
)


def by_name(endpoints: Iterable[Endpoint] = ENDPOINTS) -> dict[str, Endpoint]:
    """The endpoints by name, in the table's order."""
    return {endpoint.name: endpoint for endpoint in endpoints}


def in_load_order(names: Iterable[str]) -> list[str]:
    """Resources in the order to load them one after another: each after those it depends on."""
    table = by_name()
    ordered: list[str] = []

    def add(name: str) -> None:
        for earlier in upstream(table[name]):
            if earlier in wanted:
                add(earlier)
        if name not in ordered:
            ordered.append(name)

    wanted = list(names)
    for name in wanted:
        add(name)
    return ordered


def upstream(endpoint: Endpoint) -> list[str]:
    """Resources to load before this one, if they are loaded at all: its parent and its bin."""
    return [name for name in (endpoint.parent, endpoint.bin) if name]


def group_names(endpoints: Iterable[Endpoint] = ENDPOINTS) -> dict[str, list[str]]:
    """``{group: [resource, ...]}``, each child after its parent."""
    groups: dict[str, list[str]] = {}
    for endpoint in endpoints:
        groups.setdefault(endpoint.group, []).append(endpoint.name)
    return groups
