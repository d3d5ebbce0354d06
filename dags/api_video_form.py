"""The parameters of a run: the trigger form, and the refusal of unknown ones.

Airflow's API and command line accept any parameter, and Airflow ignores unknown ones. A misspelled brake would then have no
effect, so such a run fails instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from airflow.sdk import Param

from include.api_video.errors import SettingsError
from include.api_video.settings.config import one_of
from include.api_video.settings.settings import Settings

MASS_REMOVAL = "allow_mass_removal"


def run_params(resources: Sequence[str], switched_on: Sequence[str]) -> dict[str, Param]:
    """The form of a DAG that has tasks for ``resources``."""
    return {
        "resources": Param(
            list(switched_on),
            type="array",
            items={"type": "string", "enum": list(resources)},
            examples=list(resources),  # makes the form offer a list to choose from
            title="Resources",
            description="Tables to load in this run; the others stay as they are.",
        ),
        "full_refresh": Param(
            False,
            type="boolean",
            title="Full refresh",
            description="Drop the tables of the chosen resources and load them again. The ledger, the checks, and what "
            "api.video has forgotten of analytics and usage are kept.",
        ),
        MASS_REMOVAL: Param(
            False,
            type="boolean",
            title="Allow a mass removal in this run",
            description="Allow a removal that stopped an earlier run: more rows than max_removed_share (0.5) permits.",
        ),
    }


def with_params(settings: Settings, context: Any) -> Settings:
    """The settings of a run with its parameters applied.

    Raises:
        SettingsError: a parameter is unknown; the message names the known ones.
    """
    for name in context["dag_run"].conf or {}:
        if name == "max_removed_share":
            raise SettingsError(
                f"A run has no parameter max_removed_share any more: {MASS_REMOVAL} (true or false) allows a mass removal "
                f"once. The share itself is a setting, {settings.account.variable('max_removed_share')}."
            )
        one_of("parameter of a run", name, tuple(context["dag"].params))
    return replace(settings, max_removed_share=1.0) if context["params"][MASS_REMOVAL] else settings
