"""What a run may be given: by the trigger form, by Airflow's API, on the command line."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from tests.airflow_home import PROJECT

sys.path += [str(PROJECT / "dags")]
import api_video_tasks

from include.api_video.errors import SettingsError

PARAMS = {"resources": [], "full_refresh": False, "allow_mass_removal": False}


def check(conf: dict[str, Any] | None) -> None:
    api_video_tasks.check_parameters({"dag": SimpleNamespace(params=PARAMS), "dag_run": SimpleNamespace(conf=conf)})


@pytest.mark.parametrize("conf", [None, {}, {"full_refresh": True}, dict(PARAMS)])
def test_what_the_form_has_is_taken(conf: dict[str, Any] | None) -> None:
    check(conf)


def test_the_share_that_the_form_had_before_is_refused_and_the_switch_named() -> None:
    """Who triggers runs by the API would else believe that it brakes, or that it lets through."""
    with pytest.raises(SettingsError, match="allow_mass_removal") as refused:
        check({"max_removed_share": 0.1})
    assert "The share itself is a setting, SOURCES__API_VIDEO_SOURCE__MAX_REMOVED_SHARE." in str(refused.value)


def test_a_parameter_that_there_is_not_is_refused_and_not_ignored() -> None:
    with pytest.raises(SettingsError, match=r"Unknown parameter of a run 'full_refesh'; did you mean 'full_refresh'\?"):
        check({"full_refesh": True})


@pytest.mark.parametrize(("allowed", "share"), [(True, 1.0), (False, 0.25)])
def test_the_switch_takes_the_brake_off_for_its_run_only(
    allowed: bool, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__API_VIDEO_SOURCE__API_KEY", "k3y")
    monkeypatch.setenv("SOURCES__API_VIDEO_SOURCE__MAX_REMOVED_SHARE", "0.25")
    params = {**PARAMS, "allow_mass_removal": allowed}
    context = {"params": params, "dag": SimpleNamespace(params=PARAMS), "dag_run": SimpleNamespace(conf={})}
    monkeypatch.setattr(api_video_tasks, "get_current_context", lambda: context)
    monkeypatch.setattr(api_video_tasks, "read_connection", lambda _: {})

    assert api_video_tasks.run_settings(api_video_tasks.DEFAULT_ACCOUNT).max_removed_share == share
