"""Whole-or-nothing writes: permissions of ordinary files, and a umask that is left alone."""

import os
import stat
from pathlib import Path

import pytest

from dnr_jax.atomic import write_atomically
from dnr_jax.batch.hosts import _publish


@pytest.fixture
def umask() -> int:
    """The umask of this process, read where no other thread runs."""
    value = os.umask(0o022)
    os.umask(value)
    return value


@pytest.mark.parametrize("write", [write_atomically, _publish])
def test_a_file_has_the_permissions_of_any_new_file(tmp_path: Path, umask: int, write) -> None:
    for mask in (umask, 0o027, 0o077):
        os.umask(mask)
        try:
            write(tmp_path / f"{mask:o}", b"content")
        finally:
            os.umask(umask)
        assert stat.S_IMODE((tmp_path / f"{mask:o}").stat().st_mode) == 0o666 & ~mask
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("name", ["n" * 255, "日" * 85, "😀" * 63])
def test_a_name_may_be_as_long_as_a_file_system_allows(tmp_path: Path, name: str) -> None:
    write_atomically(tmp_path / name, b"content")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_umask_of_the_process_is_never_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> int:  # Even for a moment, the files that other threads make then have other permissions.
        raise AssertionError

    monkeypatch.setattr(os, "umask", refuse)
    write_atomically(tmp_path / "a", b"content")
    assert (tmp_path / "a").read_bytes() == b"content"
