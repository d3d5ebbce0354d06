"""Analytics are complete though a day closes during a run; after an outage longer than the retention, lost days say so."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta, timezone

import pytest

from tests.acceptance.conftest import CLOCKS_GO_BACK, Stage
from tests.acceptance.viewing import DAYS, FEW

pytestmark = pytest.mark.slow

MIDNIGHT = datetime(2026, 10, 24, 22, tzinfo=timezone.utc)  # in Paris
MINUTE = timedelta(minutes=1)


def test_a_day_of_viewing_that_closes_during_a_run(stage: Stage) -> None:
    connector = stage.loaded(("videos", *FEW), begin=CLOCKS_GO_BACK)
    api, key = connector.api, connector.api.ids("videos")[0]
    connector.now = began = MIDNIGHT - 6 * MINUTE
    for at in (began - 2 * MINUTE, began + 2 * MINUTE, MIDNIGHT + MINUTE):
        api.change("watch", key=key, at=at.isoformat(), plays=3)
    api.change_after(4, "/data/.*", "time", now=(MIDNIGHT + 3 * MINUTE).isoformat())

    run = connector.start()

    assert run.wait() == 0, run.output
    assert connector.now > MIDNIGHT
    connector.see_run(began)
    connector.assert_equal()
    connector.now += 60 * MINUTE
    connector.run()
    connector.assert_equal()


def test_an_outage_longer_than_the_retention_of_viewing(stage: Stage) -> None:
    connector = stage.loaded(("videos", *FEW), begin=CLOCKS_GO_BACK)
    loaded = connector.rows(f"SELECT count(*) FROM {DAYS}")[0][0]
    connector.now += timedelta(days=40)

    connector.run()

    connector.assert_equal()
    states = Counter(state for (state,) in connector.rows(f"SELECT state FROM {DAYS} WHERE day >= '2026-10-25'"))
    assert states == {"gap": 9, "partial": 1, "settled": 26, "closed": 3, "open": 1}
    assert connector.rows(f"SELECT count(*) FROM {DAYS} WHERE day < '2026-10-25'") == [(loaded,)]
