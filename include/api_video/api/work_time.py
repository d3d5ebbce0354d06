"""How long reading may take, by the work that is known to be due.

Every request ends by itself (``exchange``): what could take for ever is many of them, each slow. How many are due is known
only while a task runs: the rows that are loaded, the total that the first page tells, the budget of details. So the time is
measured there, where a sentence can be said and what was read can be kept. Airflow's own ``execution_timeout``, a constant
of the DAG, is the net below for what no request is: a driver or a disk that hangs.

Ten times what the API's limit makes it, and half an hour: a million videos are read in 20 minutes at production's limit and
may take 3 h 50 min; 3,000 details need 6 minutes and may take 1 h 30 min. A task that finds nine tenths of the limit used
by others still ends in time.
"""

from __future__ import annotations

READS_PER_MINUTE = {"production": 500, "sandbox": 100}  # guide, reference/README, limitation
SLACK = 10
GRACE_S = 1800.0


def reads_per_minute(environment: str, reserve: float, told: int | None = None) -> float:
    """The API's limit less what is left for others; ``told`` is what it said itself."""
    return (told or READS_PER_MINUTE[environment]) * (1 - reserve)


def time_for(requests: int, per_minute: float) -> float:
    """Seconds that so many requests may take."""
    return GRACE_S + SLACK * 60 * requests / per_minute


def spell(seconds: float) -> str:
    """Such as "3 h 50 min"."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    parts = [f"{hours} h"] * (hours > 0) + [f"{minutes} min"] * (minutes > 0)
    return " ".join(parts)
