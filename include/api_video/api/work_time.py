"""How long reading may take, by the number of requests due.

Each request has its own time limit (``exchange``), but many slow ones could take for ever. How many are due is known only
while a task runs: from the rows loaded, the total on the first page, the request budget. So the task itself watches the
time; it can keep what was read and say why it stopped. Airflow's ``execution_timeout``, a constant of the DAG, catches what
is no request: a driver or a disk that hangs.

The limit is ten times what the rate limit requires, plus half an hour. A million videos take 20 minutes at production's
limit and may take 3 h 50 min; 3,000 details take 6 minutes and may take 1 h 30 min. A task still ends in time if others use
nine tenths of the rate limit.
"""

from __future__ import annotations

READS_PER_MINUTE = {"production": 500, "sandbox": 100}  # guide, reference/README, limitation
SLACK = 10
GRACE_S = 1800.0


def reads_per_minute(environment: str, reserve: float, told: int | None = None) -> float:
    """The rate limit minus the reserve for others. ``told`` is the limit in the API's answers, else the documented one."""
    return (told or READS_PER_MINUTE[environment]) * (1 - reserve)


def time_for(requests: int, per_minute: float) -> float:
    """Seconds that so many requests may take in all."""
    return GRACE_S + SLACK * 60 * requests / per_minute


def spell(seconds: float) -> str:
    """A duration in words, such as "3 h 50 min"."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    parts = [f"{hours} h"] * (hours > 0) + [f"{minutes} min"] * (minutes > 0)
    return " ".join(parts)
