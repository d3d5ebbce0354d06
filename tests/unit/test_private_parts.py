"""What the package relies on of dlt and Airflow beyond what they call public: which names, where, and how they behave.

An upgrade that changes one of them fails here by its name. What is imported from elsewhere in dlt or Airflow is compared
with these lists: take the public way, or add the name, the files and a test of what is relied on.
"""

from __future__ import annotations

import ast
import inspect
import pkgutil
from collections.abc import Iterator
from os import environ
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from airflow.sdk import DAG
from dlt.common.schema.utils import new_table

from include.api_video.settings.config import PROJECT_DIR

FOLDERS = ("include/api_video", "dags", "plugins")
# Modules that dlt's and Airflow's documentation has people import from.
PUBLIC = {
    "airflow",
    "airflow.configuration",
    "airflow.listeners",
    "airflow.plugins_manager",
    "airflow.sdk",
    "airflow.sdk.bases.hook",
    "airflow.sdk.bases.operatorlink",
    "airflow.sdk.configuration",
    "airflow.sdk.definitions.callback",
    "airflow.sdk.definitions.deadline",
    "airflow.sdk.exceptions",
    "airflow.sdk.log",
    "dlt",
    "dlt.common.configuration",
    "dlt.common.configuration.exceptions",
    "dlt.common.configuration.providers",
    "dlt.common.configuration.specs",
    "dlt.common.data_types",
    "dlt.common.destination",
    "dlt.common.destination.client",
    "dlt.common.destination.exceptions",
    "dlt.common.exceptions",
    "dlt.common.json",
    "dlt.common.jsonpath",
    "dlt.common.pipeline",
    "dlt.common.schema.typing",
    "dlt.common.typing",
    "dlt.destinations.exceptions",
    "dlt.destinations.sql_client",
    "dlt.extract",
    "dlt.helpers.airflow_helper",
    "dlt.pipeline.exceptions",
    "dlt.sources.helpers.rest_client.paginators",
    "dlt.sources.rest_api",
    "dlt.sources.rest_api.typing",
}
# Names from all other modules, and the files that import them.
INSIDE_DLT = {
    "dlt.common.configuration.container:Container": {"config", "row_files"},
    "dlt.common.configuration.providers.doc:BaseDocProvider": {"masking"},
    "dlt.common.configuration.specs.pluggable_run_context:PluggableRunContext": {"config"},
    "dlt.common.libs.deltalake:deltalake_storage_options": {"delta_lake"},
    "dlt.common.libs.deltalake:evolve_delta_table_schema": {"delta_lake"},
    "dlt.common.libs.pyarrow:columns_to_arrow": {"delta_lake"},
    "dlt.common.normalizers.json.relational:DataItemNormalizer": {"places", "schema"},
    "dlt.common.normalizers.naming.snake_case:NamingConvention": {"naming", "places"},
    "dlt.common.schema.utils:get_nested_tables": {"delta_lake", "fitting", "full_refresh", "schema", "warehouse"},
    "dlt.common.schema.utils:get_root_table": {"delta_lake"},
    "dlt.common.schema.utils:is_complete_column": {"fitting"},
    "dlt.common.schema.utils:new_table": {"fitting"},
    "dlt.common.storages.load_package:LoadPackageStateInjectableContext": {"row_files"},
    "dlt.common.storages.load_package:PackageStorage": {"row_files"},
    "dlt.common.storages.load_package:ParsedLoadJobFileName": {"delta_lake", "row_files"},
    "dlt.common.utils:digest128": {"ducklake"},
    "dlt.dataset.utils:get_destination_clients": {"warehouse"},
    "dlt.destinations.impl.bigquery.bigquery_adapter:TABLE_DESCRIPTION_HINT": {"schema"},
    "dlt.destinations.impl.duckdb.configuration:DuckDbClientConfiguration": {"duckdb"},
    "dlt.destinations.impl.duckdb.configuration:DuckDbConnectionPool": {"locking_pool"},
    "dlt.destinations.impl.duckdb.configuration:DuckDbCredentials": {"duckdb"},
    "dlt.destinations.impl.duckdb.duck:DuckDbClient": {"duckdb", "duckdb_row_files"},
    "dlt.destinations.impl.duckdb.duck:DuckDbCopyJob": {"duckdb_row_files"},
    "dlt.destinations.impl.ducklake.configuration:DuckLakeClientConfiguration": {"ducklake"},
    "dlt.destinations.impl.ducklake.configuration:DuckLakeCredentials": {"ducklake"},
    "dlt.destinations.impl.filesystem.filesystem:FilesystemClient": {"delta_lake"},
    "dlt.destinations.impl.filesystem.filesystem:ReferenceFollowupJob": {"delta_lake"},
    "dlt.destinations.impl.filesystem.sql_client:FilesystemSqlClient": {"delta_lake"},
    "dlt.destinations.job_client_impl:SqlJobClientWithStagingDataset": {"warehouse"},
}
INSIDE_AIRFLOW = {
    "airflow.api_fastapi.auth.managers.models.resource_details:DagAccessEntity": {"page"},
    "airflow.api_fastapi.core_api.security:get_user": {"page"},
    "airflow.api_fastapi.core_api.security:requires_access_dag": {"page"},
    "airflow.dag_processing.dagbag:DagBag": {"api_video_run"},
    "airflow.executors.executor_loader:ExecutorLoader": {"api_video_alerts", "api_video_workers"},
    "airflow.models.dag:DagModel": {"history"},
    "airflow.models.dagrun:DagRun": {"api_video_stop", "history"},
    "airflow.models.taskinstance:TaskInstance": {"history"},
    "airflow.models.xcom:XComModel": {"api_video_alerts", "history"},
    "airflow.sdk.execution_time.comms:ErrorResponse": {"api_video_connections"},
    "airflow.sdk.execution_time.comms:GetConnection": {"api_video_connections"},
    "airflow.sdk.execution_time.secrets:ExecutionAPISecretsBackend": {"api_video_connections"},
    "airflow.sdk.execution_time.supervisor:ensure_secrets_backend_loaded": {"api_video_connections"},
    "airflow.sdk.execution_time.task_runner:SUPERVISOR_COMMS": {"api_video_connections"},
    "airflow.sdk.execution_time:task_runner": {"api_video_alerts"},
    "airflow.utils.session:create_session": {"api_video_alerts", "api_video_stop", "page"},
    "airflow.utils.types:DagRunType": {"api_video_tasks"},
}
# Where Airflow has the provider of Celery, and only then.
OPTIONAL = {"airflow.providers.celery.executors.celery_executor:app": {"api_video_workers"}}
# Attributes that begin with an underscore, of classes that are not ours.
ATTRIBUTES = {
    "_file_path": {"duckdb_row_files"},
    "_job_client": {"delta_lake", "duckdb_row_files"},
    "_raw_capabilities": {"delta_lake", "duckdb"},
}
OURS = {"_lent", "_took_back", "_lock"}  # of a class of ours in another file
NAMES_OF_OTHERS = {"_exit"}  # os._exit, which Python documents
IMPORTED = {**INSIDE_DLT, **INSIDE_AIRFLOW, **OPTIONAL}


def files() -> Iterator[tuple[str, ast.Module]]:
    for folder in FOLDERS:
        for path in sorted((PROJECT_DIR / folder).rglob("*.py")):
            yield path.stem, ast.parse(path.read_text(encoding="utf-8"))


def imports_of(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """What is imported of dlt and Airflow: module and name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in ("dlt", "airflow"):
            yield from ((str(node.module), alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names if alias.name.split(".")[0] in ("dlt", "airflow"))


def defined_in(tree: ast.Module) -> set[str]:
    """Names that a file gives to classes, functions and attributes."""
    defined = set[str]()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            defined.add(node.name)
            of_class = [line for line in node.body if isinstance(line, ast.Assign) and isinstance(node, ast.ClassDef)]
            defined |= {target.id for line in of_class for target in line.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            defined.add(node.attr)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            defined.add(node.target.id)
    return defined


def inherited_by(tree: ast.Module) -> set[str]:
    """Names that the base classes of a file have from other files of ours, also by way of their own base classes."""
    generic_or_not = [base for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for base in node.bases]
    named = [base.value if isinstance(base, ast.Subscript) else base for base in generic_or_not]
    bases = {base.id for base in named if isinstance(base, ast.Name)}
    found = set[str]()
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.ImportFrom)
            and str(node.module).startswith("include.api_video.")
            and bases & {a.name for a in node.names}
        ):
            file = PROJECT_DIR / f"{str(node.module).replace('.', '/')}.py"
            base = ast.parse(file.read_text(encoding="utf-8"))
            found |= defined_in(base) | inherited_by(base)
    return found


def private_attributes_of(tree: ast.Module) -> set[str]:
    """Those that are used, without what is ours; what is asked of ``super()`` is another's unless a base class is ours."""
    inherited, used = inherited_by(tree), set[str]()
    defined = defined_in(tree) | inherited
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            of_super = isinstance(node.value, ast.Call) and getattr(node.value.func, "id", "") == "super"
            used |= {node.attr} - (inherited if of_super else defined)
    return used - OURS - NAMES_OF_OTHERS


def test_nothing_else_is_imported_from_inside_dlt_and_airflow() -> None:
    found: dict[str, set[str]] = {}
    for stem, tree in files():
        for module, name in imports_of(tree):
            if module not in PUBLIC or (name.startswith("_") and not name.startswith("__")):
                found.setdefault(f"{module}:{name}", set()).add(stem)
    assert found == IMPORTED


def test_no_other_private_attribute_is_used() -> None:
    found: dict[str, set[str]] = {}
    for stem, tree in files():
        for name in private_attributes_of(tree):
            found.setdefault(name, set()).add(stem)
    assert found == ATTRIBUTES


@pytest.mark.parametrize(
    "line", ["from dlt.pipeline.pipeline import Pipeline", "import airflow.settings", "client._conn.close()"]
)
def test_a_new_private_part_is_seen(line: str) -> None:
    tree = ast.parse(line)
    private = [module for module, _ in imports_of(tree) if module not in PUBLIC]
    assert private or private_attributes_of(tree)


@pytest.mark.parametrize("name", [*INSIDE_DLT, *INSIDE_AIRFLOW])
def test_each_name_is_still_there(name: str) -> None:
    module, _, attribute = name.partition(":")
    inside = pkgutil.resolve_name(module)
    if attribute == "task_runner":
        pkgutil.resolve_name(f"{module}.{attribute}")
    else:
        # SUPERVISOR_COMMS is declared in every process, and there in some.
        assert hasattr(inside, attribute) or attribute in inside.__annotations__


def parameters(name: str) -> list[str]:
    return list(inspect.signature(pkgutil.resolve_name(name)).parameters)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "dlt.destinations.impl.duckdb.configuration:DuckDbConnectionPool.borrow_conn",
            ["self", "global_config", "local_config", "pragmas"],
        ),
        ("dlt.destinations.impl.duckdb.configuration:DuckDbConnectionPool.return_conn", ["self", "borrowed_conn"]),
        ("dlt.destinations.impl.duckdb.configuration:DuckDbConnectionPool.move_conn", ["self"]),
        (
            "dlt.destinations.impl.duckdb.duck:DuckDbClient.create_load_job",
            ["self", "table", "file_path", "load_id", "restore"],
        ),
        ("dlt.destinations.impl.duckdb.duck:DuckDbCopyJob.__init__", ["self", "file_path"]),
        ("dlt.common.destination:Destination.configuration", ["self", "initial_config", "accept_partial"]),
        ("dlt.common.destination:Destination._raw_capabilities", ["self"]),
    ],
)
def test_what_is_overridden_is_called_as_before(name: str, expected: list[str]) -> None:
    assert parameters(name) == expected


def test_clients_of_duckdb_take_connections_from_the_pool_alone() -> None:
    """The pool counts what it lends, and holds the file's lock as long."""
    source = inspect.getsource(pkgutil.resolve_name("dlt.destinations.impl.duckdb.sql_client:DuckDbSqlClient"))
    assert source.count("conn_pool.borrow_conn(") == 1
    assert source.count("conn_pool.return_conn(") == 1
    assert "duckdb.connect(" not in source


def test_a_job_is_given_a_client_before_it_runs(tmp_path: Path) -> None:
    """``_job_client``: the one that made the job is closed by then. ``_file_path``: where dlt has moved the file to."""
    from dlt.destinations.impl.duckdb.duck import DuckDbCopyJob

    class Client:
        def __enter__(self) -> None: ...

        def __exit__(self, *_: object) -> None: ...

        def prepare_load_job_execution(self, _: object) -> None: ...

    class Job(DuckDbCopyJob):
        seen: Any = None

        def run(self) -> None:
            Job.seen = self._job_client, self.load_table_name, self._file_path

    file = str(tmp_path / "videos.0123456789.0.jsonl")
    job, client = Job(file), Client()
    job.set_run_vars("1", None, new_table("videos"))
    job.run_managed(client, None)

    assert Job.seen == (client, "videos", file)


def test_the_load_package_of_the_moment_has_a_storage_and_an_id() -> None:
    from dlt.common.storages.load_package import LoadPackageStateInjectableContext, PackageStorage

    hints = get_type_hints(LoadPackageStateInjectableContext)
    assert (hints["storage"], hints["load_id"]) == (PackageStorage, str)
    assert parameters("dlt.common.storages.load_package:PackageStorage.build_job_file_name")[:2] == [
        "table_name",
        "file_id",
    ]
    assert parameters("dlt.common.storages.load_package:PackageStorage.get_job_file_path")[1:] == [
        "load_id",
        "state",
        "file_name",
    ]
    assert isinstance(PackageStorage.NEW_JOBS_FOLDER, str)


def test_a_load_package_may_say_which_tables_to_drop_or_empty_first() -> None:
    """``drop_tables`` writes what ``refresh`` would, for one resource of several."""
    from dlt.common.storages.load_package import TLoadPackageState

    assert {"dropped_tables", "truncated_tables"} <= get_type_hints(TLoadPackageState).keys()


def test_a_table_is_merged_without_rows_where_it_has_had_some() -> None:
    """``merge_child_tables`` says so by the hint that dlt's normalizer leaves."""
    from dlt.common.schema.utils import has_table_seen_data

    table: Any = new_table("videos")
    assert not has_table_seen_data(table)
    assert has_table_seen_data({**table, "x-normalizer": {"seen-data": True}})


def test_dlts_helper_makes_a_task_named_as_its_pipeline_and_a_folder_where_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``load_tasks`` puts back what the helper changes, and ``_run`` goes around the callable of its task."""
    import dlt
    from dlt.helpers.airflow_helper import PipelineTasksGroup

    changed = ("DLT_PROJECT_DIR", "DLT_DATA_DIR", "DLT_LOCAL_DIR")
    for name in changed:
        monkeypatch.setenv(name, "of the user")
    before = dict(environ)
    with DAG("helped"):
        group = PipelineTasksGroup("videos", local_data_folder=str(tmp_path), use_task_logger=False, log_progress_period=0)
        folder = Path(environ["DLT_DATA_DIR"])
        pipeline = dlt.pipeline("summaries", destination="duckdb", pipelines_dir=str(folder))
        (loads,) = group.add_run(pipeline, list, pre_execute=print, on_before_run=print)

    assert loads.task_id == "videos.summaries"
    assert callable(loads.python_callable)
    assert folder.parent == tmp_path
    assert {name for name in {*before, *environ} if before.get(name) != environ.get(name)} == set(changed)


@pytest.mark.parametrize(
    "manager",
    ["airflow.providers_manager:ProvidersManager", "airflow.sdk.providers_manager_runtime:ProvidersManagerTaskRuntime"],
)
def test_a_provider_can_be_added_to_airflows_list(manager: str) -> None:
    """``provider.register``: both managers exist once, and hand out the list itself."""
    module, _, name = manager.partition(":")
    text = (PROJECT_DIR / "plugins/api_video_airflow/provider.py").read_text(encoding="utf-8")
    assert f'"{module}": "{name}"' in text
    inside = pkgutil.resolve_name(module)
    assert inside.__dict__[name]().providers is inside.__dict__[name]().providers
    assert list(inside.ProviderInfo.__dataclass_fields__)[:2] == ["version", "data"]


@pytest.mark.parametrize(
    ("model", "columns"),
    [
        ("airflow.models.dag:DagModel", {"dag_id", "is_stale"}),
        (
            "airflow.models.dagrun:DagRun",
            {"id", "dag_id", "run_id", "state", "start_date", "end_date", "queued_at", "run_after", "logical_date"},
        ),
        ("airflow.models.taskinstance:TaskInstance", {"dag_id", "run_id", "task_id", "state"}),
        ("airflow.models.xcom:XComModel", {"dag_id", "run_id", "task_id", "key", "value"}),
    ],
)
def test_airflows_tables_have_the_columns_that_are_read(model: str, columns: set[str]) -> None:
    table = pkgutil.resolve_name(model)
    assert [name for name in sorted(columns) if not hasattr(table, name)] == []


def test_airflows_executor_says_what_it_can() -> None:
    from airflow.executors.executor_loader import ExecutorLoader

    executor, _ = ExecutorLoader.import_executor_cls(ExecutorLoader.get_executor_names(validate_teams=False)[0])
    assert executor.is_local is True
    assert isinstance(getattr(executor, "supports_callbacks", False), bool)


def test_this_process_has_no_way_to_airflows_api_server() -> None:
    """What ``is_supervised`` asks: the name is declared, and has a value only where Airflow supervises the process."""
    from airflow.sdk.execution_time import task_runner

    assert "SUPERVISOR_COMMS" in task_runner.__annotations__
    assert not hasattr(task_runner, "SUPERVISOR_COMMS")


def test_the_pages_check_names_the_dag() -> None:
    assert parameters("airflow.api_fastapi.core_api.security:requires_access_dag") == [
        "method",
        "access_entity",
        "param_dag_id",
    ]
