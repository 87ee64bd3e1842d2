"""Which room may import which: the arrows of the package, held exactly."""

import ast
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

PACKAGE = Path(__file__).parents[1] / "nncli"
STDLIB = frozenset(sys.stdlib_module_names)
TABLES = {  # of nn, whose words are those of a spec
    *{"nncli.nn.activations", "nncli.nn.costs", "nncli.nn.initialisers", "nncli.nn.layers"},
    "nncli.nn.quantities",
}
ARROWS = {  # room: what it may import besides the standard library
    "core": {"numpy", "nncli.core"},
    "nn": {"numpy", "nncli.core", "nncli.nn"},
    "filtering": {"numpy", "nncli.core", "nncli.nn", "nncli.filtering"},
    "spec": {
        *{"yaml", "pydantic", "pydantic_core", "nncli.core", "nncli.spec"},
        *TABLES,
    },
    "data": {"numpy", "PIL", "openpyxl", "pyarrow", "nncli.core", "nncli.data"},
    "training": {"numpy", "nncli.core", "nncli.nn", "nncli.training"},
    "exchange": {"numpy", "onnx", "torch", "nncli.core", "nncli.nn", "nncli.exchange"},
    "inspection": {"numpy", "nncli.core", "nncli.nn", "nncli.inspection"},
    "render": {
        *{"rich", "numpy", "nncli.core", "nncli.nn", "nncli.training", "nncli.inspection"},
        *{"nncli.filtering", "nncli.render", "nncli.app.records"},
        *{"nncli.app.evaluation_records", "nncli.app.report_records"},
        *{"nncli.app.summary_records", "nncli.app.sweep_records"},
    },
    "app": {
        *{
            "numpy",
            "optuna",
            "dask_jobqueue",
            "distributed",
            "fsspec",
            "mpi4py",
            "nncli.core",
            "nncli.app",
            "nncli.spec",
            "nncli.data",
            "nncli.training",
        },
        *{"nncli.inspection", "nncli.filtering", "nncli.exchange", "nncli.nn"},
    },
    "cli": {"typer", "nncli"},
}
WITHIN_RENDER: dict[str, set[str]] = {  # a module or package of render: what of it that may import
    "text": set(),
    "notation": set(),
    "screen": {"text"},
    "streams": {"screen", "text"},
    "document": {"text"},
    "drawing": {"text", "document"},
    "widgets": {"text", "document", "widgets"},
    "terminal": {"text", "document", "widgets"},
    "web": {"text", "document", "notation", "web"},
    "formats": {"text", "document", "drawing", "terminal", "notation", "web", "formats"},
    "pages": {
        "text",
        "document",
        "drawing",
        "terminal",
        "notation",
        "screen",
        "streams",
        "widgets",
        "web",
        "pages",
    },
}
BESIDE = {"nncli"}  # what a file beside the rooms may import


@cache  # several tests ask for the same file's
def imports(source: str, path: str) -> frozenset[str]:
    """Every module that `source` imports, absolute, wherever in the file; `path` as nncli/nn/x.py.

    `from nncli import nn` counts as nncli.nn.
    """
    package = path.split("/")[:-1]
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*start, *(node.module or "").split(".")]).rstrip(".")
            names = {f"{module}.{alias.name}" for alias in node.names}
            found |= names if module == "nncli" else {module}
    return frozenset(found)


def is_among(module: str, allowed: set[str]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in allowed)


def forbidden(source: str, path: str) -> frozenset[str]:
    """What the file at `path` imports and may not."""
    found = {module for module in imports(source, path) if module.split(".")[0] not in STDLIB}
    match path.split("/"):
        case ["nncli", "core", "errors.py"]:
            return imports(source, path) - {"typing"}
        case ["nncli", _]:
            return frozenset(module for module in found if not is_among(module, BESIDE))
        case ["nncli", room, *_]:
            return frozenset(module for module in found if not is_among(module, ARROWS[room]))
    raise AssertionError(path)


FILES = {f"nncli/{path.relative_to(PACKAGE).as_posix()}": path for path in PACKAGE.rglob("*.py")}


@pytest.mark.parametrize("path", sorted(FILES))
def test_arrows(path: Any) -> None:
    assert forbidden(FILES[path].read_text(encoding="utf-8"), path) == set()


@pytest.mark.parametrize("path", sorted(path for path in FILES if "/render/" in path))
def test_arrows_within_render(path: str) -> None:
    if path == "nncli/render/__init__.py":
        return
    room = path.split("/")[2].removesuffix(".py")
    found = imports(FILES[path].read_text(encoding="utf-8"), path)
    inner = {module.split(".")[2] for module in found if module.startswith("nncli.render.")}
    assert inner <= WITHIN_RENDER[room]


def test_no_file_is_longer_than_one_reads_at_once() -> None:
    lines = {path: PACKAGE.parent.joinpath(path).read_text().count("\n") for path in FILES}
    assert {path: count for path, count in lines.items() if count > 450} == {}


def test_every_room_has_its_arrows() -> None:
    assert {path.split("/")[1] for path in FILES if path.count("/") > 1} == set(ARROWS)


NAMES = {  # in docstrings: what imports call them
    **{name: name for name in ("rich", "typer", "yaml", "pydantic", "onnx")},
    "NumPy": "numpy",
    "Pillow": "PIL",
    **{room: f"nncli.{room}" for room in ARROWS},
}


def named_in(docstring: str) -> set[str]:
    """What the sentences of a package's docstring say that it may import."""
    sentences = re.split(r"\.\s", docstring)
    said = " ".join(sentence for sentence in sentences if "may import" in sentence)
    return {module for name, module in NAMES.items() if re.search(rf"\b{name}\b", said)}


@pytest.mark.parametrize(
    "path", sorted(path for path in FILES if path.count("/") > 1 and path.endswith("__init__.py"))
)
def test_a_package_says_what_it_imports(path: str) -> None:
    folder, room = path.removesuffix("__init__.py"), f"nncli.{path.split('/')[1]}"
    found = set[str]()
    for name, file in FILES.items():
        if name.startswith(folder):
            found |= imports(file.read_text(encoding="utf-8"), name)
    used = {module for module in NAMES.values() if any(is_among(f, {module}) for f in found)}
    docstring = ast.get_docstring(ast.parse(FILES[path].read_text(encoding="utf-8"))) or ""
    assert named_in(docstring) - {room} == used - {room}
    assert re.search(r"\bStart (with|reading\s+at)\b", docstring)


@pytest.mark.parametrize("path", sorted(FILES))
def test_docstrings_begin_with_a_sentence(path: str) -> None:
    """A first sentence that goes on behind the blank line is no summary."""
    kinds = ast.FunctionDef | ast.ClassDef | ast.Module
    broken = []
    for node in ast.walk(ast.parse(FILES[path].read_text(encoding="utf-8"))):
        summary, *rest = ((isinstance(node, kinds) and ast.get_docstring(node)) or "").split("\n\n")
        if rest and summary and not summary.rstrip().endswith((".", ":", "?")):
            broken.append(summary)
    assert broken == []


PARALLEL = {  # what the rest of the package uses of nn.parallel, as its docstring says
    "nncli.nn.parallel": {"worker_pool"},
    "nncli.nn.parallel.worker_pool": {
        *{"SMALLEST_SHARE", "WorkerPool", "buffers_for", "most_shares", "start_workers"}
    },
    "nncli.nn.parallel.partition": {"partition"},
    "nncli.nn.parallel.ranks": {"Distributed", "Ranks", "fill_rows"},
    "nncli.nn.parallel.process_worker": {"ProcessWorker", "can_fork"},
    "nncli.nn.parallel.blas": {"arithmetic", "load_numpy"},
}


def test_parallel_is_used_by_its_interface() -> None:
    used: dict[str, set[str]] = {}
    for path, file in FILES.items():
        source = file.read_text(encoding="utf-8")
        if not path.startswith("nncli/nn/parallel/") and "parallel" in source:
            for node in ast.walk(ast.parse(source)):
                if isinstance(node, ast.ImportFrom) and is_among(node.module or "", {*PARALLEL}):
                    names = used.setdefault(node.module or "", set())
                    names |= {alias.name for alias in node.names}
    assert used
    assert {module: names - PARALLEL.get(module, set()) for module, names in used.items()} == {
        module: set() for module in used
    }


@pytest.mark.parametrize(
    ("path", "source", "caught"),
    [
        ("nncli/nn/step.py", "import yaml", {"yaml"}),
        ("nncli/nn/step.py", "import numpy.linalg, rich.table", {"rich.table"}),
        ("nncli/nn/step.py", "from nncli.training import history", {"nncli.training"}),
        ("nncli/nn/step.py", "from nncli import core, spec", {"nncli.spec"}),
        ("nncli/nn/step.py", "from ..training import history", {"nncli.training"}),
        ("nncli/nn/step.py", "from .. import training", {"nncli.training"}),
        ("nncli/nn/step.py", "def f():\n    import pydantic", {"pydantic"}),
        ("nncli/nn/step.py", "if True:\n    from rich import print", {"rich"}),
        ("nncli/nn/step.py", "import nncli", {"nncli"}),
        ("nncli/nn/step.py", "import nncli.nnx", {"nncli.nnx"}),
        ("nncli/nn/deep/er.py", "from ...render import text", {"nncli.render"}),
        ("nncli/core/errors.py", "import math", {"math"}),
        ("nncli/core/files.py", "import nncli.nn", {"nncli.nn"}),
        ("nncli/spec/load.py", "import numpy", {"numpy"}),
        ("nncli/spec/load.py", "from nncli.nn.network import Network", {"nncli.nn.network"}),
        ("nncli/data/load.py", "import nncli.nn", {"nncli.nn"}),
        ("nncli/training/loop.py", "import nncli.render.text", {"nncli.render.text"}),
        ("nncli/render/text.py", "import nncli.spec.load", {"nncli.spec.load"}),
        ("nncli/render/text.py", "from nncli.app.train import train", {"nncli.app.train"}),
        ("nncli/cli/train.py", "import rich", {"rich"}),
        ("nncli/app/train.py", "import yaml, rich.console", {"yaml", "rich.console"}),
        ("nncli/app/train.py", "from nncli.render import text", {"nncli.render"}),
    ],
)
def test_a_planted_violation_is_caught(path: str, source: str, caught: Any) -> None:
    assert forbidden(source, path) == caught


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("nncli/nn/step.py", "import math, numpy.typing\nfrom nncli.core.errors import LayerError"),
        ("nncli/nn/step.py", "from . import costs\nfrom .costs import COSTS\nfrom .. import nn"),
        ("nncli/cli/train.py", "import typer\nfrom nncli import app, render\nimport nncli"),
        ("nncli/app/train.py", "import numpy\nfrom nncli.spec import load_spec"),
        ("nncli/core/errors.py", '"""Nothing."""'),
    ],
)
def test_what_is_allowed_passes(path: str, source: str) -> None:
    assert forbidden(source, path) == set()


def test_whether_a_path_is_there_is_asked_of_os_path() -> None:
    """The methods of Path raise for what is too long, or may not be looked at; before 3.14."""
    asked = {"exists", "is_dir", "is_file"}
    excepted = {"data/readers/files.py", "cli/completion.py"}  # within a try; entries of a scan
    found = {
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in PACKAGE.rglob("*.py")
        if str(path.relative_to(PACKAGE)) not in excepted
        if any(name in path.read_text(encoding="utf-8") for name in asked)  # few: parsing is slow
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and not node.args
        if isinstance(node.func, ast.Attribute) and node.func.attr in asked
    }
    assert found == set()
