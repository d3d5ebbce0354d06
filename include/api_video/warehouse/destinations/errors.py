"""What a destination's failure means and what to do about it: one sentence instead of a driver's message.

``explained`` stands around everything that talks to the destination. Drivers and dlt tell failures apart by codes or by
text alone; ``FAULTS`` has those that were seen, the first that fits counts.
"""

from __future__ import annotations

import re
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from dlt.common.configuration.exceptions import ConfigFieldMissingException, ConfigurationException, LookupTrace
from dlt.common.destination.exceptions import DestinationTransientException
from dlt.common.exceptions import MissingDependencyException

from include.api_video.errors import ApiVideoError, PassingError, RefusedError, SettingsError, find_cause, root_of
from include.api_video.messages.masking import mask
from include.api_video.settings.accounts import DEFAULT_ACCOUNT, Account
from include.api_video.settings.config import values_of
from include.api_video.settings.destination import connection_variable, credentials_variable, destination_name, duckdb_file

LONGEST = 400  # characters quoted of a driver's message
OWN_MODULES = (
    "builtins",
    "include",
    "json",
    "airflow",
)  # an error class of these means a mistake in the code, whatever its text


class DestinationError(PassingError):
    """The destination cannot be used now: it cannot be reached, its disk is full, it is busy."""


class DestinationRefusedError(RefusedError):
    """The destination refuses, and would again: a wrong login, a missing right, a file of another kind."""


@dataclass(frozen=True)
class Fault:
    """A kind of failure: how to recognize its text, what to do, and whether a retry may help.

    ``advice`` may name ``{variable}`` (of the credentials), ``{login}``, ``{dataset}``, ``{database}``, ``{file}``,
    ``{folder}`` (the working files') and ``{duckdb}`` (its version).
    """

    pattern: str
    advice: str
    passes: bool = False


FAULTS = (
    Fault(
        r"No space left on device|Disk quota exceeded|File too large|could not extend file|disk full|database is full"
        r"|failed to offload data block|Out of disk space",
        "The disk is full: free some space (working files are in {folder}, or where TMPDIR says). What was loaded stays, "
        "and the next run goes on from there.",
        passes=True,
    ),
    Fault(
        r"invalid dsn|invalid connection option|missing \"=\" after|invalid integer value|invalid percent-encoded"
        r"|invalid port|invalid URI|unexpected spaces|end of string reached when looking for",
        "Correct the connection string in {variable}: postgresql://user:password@host:5432/database, with @ : / # % "
        "in the password percent-encoded (%40 for @).",
    ),
    Fault(
        r"unsupported startup parameter",
        "A pooler stands before PostgreSQL and does not know how dlt says which schema it works in. Set "
        "ignore_startup_parameters = options in pgbouncer.ini (nothing here needs it), or connect to PostgreSQL itself.",
    ),
    Fault(
        r"other objects depend on it|referenced in a foreign key constraint",
        "Drop what depends on it, run again, and make it anew (its definition: pg_get_viewdef). Nothing of yours was "
        "dropped.",
    ),
    Fault(
        r"must be owner of",
        "The tables belong to another role: ALTER TABLE ... OWNER TO {login} for all tables of {dataset} and "
        "{dataset}_staging, or REASSIGN OWNED BY ... TO {login}.",
    ),
    Fault(
        r"permission denied for (?:database|schema)|permission denied to create|no schema has been selected to create",
        'GRANT CREATE ON DATABASE "{database}" TO {login}; or make both schemas yourself: CREATE SCHEMA {dataset}; '
        "CREATE SCHEMA {dataset}_staging; GRANT USAGE, CREATE ON SCHEMA {dataset}, {dataset}_staging TO {login};",
    ),
    Fault(
        r"permission denied for|[Ii]nsufficient privileges|Access Denied|not authorized to perform"
        r"|does not have .*permission",
        "Give {login} the right to create, read and write the tables of {dataset} and {dataset}_staging.",
    ),
    Fault(
        r"password authentication failed|no password supplied|[Aa]uthentication failed|[Ii]ncorrect username or password"
        r"|role \"[^\"]*\" does not exist|Invalid access token|[Ii]nvalid.*token|no pg_hba.conf entry|[Ll]ogin failed"
        r"|InvalidAccessKeyId|SignatureDoesNotMatch|\b401\b|[Uu]nauthorized",
        "The login was refused: check user and password or key in {variable}.",
    ),
    Fault(
        r"AccessDenied|\b403\b|Forbidden",
        "The bucket refuses the key: check it in {variable}, and that it may list, read, write and delete there.",
    ),
    Fault(
        r"NoSuchBucket|bucket does not exist",
        "Make the bucket, or correct its name.",
    ),
    Fault(
        r"database \"[^\"]*\" does not exist",
        "Create it (CREATE DATABASE), or correct its name in {variable}.",
    ),
    Fault(
        r"is not a valid DuckDB database file|file is not a database|database disk image is malformed",
        "Move that file away, or set {variable} to another path; the next run makes a new one.",
    ),
    Fault(
        r"newer version of DuckDB|database file with version number|storage version",
        "A DuckDB newer than {duckdb} wrote the file: export it there in an older format (ATTACH ... (STORAGE_VERSION "
        "'v1.2.0')), or set {variable} to another path.",
    ),
    Fault(
        r"Corrupt database file|[Cc]hecksum",
        "The file is damaged: restore it from a copy, or move it away; the next run loads everything anew.",
    ),
    Fault(
        r"Is a directory",
        "A folder stands where the file should be: add the file's name to {variable}, such as {file}/api_video.duckdb.",
    ),
    Fault(
        r"Permission denied|Read-only file system|Operation not permitted|read-only mode",
        "The user who runs this may not write there: give the right for the file and its folder (DuckDB keeps files "
        "beside its own), or set another place.",
    ),
    Fault(
        r"Out of Memory|could not allocate|memory limit",
        "Give DuckDB more: API_VIDEO_DUCKDB_MEMORY=1GB.",
        passes=True,
    ),
    Fault(
        r"IO Error: Extension|Failed to download extension|Failed to install|Extension .* not found",
        "DuckDB downloads this extension at first use: let this machine reach extensions.duckdb.org once, or install it "
        "from the package duckdb-extension-<name>.",
        passes=True,
    ),
    Fault(
        r"onnection refused|could not translate host name|Could not connect|timed? ?out|No route to host|unreachable"
        r"|[Nn]ame resolution|Name or service not known|Max retries|Could not establish connection|onnection reset"
        r"|server closed the connection|onnection error|Is the server running|error sending request",
        "Is it running, is its address in {variable} right, does a firewall stand between?",
        passes=True,
    ),
)


def describe(error: BaseException, account: Account = DEFAULT_ACCOUNT) -> ApiVideoError | None:
    """The sentence for an error of the destination; None for any other error."""
    name = destination_name()
    if lacking := find_cause(error, MissingDependencyException):
        packages = " ".join(f'"{package}"' for package in lacking.dependencies)
        return SettingsError(
            f"The destination {name} needs more packages: pip install --constraint constraints.txt {packages}."
        )
    if missing := find_cause(error, ConfigFieldMissingException):
        fields = ", ".join(dict.fromkeys(_missing_fields(missing.traces)))
        return SettingsError(
            f"The destination {name} lacks {fields}: set {credentials_variable()}, or write "
            f"[destination.{name}.credentials] into include/.dlt/secrets.toml (dlt's documentation of {name} has all "
            "fields)."
        )
    if wrong := find_cause(error, ConfigurationException):
        return SettingsError(f"The destination {name} cannot be used: {_words(wrong)} Correct {credentials_variable()}.")
    root = root_of(error)
    words = _words(root)
    if type(root).__module__ == "builtins" and _raised_in(root, "dlt/common/configuration/"):
        return SettingsError(
            f"The destination {name} does not understand {credentials_variable()}: dlt's documentation of {name} has its "
            "fields and forms."
        )
    is_foreign = isinstance(root, OSError) or type(root).__module__.split(".")[0] not in OWN_MODULES
    for fault in FAULTS:
        if is_foreign and re.search(fault.pattern, words):
            kind = DestinationError if fault.passes else DestinationRefusedError
            return kind(f"The destination {name} cannot be used: {words} {_filled(fault.advice, account)}")
    if isinstance(root, _passing_errors()) or find_cause(error, DestinationTransientException):
        return DestinationError(f"The destination {name} cannot be used: {words}")
    return None


@contextmanager
def explained(account: Account = DEFAULT_ACCOUNT) -> Iterator[None]:
    """Turns an error of the destination into one of ours, with a sentence.

    Raises:
        SettingsError: a package or a part of the credentials is missing or malformed.
        DestinationError: it cannot be reached, or has no room.
        DestinationRefusedError: it refuses the login or a statement.
    """
    try:
        yield
    except Exception as error:
        if ours := find_cause(error):  # however deep dlt has wrapped it
            raise ours from None
        if told := describe(error, account):
            raise told from None
        raise


def _words(error: BaseException) -> str:
    """The message of an error in one line that ends with a dot, without credentials and without its SQL statement."""
    text = str(error)
    if isinstance(error, OSError) and error.errno and error.strerror:  # without its "[Errno 28]"
        text = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    text = re.split(r"\nLINE \d+:|\nHINT: |\. Newer DuckDB version might", text)[0]
    text = " ".join(mask(text).split()).rstrip(" .!") or type(error).__name__
    return f"{text[:LONGEST]} ..." if len(text) > LONGEST else f"{text}."


def _raised_in(error: BaseException, folder: str) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and folder in Path(frames[-1].filename).as_posix()


def _passing_errors() -> tuple[type[BaseException], ...]:
    """Errors that come from no mistake of this package's code, beside those that dlt calls transient."""
    import duckdb

    return (ConnectionError, TimeoutError, duckdb.IOException, duckdb.HTTPException)


def _filled(advice: str, account: Account) -> str:
    login, database = _login()
    return advice.format(
        variable=connection_variable(),
        login=login or "the login's role",
        database=database or "...",
        dataset=account.dataset,
        file=duckdb_file() or "/data",
        folder=tempfile.gettempdir(),
        duckdb=_duckdb_version(),
    )


def _duckdb_version() -> str:
    import duckdb

    return str(duckdb.__version__)


def _login() -> tuple[str, str]:
    """User and database from the settings, if they are there."""
    path = f"destination.{destination_name()}.credentials"
    whole = next(values_of(path), None)
    fields: dict[str, str] = {}
    if isinstance(whole, str) and "://" in whole and "@" in whole:
        url = urlsplit(whole)
        fields = {"username": unquote(url.netloc.rpartition("@")[0].partition(":")[0]), "database": url.path.strip("/")}
    for name in ("username", "database"):
        fields[name] = fields.get(name) or str(next(values_of(f"{path}.{name}"), None) or "")
    return fields["username"], fields["database"]


def _missing_fields(traces: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    for field, places in traces.items():
        inner = [place for place in places if not isinstance(place, LookupTrace)]
        for place in inner:
            yield from _missing_fields(place.traces)
        if not inner:
            yield field
