"""A full refresh of one resource: its tables are dropped with the load that fills them anew."""

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
    """Has dlt drop an endpoint's tables before it loads the present package, and forget what nobody declared.

    dlt's ``refresh="drop_resources"`` would take the ledger along, which all resources share. Where views of the user hold
    the tables, dlt empties them, as ``refresh="drop_data"`` would; they keep their columns.
    """
    schema, package = dlt.current.source_schema(), dlt.current.load_package_state()
    family = get_nested_tables(schema.tables, endpoint.name)  # child tables of undeclared fields, too
    names = [str(table["name"]) for table in family]
    if views := views_upon(query, names):
        log.warning("%s: emptied instead of dropped, since %s depends on it", endpoint.name, ", ".join(views))
        package["state"]["truncated_tables"] = copy.deepcopy(family)
        return
    package["state"]["dropped_tables"] = copy.deepcopy(family)
    schema.drop_tables(names)
    declare_tables(schema, endpoint)
