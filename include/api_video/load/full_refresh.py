"""Full refresh of one resource: drops its tables in the same load that fills them again."""

from __future__ import annotations

import copy
import logging

import dlt
from dlt.common.schema.utils import get_nested_tables

from include.api_video.catalog.model import Endpoint
from include.api_video.warehouse.dependents import views_upon
from include.api_video.warehouse.schema import declare_tables
from include.api_video.warehouse.sql import Query

log = logging.getLogger("api_video")


def drop_tables(endpoint: Endpoint, query: Query) -> None:
    """Makes dlt drop an endpoint's tables before it loads the current package, and forget undeclared columns.

    dlt's ``refresh="drop_resources"`` would drop the ledger, too, which all resources share. If a user's view depends on
    the tables, dlt empties them instead, as ``refresh="drop_data"`` would, and they keep their columns.
    """
    schema, package = dlt.current.source_schema(), dlt.current.load_package_state()
    family = get_nested_tables(schema.tables, endpoint.name)  # including child tables of undeclared fields
    names = [str(table["name"]) for table in family]
    if views := views_upon(query, names):
        log.warning("%s: emptied instead of dropped, since %s depends on it", endpoint.name, ", ".join(views))
        package["state"]["truncated_tables"] = copy.deepcopy(family)
        return
    package["state"]["dropped_tables"] = copy.deepcopy(family)
    schema.drop_tables(names)
    declare_tables(schema, endpoint)
