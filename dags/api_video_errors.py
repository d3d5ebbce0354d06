"""Errors of a task: one sentence for the log, for ``validate`` and for alerts; and whether Airflow should try again."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException, AirflowTaskTimeout
from api_video_alerts import ERROR
from api_video_timeouts import over_time

from include.api_video.errors import LeftOutError, PassingError, find_cause
from include.api_video.messages.masking import mask, sentence_of, traceback_of

REFUSED = "refused"  # key of the XCom in which a task says why it was skipped
RETRIES = {
    "retries": 2,
    "retry_delay": timedelta(minutes=1),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=15),
}
log = logging.getLogger("api_video")


@contextmanager
def plain_words() -> Iterator[None]:
    """Turns dlt's wrapped errors into one sentence, kept for ``validate``; only what may pass later is retried.

    Raises:
        AirflowSkipException: the resource is left out of this run.
        AirflowFailException: trying again cannot help, or took all the time that a task has.
        RuntimeError: it can, or nobody foresaw it; then the log has the traceback.
    """
    try:
        yield
    except AirflowException:
        raise
    except AirflowTaskTimeout:  # no Exception: nothing on the way took it for an error
        sentence = over_time()
        get_current_context()["ti"].xcom_push(key=ERROR, value=sentence)
        raise AirflowFailException(sentence) from None
    except Exception as error:
        cause = find_cause(error)
        ti = get_current_context()["ti"]
        if isinstance(cause, LeftOutError):
            ti.xcom_push(key=REFUSED, value=mask(str(cause)))
            raise AirflowSkipException(mask(str(cause))) from None
        if cause is None:
            log.error("This was not foreseen:\n%s", traceback_of(error))
        sentence = sentence_of(cause or error)
        ti.xcom_push(key=ERROR, value=sentence)
        again = cause is None or isinstance(cause, PassingError)
        raise (RuntimeError if again else AirflowFailException)(sentence) from None
