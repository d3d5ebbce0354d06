"""Errors, grouped by what the user can do about them.

::

    ApiVideoError
     ├── SettingsError           an option is missing or wrong: change the configuration, nothing was requested
     │    ├── MissingKeyError         no API key is set
     │    └── NoLocksError            the destination's file is on a file system without locks
     ├── LeftOutError            a resource is left out of a run: no failure
     ├── RefusedError            a retry cannot help
     │    ├── ApiVideoKeyError         401: wrong key, or a key of the other environment
     │    ├── ApiVideoPermissionError  403: the key is right, but may not read this
     │    ├── ApiVideoRequestError     any other 4xx: api.video does not understand the request
     │    ├── RedirectError            an answer redirects to where no key is sent
     │    ├── ProxySettingError        the proxy requires a login, or its address is wrong
     │    ├── DestinationRefusedError  a wrong login, a missing right, a file of another kind
     │    └── RemovalBrakeError        more rows would be marked removed than the settings allow
     └── PassingError            it may work later, so Airflow tries again
          ├── ApiVideoLimitError       429 at every attempt
          ├── ApiVideoServerError      5xx, 408, 425, a broken connection, an answer that is not JSON
          │    ├── ApiVideoSlowError        an answer that did not end in time
          │    └── ForeignAnswerError       a proxy, firewall or login page answered in api.video's place
          ├── TimeIsUpError            reading took much longer than the rate limit explains
          ├── SecretsBackendError      Airflow could not look up a Connection
          ├── DestinationError         the destination cannot be reached, or is full
          ├── FileBusyError            another program kept the destination's file open
          └── UnforeseenError          a bug in this package or in what it uses
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TypeVar

MOST_WORDS = 300  # most characters quoted of another program's text
E = TypeVar("E", bound=BaseException)


class ApiVideoError(Exception):
    """Base of all errors. ``str()`` is a sentence for the user: what is wrong, where, what to do."""


class SettingsError(ApiVideoError):
    """An option is missing or wrong."""


class MissingKeyError(SettingsError):
    """No API key is set."""


class LeftOutError(ApiVideoError):
    """A resource is left out of a run, which is no failure. ``str()`` says why."""


class RefusedError(ApiVideoError):
    """A retry cannot help."""


class ApiVideoKeyError(RefusedError):
    """401: api.video does not accept the key."""


class ApiVideoPermissionError(RefusedError):
    """403: the key may not read this."""


class ApiVideoRequestError(RefusedError):
    """A 4xx other than 401, 403 and 429: ``status``."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class RedirectError(RefusedError):
    """An answer redirects to where no key is sent: another host, or plain http://."""


class ProxySettingError(RefusedError):
    """The proxy requires a login (407), or its address is invalid."""


class RemovalBrakeError(RefusedError):
    """Too many rows would be marked removed at once."""


class PassingError(ApiVideoError):
    """A retry may work."""


class ApiVideoLimitError(PassingError):
    """429. ``retry_after_s`` is the wait that the API asks for, in seconds."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ApiVideoServerError(PassingError):
    """5xx, 408, 425, a broken connection, or an answer that is not a JSON object."""


class ApiVideoSlowError(ApiVideoServerError):
    """An answer did not end in time."""


class ForeignAnswerError(ApiVideoServerError):
    """Something other than api.video answered, with ``status``."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class TimeIsUpError(PassingError):
    """Reading took much longer than the rate limit explains."""


class SecretsBackendError(PassingError):
    """Airflow could not look up a Connection; there may or may not be one."""


class UnforeseenError(PassingError):
    """An unexpected failure; ``str()`` says of which resource, what, and where."""

    def __init__(self, resource: str, error: BaseException) -> None:
        cause = root_of(error)
        frames = traceback.extract_tb(cause.__traceback__)
        where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
        what = " ".join(str(cause).split())[:MOST_WORDS] or "no reason given"
        super().__init__(
            f"{resource} could not be loaded, for a reason that this package does not know: {type(cause).__name__}: "
            f"{what}{where}. Nothing was lost; please report it with the task's log, which has the details."
        )


def find_cause(error: BaseException, kind: type[E] = ApiVideoError) -> E | None:  # type: ignore[assignment]
    """The first error of a kind, by default one of ours, among an error and those it wraps; None if there is none."""
    next_one: BaseException | None = error
    seen: set[int] = set()  # an unwrapped error that is raised again has its wrapper as context: a circle
    while next_one is not None and id(next_one) not in seen:
        if isinstance(next_one, kind):
            return next_one
        seen.add(id(next_one))
        next_one = next_one.__cause__ or next_one.__context__
    return None


def root_of(error: BaseException) -> BaseException:
    """The root cause, from a driver or the system: dlt wraps it up to five times."""
    while inner := getattr(error, "inner_exc", None) or error.__cause__:
        error = inner
    return error
