"""The page "api.video" in Airflow: what each run left in Airflow's database, shown behind Airflow's login.

It never queries the warehouse: the API server may not reach it, and a DuckDB file admits one process at a time.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any

from airflow.configuration import conf
from airflow.utils.session import create_session
from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from api_video_airflow import formats
from api_video_airflow.history import read_dag_ids, read_history
from api_video_airflow.messages import SORRY
from api_video_airflow.state import build_state

try:
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
    from airflow.api_fastapi.core_api.security import get_user, requires_access_dag
except ImportError as error:
    MISSING_CHECK = str(error)

    def get_user() -> Any:
        """Refuses everybody, if Airflow no longer has the permission check that the page relies on."""
        raise HTTPException(
            503, f"The page is closed: this Airflow has no permission check that it knows ({MISSING_CHECK})."
        )


HERE = Path(__file__).parent
DAG_ID = "api_video"
DEMO_VARIABLE = "API_VIDEO_DEMO_URL"
OURS = re.compile(rf"{DAG_ID}(_[A-Za-z0-9_.-]+)?")  # one DAG per account
HEADERS = {
    # An answer belongs to one user: no cache may keep it, no other site may frame it, only the page's own files may run.
    "Cache-Control": "no-store",
    "Vary": "Cookie, Authorization",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
TEMPLATES = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.filters |= {name: getattr(formats, name) for name in ("number", "age", "moment", "seconds", "hours", "count")}

app = FastAPI(title="api.video", docs_url=None, redoc_url=None, openapi_url=None)
app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")


def readable(request: Request, user: Annotated[Any, Depends(get_user)]) -> list[str]:
    """The package's DAGs that the user may read, one per account."""
    with create_session() as session:
        dag_ids = [dag_id for dag_id in read_dag_ids(session) if OURS.fullmatch(dag_id)]
    return [dag_id for dag_id in dag_ids if _refusal(dag_id, request, user) is None]


def may_read(
    request: Request,
    user: Annotated[Any, Depends(get_user)],
    others: Annotated[list[str], Depends(readable)],
    dag_id: Annotated[str | None, Query()] = None,
) -> str:
    """The requested DAG, else the first one, if the user may read its runs and their XComs.

    Airflow does not protect a plugin's routes, so the page checks. The check must name the DAG: without a name, it lets
    everybody pass who may read any DAG.

    Raises:
        HTTPException: 401 without a session, 403 without the permission, 404 for another package's DAG.
    """
    dag_id = dag_id or next(iter(others), DAG_ID)
    if not OURS.fullmatch(dag_id):
        raise HTTPException(404)
    if refusal := _refusal(dag_id, request, user):
        raise refusal
    return dag_id


def _refusal(dag_id: str, request: Request, user: Any) -> HTTPException | None:
    try:
        for entity in (DagAccessEntity.RUN, DagAccessEntity.XCOM):
            requires_access_dag("GET", entity, param_dag_id=dag_id)(request, user)
    except HTTPException as error:
        return error
    return None


def base_path() -> str:
    """Path below which Airflow is served; usually empty."""
    return "/" + path if (path := "/".join(conf.get("api", "base_url", fallback="").split("/")[3:]).strip("/")) else ""


def render(name: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Renders a template, with the headers of every answer."""
    text = TEMPLATES.get_template(name).render(base=base_path(), **values)
    return HTMLResponse(text, status, HEADERS)


@app.get("/")
def show(
    dag_id: Annotated[str, Depends(may_read)],
    dag_ids: Annotated[list[str], Depends(readable)],
    run_id: Annotated[str | None, Query()] = None,
) -> HTMLResponse:
    """The latest state, or with ``run_id`` the state of that run."""
    with create_session() as session:
        history = read_history(session, dag_id, run_id)
    if run_id and not history.runs:
        raise HTTPException(404)
    state = build_state(history, formats.now())
    # If Airflow was started with the demo, this process has its address in the environment, too.
    has_demo = bool(os.environ.get(DEMO_VARIABLE))
    return render("page.html", state=state, dag_id=dag_id, dag_ids=dag_ids, run_id=run_id, has_demo=has_demo)


@app.exception_handler(HTTPException)
def sorry(_: Request, error: HTTPException) -> HTMLResponse:
    """A refusal as a page with a sentence."""
    said = SORRY.get(error.status_code, error.detail)
    return render("sorry.html", error.status_code, sentence=said, is_anonymous=error.status_code == 401)
