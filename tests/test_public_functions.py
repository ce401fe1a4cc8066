"""Arguments that are optional are keyword-only in public functions: a call then says what it changes."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

Function = ast.FunctionDef | ast.AsyncFunctionDef


def public_functions(module: ast.Module) -> Iterator[tuple[str, Function]]:
    """Names and definitions of a module's public functions, and of its public classes' constructors and methods."""
    for node in module.body:
        if isinstance(node, Function) and not node.name.startswith("_"):
            yield node.name, node
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for method in node.body:
                if isinstance(method, Function) and (method.name == "__init__" or not method.name.startswith("_")):
                    yield f"{node.name}.{method.name}", method


def positional_options(source: str) -> list[str]:
    """ "function: argument" for each argument of a public function that has a default and may be given by its place."""
    found = []
    for name, function in public_functions(ast.parse(source)):
        places = [*function.args.posonlyargs, *function.args.args]
        optional = places[len(places) - len(function.args.defaults) :]
        found += [f"{name}: {argument.arg}" for argument in optional]
    return found


def test_optional_arguments_are_keyword_only() -> None:
    # The sources are parsed, not imported: some modules need packages that only an extra brings.
    wrong = [
        f"{path.relative_to(ROOT)}: {found}"
        for path in sorted((ROOT / "dnr_jax").rglob("*.py"))
        for found in positional_options(path.read_text("utf-8"))
    ]
    assert not wrong, "these arguments have a default: put `*` before them\n" + "\n".join(wrong)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f(a, *, b=1): ...", []),
        ("def f(a, b=1, c=2): ...", ["f: b", "f: c"]),
        ("def f(a=1, /): ...", ["f: a"]),
        ("async def f(a=1): ...", ["f: a"]),
        ("def _f(a=1): ...", []),
        ("def f():\n    def g(a=1): ...", []),
        ("class C:\n    x: int = 1\n    def __init__(self, a=1): ...", ["C.__init__: a"]),
        ("class C:\n    def f(self, a=1): ...\n    def _f(self, a=1): ...", ["C.f: a"]),
        ("class _C:\n    def f(self, a=1): ...", []),
    ],
)
def test_the_rule_finds_what_it_should(source: str, expected: list[str]) -> None:
    assert positional_options(source) == expected
