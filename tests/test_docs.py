"""What the documentation shows runs: README's Python, the public docstrings' examples, the notebook."""

import doctest
import importlib
import re
from pathlib import Path

import nbclient
import nbformat
import numpy as np
import pytest

import dnr_jax

ROOT = Path(__file__).resolve().parents[1]


def test_the_readmes_python_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    exec(compile(block, "README.md", "exec"), {})
    assert capsys.readouterr().out == "(64, 72, 3) (64, 72)\n"


@pytest.mark.parametrize("name", dnr_jax.__all__)
def test_public_names_have_an_example_that_runs(name: str) -> None:
    thing = getattr(dnr_jax, name)
    module = importlib.import_module(thing.__module__)
    public = {public: getattr(dnr_jax, public) for public in dnr_jax.__all__}
    found = doctest.DocTestFinder(recurse=False).find(thing, name, module, extraglobs={"np": np, **public})
    tests = [test for test in found if test.examples]
    assert tests, f"{name} has no example"
    for test in tests:
        assert doctest.DocTestRunner().run(test).failed == 0


def test_every_picture_and_link_of_the_documents_is_there() -> None:
    for document in ("README.md", "WORKSPACE.md", "weights/README.md"):
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
