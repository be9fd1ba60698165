"""Plans are deterministic: nothing that does I/O is even in reach of a workflow."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from activities.models import TRIES
from tests.house import ROOT
from worker import PURE, SANDBOX, WORKFLOWS
from workflows import options

MODULES = sorted(f"workflows.{file.stem}" for file in (ROOT / "workflows").glob("[a-z]*.py"))
IO = {"asyncpg", "aiohttp", "starlette", "uvicorn", "httpx", "pydantic_settings", "uvloop", "chatbotkit"}
OURS = {"store", "api", "settings", "starter", "worker", "sweeper", "deploy", "tests"}


@pytest.mark.parametrize("module", MODULES)
def test_importing_a_plan_in_a_fresh_interpreter_loads_no_io_library(module: str) -> None:
    look = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"

    told = subprocess.run([sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=True)

    loaded = {name.split(".")[0] for name in json.loads(told.stdout)}
    assert "domain" in loaded or module == "workflows.options"
    assert not loaded & (IO | OURS)


def test_the_domain_loads_nothing_but_pydantic() -> None:
    modules = ", ".join(f"domain.{file.stem}" for file in (ROOT / "domain").glob("[a-z]*.py"))
    look = f"import json, sys, {modules}; print(json.dumps(sorted(sys.modules)))"

    told = subprocess.run([sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=True)

    loaded = {name.split(".")[0] for name in json.loads(told.stdout)}
    assert not loaded & (IO | OURS | {"temporalio", "activities", "workflows"})


def test_the_sandbox_passes_through_only_what_is_pure() -> None:
    passed = {*SANDBOX.restrictions.passthrough_modules}

    assert {*PURE} <= passed
    assert not passed & (IO | OURS)


@pytest.mark.parametrize("file", sorted((ROOT / "workflows").glob("*.py")), ids=lambda file: file.stem)
def test_plans_need_no_exception_from_the_sandbox(file: Path) -> None:
    tree = ast.parse(file.read_text())
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}

    assert not names & {"unsafe", "imports_passed_through", "sandbox_unrestricted"}


@pytest.mark.parametrize("file", sorted((ROOT / "workflows").glob("*.py")), ids=lambda file: file.stem)
def test_plans_have_no_clock_and_no_chance(file: Path) -> None:
    """Passed through, they are not watched by the sandbox."""
    nodes = [*ast.walk(ast.parse(file.read_text()))]
    imported = {(node.module or "").split(".")[0] for node in nodes if isinstance(node, ast.ImportFrom)}
    imported |= {a.name.split(".")[0] for node in nodes if isinstance(node, ast.Import) for a in node.names}
    # `workflow.now()` is the plan's own time.
    names = {
        node.attr for node in nodes if isinstance(node, ast.Attribute) and ast.unparse(node) != "workflow.now"
    }
    names |= {a.name for node in nodes if isinstance(node, ast.ImportFrom) for a in node.names}

    pure = {"__future__", "asyncio", "collections", "contextlib", "datetime", "typing", "temporalio", *PURE}
    assert imported <= pure
    assert not names & {
        "ids",
        "now",
        "utcnow",
        "today",
        "time",
        "run_in_executor",
        "to_thread",
        "create_subprocess_exec",
    }


def test_the_package_of_the_plans_is_a_docstring() -> None:
    tree = ast.parse((ROOT / "workflows" / "__init__.py").read_text())

    assert len(tree.body) == 1
    assert ast.get_docstring(tree)


def test_every_plan_answers_the_progress_query() -> None:
    for plan in WORKFLOWS:
        queries = [getattr(getattr(plan, name), "__temporal_query_definition", None) for name in dir(plan)]
        assert "progress" in {query.name for query in queries if query is not None}


def test_attempts_are_bounded_except_where_a_run_could_not_record_its_end() -> None:
    # A run whose model may still fail survives eight workers that died under it.
    assert options.MODEL["retry_policy"].maximum_attempts == TRIES + 8
    assert options.UPKEEP["retry_policy"].maximum_attempts > 0
    assert options.DATABASE["retry_policy"].maximum_attempts == 0
    assert options.DATABASE["retry_policy"].maximum_interval == timedelta(seconds=5)
    assert options.MODEL["heartbeat_timeout"] == timedelta(seconds=4)
