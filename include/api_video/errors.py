"""What can go wrong, by what the user can do about it.

::

    ApiVideoError
     ├── SettingsError           an option is missing or wrong: change the configuration, nothing was requested
     │    ├── MissingKeyError         no API key is set
     │    └── NoLocksError            the destination's file is where no locks are
     ├── LeftOutError            a resource is left out of a run: no failure
     ├── RefusedError            trying again cannot help
     │    ├── ApiVideoKeyError         401: wrong key, or a key of the other environment
     │    ├── ApiVideoPermissionError  403: the key is right, but may not read this
     │    ├── ApiVideoRequestError     any other 4xx: api.video does not understand the request
     │    ├── RedirectError            an answer leads to where no key is sent
     │    ├── ProxySettingError        the proxy on the way wants a login, or its address is wrong
     │    ├── DestinationRefusedError  a wrong login, a right that is missing, a file of another kind
     │    └── RemovalBrakeError        more rows would be marked removed than the settings allow
     └── PassingError            it may work later, so Airflow tries again
          ├── ApiVideoLimitError       429 after as many waits as we allow ourselves
          ├── ApiVideoServerError      5xx, 408, 425, a broken connection, an answer that is no JSON
          │    ├── ApiVideoSlowError        an answer that did not end in time
          │    └── ForeignAnswerError       a proxy, firewall or login page answered in api.video's place
          ├── TimeIsUpError            a task read much longer than its work takes at the rate limit
          ├── SecretsBackendError      Airflow could not look up a Connection
          ├── DestinationError         the destination cannot be reached, or has no room
          ├── FileBusyError            another program kept the destination's file open
          └── UnforeseenError          a fault of this package or of what it uses
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TypeVar

MOST_WORDS = 300  # characters of a text that is not ours
E = TypeVar("E", bound=BaseException)


class ApiVideoError(Exception):
    """Base of all; ``str()`` is a sentence for the user: what, where, what to do."""


class SettingsError(ApiVideoError):
    """An option is missing or wrong."""


class MissingKeyError(SettingsError):
    """No API key is set."""


class LeftOutError(ApiVideoError):
    """A resource is left out of a run, which is no failure; ``str()`` says why."""


class RefusedError(ApiVideoError):
    """Trying again cannot help."""


class ApiVideoKeyError(RefusedError):
    """401."""


class ApiVideoPermissionError(RefusedError):
    """403."""


class ApiVideoRequestError(RefusedError):
    """A 4xx other than 401, 403 and 429; ``status`` says which."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class RedirectError(RefusedError):
    """An answer leads to where no key is sent: another host, or plain http://."""


class ProxySettingError(RefusedError):
    """The proxy on the way wants a login (407), or its address is none."""


class RemovalBrakeError(RefusedError):
    """Too many rows would be marked removed at once."""


class PassingError(ApiVideoError):
    """It may work later."""


class ApiVideoLimitError(PassingError):
    """429. ``retry_after_s`` is what the API told us to wait, seconds."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ApiVideoServerError(PassingError):
    """5xx, 408, 425, a broken connection, or an answer that is no JSON object."""


class ApiVideoSlowError(ApiVideoServerError):
    """An answer that did not end in time."""


class ForeignAnswerError(ApiVideoServerError):
    """What answered is not api.video; ``status`` is what it answered."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class TimeIsUpError(PassingError):
    """A task read much longer than its work takes at the rate limit."""


class SecretsBackendError(PassingError):
    """Airflow could not look up a Connection, which is not to say that there is none."""


class UnforeseenError(PassingError):
    """Something failed that nobody thought of; ``str()`` says which resource, what, and where."""

    def __init__(self, resource: str, error: BaseException) -> None:
        cause = root_of(error)
        frames = traceback.extract_tb(cause.__traceback__)
        where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
        what = " ".join(str(cause).split())[:MOST_WORDS] or "no reason given"
        super().__init__(
            f"{resource} could not be loaded, for a reason that this package does not know: {type(cause).__name__}: "
            f"{what}{where}. Nothing was lost; the task's log has the whole story, please report it with that."
        )


def find_cause(error: BaseException, kind: type[E] = ApiVideoError) -> E | None:  # type: ignore[assignment]
    """The error of a kind, else of ours, that dlt wrapped into its own, or None."""
    next_one: BaseException | None = error
    seen: set[int] = set()  # an error taken out of its wrapping and raised again has the wrapping as its context: a circle
    while next_one is not None and id(next_one) not in seen:
        if isinstance(next_one, kind):
            return next_one
        seen.add(id(next_one))
        next_one = next_one.__cause__ or next_one.__context__
    return None


def root_of(error: BaseException) -> BaseException:
    """What a driver, or the system, said first: dlt wraps it up to five times."""
    while inner := getattr(error, "inner_exc", None) or error.__cause__:
        error = inner
    return error
