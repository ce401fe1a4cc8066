"""What the site shows is so: its Python runs, its commands parse, its pictures are what their commands make."""

import contextlib
import importlib
import importlib.util
import io
import json
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import PIL.Image
import pytest
from drawn_photos import disc_photo

from dnr_jax import resize
from dnr_jax.batch import command as batch
from dnr_jax.config import RetargetConfig
from dnr_jax.shell.flags import config_from_flags, size_arguments
from dnr_jax.shell.sizes import parse_target

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs/pages"
SCENES = json.loads((ROOT / "docs/gallery.json").read_text())
DOCUMENTS = sorted([*PAGES.rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
COMMANDS = {name: entry.removesuffix(":run") for name, entry in PROJECT["scripts"].items()}
"""The module of each installed command."""
TOOLS = {
    "pip",
    "python3",
    "source",
    "git",
    "cd",
    "bash",
    "curl",
    "docker",
    "mkdocs",
    "podman",
    "pytest",
    "ruff",
    "pyright",
    "pre-commit",
}
"""First words of commands that are not the package's."""


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE)


def written_commands() -> Iterator[tuple[str, list[str]]]:
    """The document and the words of every command in its shell blocks."""
    for path in DOCUMENTS:
        for block in blocks(path, "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                for command in line.split(" && "):
                    yield path.name, shlex.split(command)
    for scene in SCENES:
        for flags in filter(None, (scene["flags"], scene["beside"])):
            yield "gallery.json", ["dnr-resize", f"--input={scene['photo']}", "--output=out.jpg", *flags]


def module_of(words: list[str]) -> tuple[str, list[str]] | None:
    """The module that a command runs and the arguments that it gets; None for a tool that is not the package's."""
    first = words[0].removeprefix(".venv/bin/")
    if first in COMMANDS:
        return COMMANDS[first], words[1:]
    if first == "python" and words[1].startswith("scripts/"):
        return Path(words[1]).stem, words[2:]
    if first == "python" and words[1] == "-m":
        # A package's own command lies in one of its modules; another command is a module itself.
        (module,) = {name for name in COMMANDS.values() if f"{name}.".startswith(f"{words[2]}.")} or {words[2]}
        return module, words[3:]
    assert first in TOOLS, words
    return None


NOT_RUN = {"how-to/thumbor.md": "settings of thumbor, which reads them itself"}
WITH_PYTHON = sorted(
    name
    for path in PAGES.rglob("*.md")
    if (name := str(path.relative_to(PAGES))) not in NOT_RUN and blocks(path, "python")
)


@pytest.mark.slow  # Compiling every network and stage takes half a minute.
@pytest.mark.parametrize("page", WITH_PYTHON)
def test_the_python_of_a_page_runs(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    # The pages switch the cache of compiled programs on for good, which other tests are not to see.
    monkeypatch.setattr("dnr_jax.compilation_cache.enable", lambda **_: None)
    photo = disc_photo(128, 160, (64, 70), 28)
    PIL.Image.fromarray(photo).save("photo.jpg")
    exec(compile("\n".join(blocks(PAGES / page, "python")), page, "exec"), {"__name__": "page", "photo": photo})
    if page in ("index.md", "tutorial/python.md"):
        with PIL.Image.open("narrow.png") as narrow:
            assert narrow.size == (120, 128)
    if page == "tutorial/python.md":
        assert (tmp_path / "look/index.html").is_file()
        assert "alpha is 1.0" in capsys.readouterr().out


def test_functions_named_beside_the_equations_are_there() -> None:
    named = r"`(\w+)`\]?(?:\[[\w.]+\])?,? (?:in|of|by) `(dnr_jax(?:\.\w+)+)`"
    text = " ".join("".join(path.read_text() for path in (PAGES / "explanation").glob("*.md")).split())
    found = re.findall(named, text)
    assert len(found) >= 12
    for name, module in found:
        assert hasattr(importlib.import_module(module), name), f"{module}.{name}"


def test_every_command_parses() -> None:
    parsed = 0
    for document, words in written_commands():
        found = module_of(words)
        if found is None:
            continue
        name, arguments = found
        command = "command" if name.startswith("dnr_jax") else Path(name).name
        module = importlib.import_module(name)
        out, err = io.StringIO(), io.StringIO()
        # --help, where all else has been parsed.
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = module.main([command, *arguments, "--help"])
        assert code == 0, (document, words, err.getvalue())
        parsed += 1
    assert parsed > 60


def test_options_and_sizes_of_commands_are_served() -> None:
    checked = 0
    for document, words in written_commands():
        name, arguments = module_of(words) or ("", [])
        if name not in ("dnr_jax.resize", "dnr_jax.batch.command"):
            continue
        values = (resize if name == "dnr_jax.resize" else batch).define_flags()
        assert not values(["command", *arguments])[1:], (document, words)
        options = {flag: values[flag].value for flag in values}
        if str(options["objects"]).endswith(".png"):
            options["objects"] = None
        assert isinstance(config_from_flags(options), RetargetConfig)
        sizes = size_arguments(options)
        for key, text in sizes.items():
            sizes[key] = text.split(",")[0] if isinstance(text, str) else text  # Of a list the first.
        assert parse_target((600, 800), **sizes).width > 0
        checked += 1
    assert checked > 40


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene["name"])
def test_pictures_have_the_size_that_their_commands_ask_for(scene: dict) -> None:
    with PIL.Image.open(PAGES / "pictures" / scene["photo"]) as photo:
        size = photo.height, photo.width
    assert (PAGES / "pictures" / scene["photo"]).read_bytes() == (
        ROOT / "scripts/pictures" / scene["photo"]
    ).read_bytes()
    for suffix, flags in (("", scene["flags"]), ("_beside", scene["beside"])):
        if flags is None:
            continue
        values = resize.define_flags()
        values(["command", *flags])
        target = parse_target(size, **size_arguments({flag: values[flag].value for flag in values}))
        with PIL.Image.open(PAGES / "pictures" / f"{scene['name']}{suffix}.jpg") as picture:
            assert picture.size == (target.width, target.height)
        for mask in filter(None, (values["protect"].value, values["remove"].value)):
            assert (ROOT / "scripts/pictures" / mask).is_file()


def test_pictures_are_there_few_and_used() -> None:
    files = [*(PAGES / "pictures").iterdir(), *(ROOT / "scripts/pictures").iterdir()]
    assert sum(path.stat().st_size for path in files) < 4e6
    text = "".join(path.read_text() for path in [*DOCUMENTS, ROOT / "docs/gallery.json"])
    for path in (PAGES / "pictures").iterdir():
        scene = path.stem.removesuffix("_beside")
        assert path.name in text or any(scene == each["name"] for each in SCENES), path
    for path in DOCUMENTS:
        for target in re.findall(r'(?:src|href)="([^"]+)"', path.read_text()):
            page = target.replace(".html", ".md")
            assert target == "gallery.html" or (path.parent / page).is_file(), f"{path}: {target}"


@pytest.fixture(scope="module")
def hooks() -> dict[str, ModuleType]:
    pytest.importorskip("mkdocs", reason="the extra docs is not installed")
    found = {}
    for path in (ROOT / "docs/hooks").glob("*.py"):
        spec = importlib.util.spec_from_file_location(f"site_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        before = list(sys.path)
        spec.loader.exec_module(module)
        sys.path[:] = before
        found[path.stem] = module
    return found


def test_the_reference_names_every_option_and_flag(hooks: dict[str, ModuleType]) -> None:
    options, commands = hooks["reference"].options_page(), hooks["reference"].commands_page()
    names = {field.name for field in RetargetConfig.__dataclass_fields__.values()}
    assert set(re.findall(r"^## (\w+)$", options, re.MULTILINE)) == names | {"Presets"}
    assert "auto is scan until the kernel" in options
    for module in (resize, batch):
        values = module.define_flags()
        for flag in {values[name].name for name in values}:
            assert f"| `--{flag}` |" in commands or flag in names | {"preset"}, flag


def test_the_gallery_shows_every_scene_and_its_command(hooks: dict[str, ModuleType]) -> None:
    for scene in SCENES:
        shown = hooks["gallery"].show_scene(scene)
        assert f"pictures/{scene['name']}.jpg" in shown
        assert f"dnr-resize --input={scene['photo']} --output=out.jpg {' '.join(scene['flags'])}\n" in shown


def test_formulas_become_mathml(hooks: dict[str, ModuleType]) -> None:
    inline = '<span class="arithmatex">\\(W&#39; &lt; F&#39;_l\\)</span>'
    page = f'<p>{inline}</p><div class="arithmatex">\\[\n\\lVert x \\rVert_2\n\\]</div>'
    shown = hooks["formulas"].on_page_content(page)
    assert "arithmatex" not in shown
    assert shown.count("<math ") == 2
    assert 'display="block"' in shown
    assert "<mrow><mi>W</mi><mo>&#x02032;</mo></mrow>" in shown
    assert "<msub><mrow><mi>F</mi><mo>&#x02032;</mo></mrow><mi>l</mi></msub>" in shown
    assert 'stretchy="false">&#x02016;' in shown


@pytest.mark.parametrize("path", sorted((ROOT / "docs/decisions").glob("*.md")), ids=lambda path: path.stem)
def test_decisions_have_context_choice_and_date(path: Path) -> None:
    text = path.read_text()
    assert re.match(r"# \S.*\n\nDate: 20\d\d-\d\d-\d\d\n\n## Context\n\n\S", text)
    assert re.search(r"\n## Choice\n\n\S", text)
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (path.parent / target).is_file(), target


@pytest.mark.parametrize("document", ["README.md", "WORKSPACE.md"])
def test_documents_of_the_first_look_are_short(document: str) -> None:
    assert len((ROOT / document).read_text().splitlines()) <= 120


def test_the_version_is_the_same_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert version in (ROOT / "CHANGELOG.md").read_text()
