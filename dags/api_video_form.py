"""What a run may be given: the parameters of the trigger form, and what is said of others.

A run that is triggered by Airflow's API or on the command line can be given anything, and Airflow ignores what it does not
know: a brake that somebody believes in would not be there.
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
            examples=list(resources),  # the form offers them as a list to choose from
            title="Resources",
            description="Which tables to load in this run; the others are left as they are.",
        ),
        "full_refresh": Param(
            False,
            type="boolean",
            title="Full refresh",
            description="Drop the tables of the chosen resources and load them anew. The ledger and the checks are kept.",
        ),
        MASS_REMOVAL: Param(
            False,
            type="boolean",
            title="Allow a mass removal in this run",
            description="Lets a removal through that a run before this one stopped at: more than max_removed_share (0.5).",
        ),
    }


def with_params(settings: Settings, context: Any) -> Settings:
    """The settings of a run that was given parameters.

    Raises:
        SettingsError: a parameter is unknown; the message names those that are known.
    """
    for name in context["dag_run"].conf or {}:
        if name == "max_removed_share":
            raise SettingsError(
                f"A run has no parameter max_removed_share any more: {MASS_REMOVAL} (true or false) lets one mass removal "
                f"through. The share itself is a setting, {settings.account.variable('max_removed_share')}."
            )
        one_of("parameter of a run", name, tuple(context["dag"].params))
    return replace(settings, max_removed_share=1.0) if context["params"][MASS_REMOVAL] else settings
