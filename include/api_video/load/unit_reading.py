"""Reads what belongs together in units: the list of one parent's row, or the answers of one day. Each unit has one or more
questions, each answered by one or more pages; it goes on as one item once all are answered.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from dlt.common.jsonpath import compile_path

from include.api_video.api.analytics import add_up, is_of, params_of, raw_value, read_answer
from include.api_video.api.answers import read_page
from include.api_video.api.client import MISSING, ODD, REFUSED, UNREAD
from include.api_video.catalog.model import Ask, Host
from include.api_video.errors import ApiVideoServerError, LeftOutError
from include.api_video.load.asked_reading import Asked, AskedReading
from include.api_video.load.pages import QuestionPaginator

log = logging.getLogger("api_video")
UNDOCUMENTED = "its answer is not as documented."
PAGING = ("currentPage", "page")


@dataclass(frozen=True)
class Question:
    """One request: what it is of. ``column`` is empty for a list of whole rows."""

    unit: str
    path: str
    column: str = ""
    has_values: bool = True
    span: tuple[datetime, datetime] | None = None


@dataclass
class Answer:
    """What was read in answer to a question.

    Attributes:
        totals: the ``itemsTotal`` of its pages.
        refused: why api.video gives no answer; empty if it does.
        status: of that refusal.
        odd: an answer that is none of those documented.
    """

    rows: list[Any] = field(default_factory=list)
    pages: int = 0
    totals: set[int | None] = field(default_factory=set)
    refused: str = ""
    status: int = 0
    odd: Any = None

    @property
    def is_whole(self) -> bool:
        """Whether it stood still while it was read: it has all its rows, and no value twice."""
        values = [raw_value(row) for row in self.rows if isinstance(row, Mapping) and "metricValue" in row]
        return self.totals <= {None, len(self.rows)} and len(values) == len(set(values))


@dataclass
class Unit:
    """What was read of one unit; the only item that dlt gets of it.

    Attributes:
        left: how many questions are not answered yet.
        answers: by column.
        failed: why it could not be read; empty if it could.
    """

    key: str
    left: int
    answers: dict[str, Answer] = field(default_factory=dict)
    failed: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether each answer is."""
        return all(answer.is_whole for answer in self.answers.values())

    @property
    def refused(self) -> dict[str, str]:
        """Columns that api.video does not answer for, or not as documented, and why."""
        return {column: answer.refused for column, answer in self.answers.items() if answer.refused}

    @property
    def is_refused(self) -> bool:
        """Whether no question is answered."""
        return bool(self.answers) and len(self.refused) == len(self.answers)

    def is_refused_with(self, status: int) -> bool:
        """Whether each question is refused with this status."""
        return self.is_refused and all(answer.status == status for answer in self.answers.values())

    @property
    def odd(self) -> dict[str, Any]:
        """Answers by column that are none of those documented."""
        return {column: answer.odd for column, answer in self.answers.items() if answer.odd is not None}


class UnitReading(AskedReading[Asked]):
    """The units of one endpoint in one run."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._told_refused: set[str] = set()

    # --- for subclasses ---------------------------------------------------------------------------------------------

    @abstractmethod
    def _units(self) -> Iterable[tuple[str, list[Question]]]:
        """The units to read, in order, with their questions."""

    @abstractmethod
    def take(self, unit: Unit) -> Iterator[dict[str, Any]]:
        """Yields the rows to load of a unit."""

    # --- requests -----------------------------------------------------------------------------------------------------

    def requests(self) -> list[Any]:
        """One request per question, those of several units at once."""
        endpoint, name = self.endpoint, f"{self.endpoint.name}_asked"
        self._open: dict[str, Unit] = {}
        self._questions: dict[Any, Question] = {}
        selector = "items" if endpoint.host is Host.ADMIN else "data"
        entry = {
            "name": endpoint.name,
            "write_disposition": "merge",
            "primary_key": endpoint.key,
            "endpoint": {
                "path": f"{{resources.{name}.path}}",
                "data_selector": compile_path(selector),
                "paginator": QuestionPaginator(self.on_page, "page" if endpoint.host is Host.ADMIN else "currentPage"),
            },
            "parallelized": True,
            "processing_steps": [{"yield_map": self.take}],
        }
        return [self._stand_in(name, self._wanted), entry]

    def _wanted(self) -> Iterator[list[dict[str, str]]]:
        for key, asked in self._units():
            self._open[key] = Unit(key, len(asked))
            self._questions |= {_identity(question.path): question for question in asked}
            yield [{"path": question.path} for question in asked]

    def _question(
        self, unit: str, ask: Ask, start: datetime, end: datetime, only_of: tuple[str, str] | None = None
    ) -> Question:
        """The question of an ask about a span, narrowed to a value of ``filterBy``."""
        params = params_of(ask, start, end)
        if only_of:
            params[f"filterBy[{only_of[0]}][]"] = only_of[1]
        span = (start, end) if params.get("from") else None
        return Question(unit, f"/data/{ask.path}?{urlencode(params)}", ask.column, ask.has_values, span)

    # --- answers ------------------------------------------------------------------------------------------------------

    def on_page(self, url: str, body: dict[str, Any], rows: list[Any]) -> range:
        """Takes a page of an answer; returns the number of the next one. Called by one thread for each unit.

        The rows are held back until the unit is complete, and go on as one item, also if there are none.
        """
        base = urlsplit(self.settings.url_of(self.endpoint.host)).path.rstrip("/")
        question = self._questions[_identity(url, base)]
        unit = self._open[question.unit]
        answer = unit.answers.setdefault(question.column, Answer())
        if (following := self._read(question, unit, answer, body)) is not None:
            rows.clear()
            return range(following, following + 1)
        unit.left -= 1
        rows[:] = [] if unit.left else [self._open.pop(question.unit)]
        return range(0)

    def _read(self, question: Question, unit: Unit, answer: Answer, body: dict[str, Any]) -> int | None:
        """Adds a page to an answer; returns the number of the next one, or None at the end."""
        if UNREAD in body:
            unit.failed = str(body[UNREAD])
        elif REFUSED in body:
            answer.refused, answer.status = str(body[REFUSED]), int(body["status"])
        elif ODD in body:
            answer.odd, answer.refused = body[ODD], UNDOCUMENTED
        elif MISSING not in body:  # else what it belongs to is gone, and with it the answer
            try:
                page = read_answer(body, has_values=question.has_values) if question.column else read_page(body)
            except ApiVideoServerError:
                answer.odd, answer.refused = body, UNDOCUMENTED
                return None
            if question.span and not is_of(body, *question.span):
                unit.failed = f"api.video answered for another span of time than {question.path} asks for."
                return None
            answer.rows += page.rows
            answer.totals.add(page.items_total)
            answer.pages += 1
            # Trust the requested number: an API that ignores currentPage would announce more pages forever.
            if page.rows and (page.has_next if page.pages_total is None else answer.pages < page.pages_total):
                return answer.pages + 1
        return None

    @staticmethod
    def _number(unit: Unit, ask: Ask) -> Any:
        """The number that answers a question; null where api.video does not answer."""
        answer = unit.answers[ask.column]
        return None if answer.refused else add_up(answer.rows, lambda _: "", ask.column).get("", 0)

    def _check_allowed(self, unit: Unit) -> None:
        """Ends the reading if the key may read none of it.

        Raises:
            LeftOutError: all that was asked so far was answered with 403.
        """
        if unit.is_refused_with(403) and not self.session.has_answered:
            raise LeftOutError(next(iter(unit.refused.values())))

    def _tell_refused(self, unit: Unit) -> None:
        """Logs which columns api.video does not answer for: once, not for each unit."""
        for column, reason in unit.refused.items():
            if column not in self._told_refused:
                self._told_refused.add(column)
                log.warning("%s: %s gets no numbers from %s on: %s", self.endpoint.name, column, unit.key, reason)


def _identity(url: str, base: str = "") -> Any:
    """What tells one question from another: path and parameters, without the page."""
    parts = urlsplit(url)
    query = frozenset((name, value) for name, value in parse_qsl(parts.query) if name not in PAGING)
    return unquote(parts.path.removeprefix(base)), query
