"""The shape of the code itself: sizes, docstrings, what importing costs, what the wheel carries."""

import ast
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CODE = ("aprtui", "scripts", "benchmarks", "tests")
TEXT = (*CODE, "docs", "playbooks", "themes", ".ci")
MODULES = sorted(path for folder in CODE for path in (ROOT / folder).rglob("*.py") if "unpacked" not in path.parts)
PACKAGES = sorted(path.parent.name for path in (ROOT / "aprtui").glob("*/__init__.py"))

RUN_MODELS = {"inference"}
WITHOUT_ARRAYS = {"core", "playbook", "report", "store", "tui"}
MODEL_LIBRARIES = ("torch", "transformers", "safetensors", "tokenizers", "xllamacpp")

LONGEST_FILE = 499
LONGEST_FUNCTION = 59


def lines_of(paths):
    return "\n".join(str(path.relative_to(ROOT)) for path in paths)


def functions(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_the_sources_are_found():
    assert len(MODULES) > 20
    assert {"core", "formats", "compare"} <= set(PACKAGES)


def test_no_file_is_too_long():
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert lines_of(path for path, lines in lengths.items() if lines > LONGEST_FILE) == ""


def test_no_function_is_too_long():
    too_long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in MODULES
        for node in functions(path)
        if node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION
    ]
    assert "\n".join(too_long) == ""


def test_every_module_says_why_it_exists():
    modules = [path for path in MODULES if not path.name.startswith("test_")]
    without = [path for path in modules if ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) is None]
    assert lines_of(without) == ""


def test_no_file_names_a_path_of_one_machine():
    # Put together from pieces, so that this file does not name one either.
    place = re.compile(r"(?<![\w.}])/(?:" + "|".join(("work", "home", "root", "Users", "opt")) + r")/\w")
    suffixes = {".py", ".md", ".toml", ".yaml", ".yml", ".json", ".txt", ""}
    files = [path for path in ROOT.iterdir() if path.is_file()]
    files += [path for folder in TEXT for path in (ROOT / folder).rglob("*") if path.is_file()]
    own = [path for path in files if path.suffix in suffixes and not {"data", "__pycache__"} & set(path.parts)]
    assert lines_of(path for path in own if place.search(path.read_text(encoding="utf-8"))) == ""


def loaded_after(imports):
    """Top-level modules in a fresh interpreter after running these imports."""
    code = f"import sys, pkgutil, importlib\n{imports}\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def everything_in(package):
    return (
        f"package = importlib.import_module('aprtui.{package}')\n"
        "for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "    importlib.import_module(module.name)"
    )


def test_an_import_that_loads_a_library_is_seen():
    assert "numpy" in loaded_after(everything_in("formats"))


@pytest.mark.parametrize("package", sorted(set(PACKAGES) - RUN_MODELS))
def test_importing_loads_no_model_library(package):
    forbidden = {*MODEL_LIBRARIES, *(() if package == "tui" else ("textual",))}
    assert loaded_after(everything_in(package)) & forbidden == set()


@pytest.mark.parametrize("package", sorted(set(PACKAGES) & WITHOUT_ARRAYS))
def test_readers_of_results_load_no_arrays(package):
    assert loaded_after(everything_in(package)) & {"numpy", "numba"} == set()


def test_the_wheel_carries_playbooks_themes_and_the_demo_model(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    done = subprocess.run(build, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
    model = {"model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json", "answers.json"}
    assert {f"aprtui/demo/model/qwen2-demo/{name}" for name in model} <= names
    assert {"aprtui/playbooks/README.md", "aprtui/themes/README.md", "aprtui/core/dtypes.py"} <= names
    assert not [name for name in names if name.startswith("tests/") or name.endswith((".nbi", ".nbc", ".pyc"))]
