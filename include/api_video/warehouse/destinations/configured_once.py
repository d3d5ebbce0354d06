"""A destination that resolves its configuration once per dataset.

dlt asks some thirty times per load, and each time searches all places for thirty options: a quarter of the time of a load
without news. Clients then share one pool of connections, as they do within dlt's load step.
"""

from __future__ import annotations

from copy import copy
from functools import cached_property
from typing import Any


class ConfiguredOnce:
    """Mixin for a class of dlt's destinations."""

    @cached_property
    def _resolved(self) -> dict[str, Any]:
        return {}

    def configuration(self, initial_config: Any, accept_partial: bool = False) -> Any:
        """The resolved configuration; each caller gets a copy."""
        name = f"{accept_partial} {dict(initial_config or {})}"
        if name not in self._resolved:
            of_dlt: Any = super()
            self._resolved[name] = of_dlt.configuration(initial_config, accept_partial)
        return copy(self._resolved[name])


def configured_once(destination: Any) -> Any:
    """Turns one of dlt's own destinations into one that is configured once; name and type stay."""
    of_dlt = type(destination)
    kind = type(of_dlt.__name__, (ConfiguredOnce, of_dlt), {"destination_type": destination.destination_type})
    return kind(**destination.config_params, **destination.caps_params)
