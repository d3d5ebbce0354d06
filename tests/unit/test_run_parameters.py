"""The parameters of a run, from the trigger form, Airflow's API or the command line."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException

from tests.airflow_home import PROJECT

sys.path += [str(PROJECT / "dags")]
from api_video_form import run_params, with_params

from include.api_video.errors import SettingsError
from include.api_video.settings.settings import Settings

PARAMS = run_params(["videos", "video"], ["videos"])


def given(conf: dict[str, Any] | None, **params: Any) -> Settings:
    """The settings of a run, as its tasks see them."""
    context = {"dag": SimpleNamespace(params=PARAMS), "dag_run": SimpleNamespace(conf=conf)}
    chosen = {name: param.value for name, param in PARAMS.items()} | params
    return with_params(Settings("k3y", max_removed_share=0.25), {**context, "params": chosen})


@pytest.mark.parametrize("conf", [None, {}, {"full_refresh": True}, {"resources": ["video"], "allow_mass_removal": False}])
def test_what_the_form_has_is_taken(conf: dict[str, Any] | None) -> None:
    assert given(conf).max_removed_share == 0.25


def test_the_switch_takes_the_brake_off_for_its_run() -> None:
    assert given({"allow_mass_removal": True}, allow_mass_removal=True).max_removed_share == 1.0


@pytest.mark.parametrize("wrong", [2, 50, "yes", None])
def test_the_switch_takes_no_number_for_which_there_is_no_brake(wrong: Any) -> None:
    """A max_removed_share of 2 or 50 was silently taken as 1."""
    # Airflow 3.2 has an error of its own, 3.3 a ValueError.
    with pytest.raises((ValueError, AirflowException), match=r"(?s)Param.*boolean|boolean"):
        PARAMS["allow_mass_removal"].resolve(value=wrong)


def test_the_share_that_the_form_had_before_is_refused_and_the_switch_named() -> None:
    """Otherwise a user of Airflow's API would believe that the parameter has an effect."""
    with pytest.raises(SettingsError, match="allow_mass_removal") as refused:
        given({"max_removed_share": 0.1})
    assert "The share itself is a setting, SOURCES__API_VIDEO_SOURCE__MAX_REMOVED_SHARE." in str(refused.value)


def test_a_parameter_that_there_is_not_is_refused_and_not_ignored() -> None:
    with pytest.raises(SettingsError, match=r"Unknown parameter of a run 'full_refesh'; did you mean 'full_refresh'\?"):
        given({"full_refesh": True})
