"""What a batch run takes in: directories, patterns, manifests, streams."""

import io
import json
from collections import Counter
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from batch_photos import tiny_photo

from dnr_jax.batch.entries import Entry, Extensions
from dnr_jax.batch.hosts import Shard
from dnr_jax.batch.jobs import Request, make_jobs
from dnr_jax.batch.ledger import Ledger
from dnr_jax.batch.manifests import read_manifest, stream_entries
from dnr_jax.batch.searching import find_entries, left_out_note
from dnr_jax.batch.stream import stdin_windows
from dnr_jax.config import RetargetConfig
from dnr_jax.photos.files import write_photo
from dnr_jax.shell.targets import Asked


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Photos by name only; nothing here is opened."""
    for name in ("b.jpg", "a.PNG", "deep/er/c.webp", "deep/notes.txt", ".hidden.jpg", ".git/d.jpg", "out/old.jpg"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "far.jpg").touch()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "linked.jpg").symlink_to(tmp_path / "elsewhere" / "far.jpg")
    return tmp_path / "in"


def outputs(entries: list[Entry]) -> list[str]:
    return [entry.output for entry in entries]


def test_a_directory_is_searched_to_any_depth_and_mirrored(tree: Path) -> None:
    entries = find_entries(str(tree), tree / "out", Extensions())
    assert outputs(entries) == ["a.PNG", "b.jpg", "linked.jpg", "deep/er/c.webp"]
    assert [Path(entry.path).relative_to(tree).as_posix() for entry in entries] == outputs(entries)
    assert "out/old.jpg" in outputs(find_entries(str(tree), tree.parent / "other", Extensions()))


def test_a_format_changes_the_outputs_alone(tree: Path) -> None:
    entries = find_entries(str(tree), tree / "out", Extensions(".png"))
    assert outputs(entries) == ["a.png", "b.png", "linked.png", "deep/er/c.png"]
    assert entries[1].path.endswith("b.jpg")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.jpg", ["b.jpg", "linked.jpg"]),
        ("**/*.webp", ["deep/er/c.webp"]),
        ("*/*.jpg", []),
        ("deep/*/?.webp", ["er/c.webp"]),
        ("[ab].*", ["a.PNG", "b.jpg"]),
    ],
)
def test_patterns_mirror_below_their_fixed_part(tree: Path, pattern: str, expected: list[str]) -> None:
    source = str(tree / pattern)
    if not expected:
        with pytest.raises(ValueError, match="no photos in"):
            find_entries(source, tree / "out", Extensions())
    else:
        assert outputs(find_entries(source, tree / "out", Extensions())) == expected


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_manifests_name_sizes_masks_and_outputs(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"list.{kind}"
    if kind == "jsonl":
        rows = [
            {"path": "a.jpg", "width": 120, "height": "75%"},
            {"path": "/data/b.png", "remove": "m.png", "objects": "o.png"},
        ]
        path.write_text("\n".join(json.dumps(row) for row in [*rows, {"path": "../c.jpg", "output": "x/y.png"}]) + "\n")
    else:
        path.write_text(
            "path,width,height,remove,objects,output\na.jpg,120,75%,,,\n/data/b.png,,,m.png,o.png,\n../c.jpg,,,,,x/y.png\n"
        )
    assert list(read_manifest(path, Extensions())) == [
        Entry(str(tmp_path / "a.jpg"), "a.jpg", "120", "75%"),
        Entry("/data/b.png", "data/b.png", remove=str(tmp_path / "m.png"), objects=str(tmp_path / "o.png")),
        Entry(str(tmp_path / "../c.jpg"), "x/y.png"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("m.jsonl", '{"path": "a.jpg"}\nnonsense\n', "line 2 is no JSON"),
        ("m.jsonl", '["a.jpg"]\n', "line 1 is no object"),
        ("m.jsonl", '{"path": "a.jpg", "widht": 3}\n', "unknown column 'widht'"),
        ("m.jsonl", '{"width": 3}\n', "line 1 has no path"),
        ("m.jsonl", '{"path": "a.jpg", "width": 3.5}\n', "width is 3.5"),
        ("m.jsonl", '{"path": 7}\n', "path is 7"),
        ("m.jsonl", '{"path": "a.jpg", "output": "../a.jpg"}\n', "leaves the output directory"),
        ("m.jsonl", '{"path": "a.jpg", "output": "/a.jpg"}\n', "leaves the output directory"),
        ("m.jsonl", '{"path": ".."}\n', r"m\.jsonl line 1: the path '\.\.' is a directory"),
        ("m.jsonl", '{"path": "a.jpg", "output": ".dnr-batch/a.jpg"}\n', "line 1: the output .* or one of the records"),
        ("m.jsonl", '{"path": "a.jpg", "output": "."}\n', "line 1: the output '.' is no file"),
        ("m.jsonl", "\n\n", "no photos in"),
        ("m.csv", "path,width\na.jpg\n", "line 2 has another number of columns"),
        ("m.csv", "file\na.jpg\n", "unknown column 'file'"),
        ("m.txt", "a.jpg\n", "is no manifest"),
        ("m.jsonl", '{"path": "a.jpg"}\n{"path": "b/../a.jpg"}\n', "would both be written to a.jpg"),
    ],
)
def test_bad_manifests_are_refused_by_line(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        find_entries(str(tmp_path / name), tmp_path / "out", Extensions())
    assert "\n" not in str(caught.value)


def test_what_cannot_be_an_input_is_refused(tree: Path) -> None:
    with pytest.raises(ValueError, match="no such directory or manifest"):
        find_entries(str(tree / "gone"), tree / "out", Extensions())
    with pytest.raises(ValueError, match="is the output directory as well"):
        find_entries(str(tree), tree, Extensions())
    (tree / "b.png").touch()
    with pytest.raises(ValueError, match=r"b\.jpg and .*b\.png would both be written to b\.png"):
        find_entries(str(tree), tree / "out", Extensions(".png"))
    (tree.parent / "latin.jsonl").write_bytes(b'{"path": "\xe9.jpg"}\n')
    with pytest.raises(ValueError, match="is not UTF-8"):
        find_entries(str(tree.parent / "latin.jsonl"), tree / "out", Extensions())


def test_no_result_replaces_what_the_run_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = tmp_path / "in"
    (photos / "deep").mkdir(parents=True)
    for name in ("a.jpg", "mask.png", "deep/b.jpg"):
        (photos / name).touch()
    (tmp_path / "link").symlink_to(photos)
    refused = r"the result of .*a\.jpg would replace .*a\.jpg: give another --output_dir"
    for source, output_dir in (("in/*.jpg", "in"), ("in/*.jpg", "link"), ("link/*.jpg", "in"), ("in/m.jsonl", "link")):
        (photos / "m.jsonl").write_text('{"path": "a.jpg"}\n')
        monkeypatch.chdir(tmp_path)
        with pytest.raises(ValueError, match=refused):
            find_entries(source, Path(output_dir), Extensions())
    monkeypatch.chdir(photos)
    with pytest.raises(ValueError, match=refused):
        find_entries("*.jpg", Path(), Extensions())
    assert outputs(find_entries("*.jpg", Path(), Extensions(".png"))) == ["a.png"]
    # A mask is read as well, and so is a photo that comes later.
    (photos / "m.jsonl").write_text('{"path": "deep/b.jpg", "output": "mask.png", "protect": "mask.png"}\n')
    with pytest.raises(ValueError, match=r"the result of .*b\.jpg would replace .*mask\.png"):
        find_entries("m.jsonl", Path(), Extensions())
    lines = '{"path": "deep/b.jpg", "output": "a.jpg"}\n{"path": "a.jpg", "output": "c.jpg"}\n'
    monkeypatch.setattr("sys.stdin", io.StringIO(lines))
    windows = stdin_windows(Path(), Extensions(), Shard(0, 1))
    assert outputs(next(windows)) == ["a.jpg"]
    with pytest.raises(ValueError, match=r"the result of .*b\.jpg would replace a\.jpg"):
        next(windows)


def test_photos_that_are_not_read_are_counted(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.mpg", "b.eps", "c.HEIC", "deep/d.heic", "deep/e.cr2", ".f.heic"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    left_out: Counter[str] = Counter()
    assert outputs(find_entries(str(tmp_path), tmp_path / "out", Extensions(), left_out=left_out)) == ["a.jpg"]
    assert left_out_note(left_out) == "1 .cr2, 2 .heic left out, which is not read: convert to JPEG or TIFF first"
    with pytest.raises(ValueError, match=r"no photos in .*deep that can be read: 1 \.cr2, 1 \.heic left out"):
        find_entries(str(tmp_path / "deep"), tmp_path / "out", Extensions())


def test_a_stream_is_shared_out_line_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "".join(json.dumps({"path": f"{i}.jpg"}) + "\n" for i in range(7))
    for index, expected in ((0, ["0.png", "3.png", "6.png"]), (2, ["2.png", "5.png"])):
        monkeypatch.setattr("sys.stdin", io.StringIO(lines))
        windows = list(stdin_windows(Path("out"), Extensions(".png"), Shard(index, 3)))
        assert [output for window in windows for output in outputs(window)] == expected


def test_a_bad_line_ends_a_stream_after_what_came_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO('{"path": "a.jpg"}\n{"path": "b.jpg"}\nnonsense\n'))
    windows = stdin_windows(Path("out"), Extensions(), Shard(0, 1))
    assert outputs(next(windows)) == ["a.jpg", "b.jpg"]
    with pytest.raises(ValueError, match="standard input line 3"):
        next(windows)
    monkeypatch.setattr("sys.stdin", io.StringIO('{"path": "a.jpg"}\n{"path": "./a.jpg"}\n'))
    windows = stdin_windows(Path("out"), Extensions(), Shard(0, 1))
    assert outputs(next(windows)) == ["a.jpg"]
    with pytest.raises(ValueError, match=r"both be written to a\.jpg"):
        next(windows)


def test_blank_lines_do_not_count_against_a_manifest(tmp_path: Path) -> None:
    entries = stream_entries(["\n", '{"path": "a.jpg"}\n'], "list", tmp_path, Extensions())
    assert outputs(list(entries)) == ["a.jpg"]


def test_what_can_share_a_batch(tmp_path: Path) -> None:
    pixels = tiny_photo(40, 60, seed=0)
    write_photo(tmp_path / "plain.png", pixels)
    PIL.Image.fromarray(np.dstack([pixels, np.full((40, 60), 9, np.uint8)])).save(tmp_path / "clear.png")
    PIL.Image.fromarray(np.zeros((40, 60), np.uint8)).save(tmp_path / "mask.png")
    mask = str(tmp_path / "mask.png")
    entries = [
        Entry(str(tmp_path / "plain.png"), "a.png"),
        Entry(str(tmp_path / "clear.png"), "b.png"),
        Entry(str(tmp_path / "plain.png"), "c.png", protect=mask),
        Entry(str(tmp_path / "plain.png"), "d.png", remove=mask),
        Entry(str(tmp_path / "plain.png"), "e.png", width="130%"),
    ]
    found = {}
    for taps in (("block1_conv2",), ("block2_conv2",)):
        request = Request(RetargetConfig(taps=taps, init="linear"), (Asked("75", {"width": "75%"}),), tmp_path / "out")
        jobs = make_jobs(entries, request, 384, "0" * 64, Ledger(tmp_path / "out", "0"))
        assert not any(job.failure for job in jobs)
        found[taps] = [job.alone for job in jobs]
        if taps == ("block1_conv2",):
            assert [(job.bucket.opacity, job.bucket.protected) for job in jobs if job.bucket] == [
                *[(False, False), (True, False)],
                *[(False, True), (False, False)],
            ]
            # A name of its own for every bucket: programs are counted by it.
            assert len({str(job.bucket) for job in jobs if job.bucket}) == 4
    assert found["block1_conv2",] == ["", "", "", "something to remove", ""]
    coarse = "no full-resolution tap"
    assert found["block2_conv2",] == ["", coarse, coarse, "something to remove", ""]
