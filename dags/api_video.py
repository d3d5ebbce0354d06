"""
### api.video to the warehouse

Loads videos, players, live streams, summaries and their details from [api.video](https://api.video), every hour or
as the setting `schedule` says. Each table equals what the API lists: new and changed rows are merged, removed rows are
soft-deleted with `removed_at`.

`prepare` checks the settings and creates the tables. Then one task per resource loads it; a child (`video_status`,
`video`, `summary_source`) requests objects by the ids that its parent loaded. `validate` runs last, even if tasks failed,
and proves the load. Its log has the report as a table, its XCom `report` as JSON.

The table `_syncs` tells what each run did, `_checks` what it proved.

There is nothing to backfill: a run loads everything since the last successful one, however long ago that was. So Airflow
refuses a backfill of this DAG; trigger one run instead.
"""

from __future__ import annotations

import sys
from pathlib import Path

# dags/ and include/ are side by side, wherever they are copied to.
HERE = Path(__file__).resolve().parent
sys.path += [path for path in (str(HERE.parent), str(HERE)) if path not in sys.path]

import pendulum  # noqa: E402
from airflow.sdk import dag  # noqa: E402
from api_video_alerts import failure_alert, late_alert, run_is_late  # noqa: E402
from api_video_errors import RETRIES  # noqa: E402
from api_video_form import run_params  # noqa: E402
from api_video_tasks import (  # noqa: E402
    ONE_AT_A_TIME,
    RUN_TYPES,
    accounts_to_parse,
    dag_resources,
    demo_tags,
    load_tasks,
    prepare,
    validate,
)
from api_video_timeouts import run_timeout  # noqa: E402

from include.api_video.catalog.endpoints import ENDPOINTS, by_name, group_names  # noqa: E402
from include.api_video.settings.accounts import Account  # noqa: E402
from include.api_video.settings.schedule import schedule_or_hourly  # noqa: E402
from include.api_video.settings.settings import read_demo_note  # noqa: E402


def make_dag(account: Account) -> None:
    """The DAG of one account."""
    resources, switched_on = dag_resources(account)
    demo, schedule = read_demo_note(account), schedule_or_hourly(account)
    groups = group_names(endpoint for endpoint in ENDPOINTS if endpoint.name in resources)

    @dag(
        account.dag_id,
        schedule=schedule.text,
        start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
        catchup=False,
        max_active_runs=1,
        dagrun_timeout=run_timeout(account),
        allowed_run_types=RUN_TYPES,
        params=run_params(resources, switched_on),
        default_args={**RETRIES, **ONE_AT_A_TIME},
        doc_md=f"{demo}\n\n{__doc__}" if demo else __doc__,
        tags=["api.video", "dlt", *demo_tags(demo)],
        on_failure_callback=failure_alert(),
        deadline=late_alert(f"{__name__}.{run_is_late.__name__}", schedule),
    )
    def api_video() -> None:
        ready, proof = prepare(account, resources), validate(account, resources)
        tasks = load_tasks(account, groups)
        ready >> [task for name, task in tasks.items() if by_name()[name].parent not in tasks]
        list(tasks.values()) >> proof

    api_video()


for each in accounts_to_parse():
    make_dag(each)
