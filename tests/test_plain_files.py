"""Pipes, sockets and devices are no photos: one line says so, and nothing waits for them."""

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from batch_photos import TINY, tiny_photo
from drawn_photos import textured_photo

from dnr_jax import resize
from dnr_jax.atomic import write_atomically
from dnr_jax.batch import command
from dnr_jax.batch.entries import Entry
from dnr_jax.batch.ledger import files_sha256
from dnr_jax.batch.photo_tasks import read_header
from dnr_jax.evaluation.dataset import read_dataset
from dnr_jax.photos.files import check_writable, read_photo, write_bytes, write_image, write_photo
from dnr_jax.plain_files import NoPlainFileError, open_plain

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")


@pytest.fixture
def odd_files(tmp_path: Path) -> Iterator[dict[str, Path]]:
    """A named pipe, a socket, a device and a folder with names of photos, and a link to the pipe, by what they are."""
    (tmp_path / "in").mkdir()
    found = {name: tmp_path / "in" / f"{name}.jpg" for name in ("pipe", "socket", "device", "folder", "link")}
    os.mkfifo(found["pipe"])
    found["device"].symlink_to("/dev/zero")
    found["folder"].mkdir()
    found["link"].symlink_to(found["pipe"])
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(os.path.relpath(found["socket"]))  # The names of sockets must be short.
        yield found


def test_only_ordinary_files_are_opened(odd_files: dict[str, Path], tmp_path: Path) -> None:
    for name, path in odd_files.items():
        what = "a named pipe" if name in ("pipe", "link") else "a directory" if name == "folder" else f"a {name}"
        with pytest.raises(NoPlainFileError, match=f"it is {what}, not a file"):
            open_plain(path)
        with pytest.raises(ValueError, match=f"{name}.jpg is {what}, not a file: give a photo"):
            read_photo(path)
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "linked").symlink_to(tmp_path / "file")
    with open_plain(tmp_path / "linked") as file:
        assert file.read() == b"content"
    with pytest.raises(FileNotFoundError):
        open_plain(tmp_path / "gone")


def test_only_ordinary_files_are_replaced(odd_files: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="/dev/null: it is a device, a pipe or a socket"):
        check_writable("/dev/null")  # Nothing is written there, lest a failing test replace it.
    for path in (odd_files["pipe"], odd_files["socket"], odd_files["device"], odd_files["link"]):
        before = path.lstat()
        with pytest.raises(ValueError, match=f"cannot write {path}: it is a device, a pipe or a socket, give a file"):
            check_writable(path)
        with pytest.raises(ValueError, match="or - for standard output"):
            write_bytes(path, b"content")
        with pytest.raises(OSError, match="not a file: give a file name"):
            write_atomically(path, b"content")
        assert (path.lstat().st_ino, path.lstat().st_mode) == (before.st_ino, before.st_mode)
    assert sorted((tmp_path / "in").iterdir()) == sorted(odd_files.values())


def test_links_to_files_are_replaced_but_not_those_to_what_a_process_has_open(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dangling").symlink_to("gone")
    for name in ("link", "dangling"):
        write_bytes(tmp_path / name, b"new")
        assert not (tmp_path / name).is_symlink()
        assert (tmp_path / name).read_bytes() == b"new"
    assert (tmp_path / "file").read_bytes() == b"old"
    with (tmp_path / "file").open("rb") as file, pytest.raises(ValueError, match="it is a device, a pipe or a socket"):
        check_writable(f"/dev/fd/{file.fileno()}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dangling", "file", "link"]


def test_a_file_replaced_by_a_pipe_while_it_is_opened(
    odd_files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"content")
    real = os.open

    def replaced(path: object, flags: int) -> int:
        return real(odd_files["pipe"], flags)

    monkeypatch.setattr("dnr_jax.plain_files.os.open", replaced)
    with pytest.raises(NoPlainFileError, match="a named pipe"):
        open_plain(tmp_path / "file")


@pytest.mark.parametrize("flag", ["input", "protect"])
def test_resize_refuses_a_pipe_in_one_line(
    odd_files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], flag: str
) -> None:
    write_image(tmp_path / "photo.png", textured_photo(40, 40))
    named = {"input": tmp_path / "photo.png", flag: odd_files["pipe"]}
    arguments = [f"--{name}={path}" for name, path in named.items()]
    assert resize.main(["resize", *arguments, f"--output={tmp_path / 'out.png'}", "--width=75%"]) == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert "pipe.jpg is a named pipe, not a file: give a photo, or send it to --input=-" in err
    assert not (tmp_path / "out.png").exists()


def test_batches_and_data_sets_open_nothing_else(odd_files: dict[str, Path], tmp_path: Path) -> None:
    pipe = odd_files["pipe"]
    with pytest.raises(NoPlainFileError, match="a named pipe"):
        read_header(Entry(str(pipe), "pipe.jpg"))
    with pytest.raises(NoPlainFileError, match="a named pipe"):
        files_sha256((str(odd_files["link"]),))
    (tmp_path / "set/a").mkdir(parents=True)
    write_photo(tmp_path / "set/a/a.png", tiny_photo(40, 50, 0))
    os.mkfifo(tmp_path / "set/a/a_0.75_sc.png")
    with pytest.raises(ValueError, match=r"a_0\.75_sc\.png cannot be read .*named pipe.*: restore or remove it"):
        read_dataset(tmp_path / "set")


@pytest.mark.slow
def test_a_batch_lists_them_and_goes_on(
    odd_files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photo(tmp_path / "in/photo.png", tiny_photo(40, 50, 0))
    arguments = [f"--input={tmp_path / 'in'}", f"--output_dir={tmp_path / 'out'}", "--workers=0", *TINY]
    codes: list[int] = []
    for counts in ("1 done, 4 failed", "0 done, 0 failed, 1 done before, 4 failed before"):
        run = threading.Thread(target=lambda: codes.append(command.main(["batch", *arguments])), daemon=True)
        run.start()
        run.join(120)
        assert not run.is_alive()
        assert codes.pop() == 1
        out = capsys.readouterr().out
        assert counts in out
        if "1 done" in counts.split(",")[0]:
            failures = [line for line in out.splitlines() if line.startswith("failed: ")]
            assert len(failures) == 4
            assert sum("is a named pipe, not a file" in line for line in failures) == 2
    assert (tmp_path / "out/photo.png").is_file()
