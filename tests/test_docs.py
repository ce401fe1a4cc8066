"""What the documentation shows runs: README's Python, every docstring's examples, the notebook."""

import doctest
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import nbclient
import nbformat
import numpy as np
import pytest

import dnr_jax

ROOT = Path(__file__).resolve().parents[1]


MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(dnr_jax.__path__, "dnr_jax.")
    if not module.name.endswith("__main__")  # Importing it runs the command.
    # These are imported by thumbor, which need not be here; tests/test_thumbor.py runs them in it.
    and module.name not in ("dnr_jax.thumbor.detector", "dnr_jax.thumbor.filter")
)


def examples(name: str) -> list[doctest.DocTest]:
    """The examples in a module's docstrings; NumPy and the public names are at hand in them."""
    module = importlib.import_module(name)
    public = {public: getattr(dnr_jax, public) for public in dnr_jax.__all__}
    found = doctest.DocTestFinder().find(module, name, extraglobs={"np": np, **public})
    return [test for test in found if test.examples]


def test_no_example_is_overlooked() -> None:
    written = sum(path.read_text().count(">>> ") for path in (ROOT / "dnr_jax").rglob("*.py"))
    assert sum(len(test.examples) for module in MODULES for test in examples(module)) == written > 0


@pytest.mark.slow  # `.ci/check_wheel` runs it from the wheel.
def test_the_readmes_python_runs() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, check=True)
    assert done.stdout == "(64, 72, 3) (64, 72)\n"


@pytest.mark.parametrize("module", MODULES)
def test_every_example_of_every_module_runs(module: str) -> None:
    # A private name's example is run as well: whatever looks like one must be one.
    for test in examples(module):
        assert doctest.DocTestRunner().run(test).failed == 0


@pytest.mark.parametrize("name", dnr_jax.__all__)
def test_public_names_have_an_example(name: str) -> None:
    thing = getattr(dnr_jax, name)
    assert any(test.name == f"{thing.__module__}.{name}" for test in examples(thing.__module__)), name


def test_every_picture_and_link_of_the_documents_is_there() -> None:
    documents = ("README.md", "WORKSPACE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "weights/README.md")
    for document in documents:
        for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / document).read_text()):
            assert "://" in target or ((ROOT / document).parent / target).exists(), f"{document}: {target}"


def test_the_workspace_map_names_every_module() -> None:
    text = (ROOT / "WORKSPACE.md").read_text()
    for path in (ROOT / "dnr_jax").rglob("*.py"):
        assert path.stem.startswith("__") or re.search(rf"[`/]{path.stem}(\.py)?`", text), path


@pytest.mark.slow
def test_the_notebook_runs() -> None:
    notebook = nbformat.read(ROOT / "scripts/walkthrough.ipynb", as_version=4)
    client = nbclient.NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(ROOT / "scripts")}})
    client.execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 4
