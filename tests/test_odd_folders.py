"""A folder of everything that a file system allows, through both commands: a photo or one clear line, never a trace."""

import contextlib
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from batch_photos import TINY, environment, results, tiny_photo, write_photos
from photo_files import file_bytes

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes"),
]

NAMES = (
    b"new\nline.png",
    b"tab\there.png",
    b"'single' and \"double\".png",
    b"-leading.png",
    b"--width=10%.png",
    b"star*[1]?.png",
    b" blanks .png",
    b"back\\slash.png",
    b"%s{}$HOME`.png",
    b"latin-\xe9.png",  # No UTF-8.
    b"\xff\xfe.png",
    "schön-日本-😀.png".encode(),
    b"n" * 251 + b".png",  # As long as a name may be.
    b"dots..png",
    b"UPPER.PNG",
)
"""Names of whole photos."""
FOLDERS = (b"x.jpg", b"sub\ndir", b"-o")


def make_folder(folder: Path) -> tuple[list[bytes], list[bytes]]:
    """Fills a folder; returns the names of what holds a photo, and of what looks like one and holds none."""
    photo = file_bytes(tiny_photo(40, 50, 0), "PNG")
    base, chance = os.fsencode(folder), random.Random(0)
    folder.mkdir()
    good, bad = list(NAMES), []
    for name in NAMES:
        with contextlib.suppress(OSError):  # Some file systems refuse what is no UTF-8.
            Path(os.fsdecode(base + b"/" + name)).write_bytes(photo)
    for name in FOLDERS:
        inner = Path(os.fsdecode(base + b"/" + name))
        inner.mkdir()
        (inner / "within.png").write_bytes(photo)
        good.append(name + b"/within.png")
    (folder / "mute.png").write_bytes(b"")
    for number in range(12):
        (folder / f"random{number}.jpg").write_bytes(chance.randbytes(chance.randrange(1, 5000)))
    (folder / "cut.png").write_bytes(photo[: len(photo) // 2])
    (folder / "text.png").write_text("no photo\n")
    os.mkfifo(folder / "pipe.png")
    (folder / "dangling.png").symlink_to("nowhere.png")
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "ring1.png").symlink_to("ring2.png")
    (folder / "ring2.png").symlink_to("ring1.png")
    (folder / "device.png").symlink_to("/dev/zero")
    (folder / "round").symlink_to(".")
    (folder / "linked.png").symlink_to("UPPER.PNG")
    bad += [b"mute.png", b"cut.png", b"text.png", *(b"random%d.jpg" % number for number in range(12))]
    bad += [b"pipe.png", b"dangling.png", b"loop.png", b"ring1.png", b"ring2.png", b"device.png", b"x.jpg"]
    good = [name for name in [*good, b"linked.png"] if os.path.lexists(base + b"/" + name)]
    return good, bad


def test_resize_serves_or_refuses_each_in_one_line(
    tmp_path: Path, programs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = make_folder(tmp_path / "in")
    script = "import os, sys\nfrom dnr_jax.resize import main\n" + (
        "for name in sys.stdin.buffer.read().split(b'\\0'):\n"
        "    sys.stderr.flush()\n"
        "    code = main(['resize', '--input=in/' + os.fsdecode(name), '--output=out.png', *sys.argv[1:]])\n"
        "    print(code, end='\\0', file=sys.stderr, flush=True)\n"
    )
    tried = [*good, *bad]
    done = subprocess.run(
        [sys.executable, "-c", script, *TINY],
        cwd=tmp_path,
        env=environment(programs, PYTHONIOENCODING="utf-8:surrogateescape"),
        input=b"\0".join(tried),
        capture_output=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    answers = done.stderr.split(b"\0")[:-1]
    assert len(answers) == len(tried)
    counts: Counter[str] = Counter()
    for name, said in zip(tried, answers, strict=True):
        complaint, _, code = said.rpartition(b"\n")
        counts[{b"0": "ok", b"2": "clean error"}.get(code, "other")] += 1
        assert code == (b"0" if name in good else b"2"), (name, said)
        assert b"Traceback" not in complaint
        assert complaint.count(b"\n") == 0, (name, complaint)
        assert complaint.startswith(b"dnr_jax.resize: ") or name in good, (name, complaint)
    with capsys.disabled():
        print(f"\nresize: {len(tried)} tried, {', '.join(f'{count} {kind}' for kind, count in counts.items())}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out.png"]


def test_a_batch_serves_what_it_can_and_lists_the_rest(
    tmp_path: Path, programs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = make_folder(tmp_path / "in")
    command = [sys.executable, "-m", "dnr_jax.batch", "--input=in", "--output_dir=out", "--workers=1", *TINY]
    env = environment(programs)
    listed = [name for name in bad if name != b"x.jpg"]  # A folder is searched.
    for summary in (f"{len(good)} done, {len(listed)} failed", f"{len(good)} done before, {len(listed)} failed before"):
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, check=False, timeout=240)
        assert done.returncode == 1, done.stderr
        assert b"Traceback" not in done.stderr
        assert summary in os.fsdecode(done.stdout), done.stdout
    written = {os.fsencode(name) for name in results(tmp_path / "out")}
    assert written == set(good)
    assert not list((tmp_path / "out").rglob("*.tmp"))
    with capsys.disabled():
        print(f"\nbatch: {len(good) + len(listed)} tried, {len(listed)} clean error, {len(good)} ok")


def test_patterns_and_manifests_reach_odd_names(tmp_path: Path, programs: Path) -> None:
    write_photos(tmp_path / "in", [(40, 50)] * 2)
    (tmp_path / "in/set0/p000.png").rename(tmp_path / 'in/set0/-a, "b"\n.png')
    (tmp_path / "list.csv").write_text('path\n"in/set0/-a, ""b""\n.png"\nin/set1/p001.png\n')
    for number, source in enumerate(("in/*/*.png", "list.csv")):
        done = subprocess.run(
            [sys.executable, "-m", "dnr_jax.batch", f"--input={source}", f"--output_dir=out{number}", *TINY],
            cwd=tmp_path,
            env=environment(programs),
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "2 done, 0 failed" in done.stdout
