"""The command on one device: results, records, what a second run does, and everything it says."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from batch_photos import TINY, results, tiny_photo, write_photos
from batch_runs import SIZES, Finished, assert_near, run

from dnr_jax.batch.buckets import find_bucket
from dnr_jax.batch.command import define_flags, main
from dnr_jax.config import RetargetConfig
from dnr_jax.photos.files import read_image, read_photo, write_photo
from dnr_jax.pipeline import retarget
from dnr_jax.planning.masks import Masks
from dnr_jax.weights import Weights

pytestmark = pytest.mark.slow
CONFIG = RetargetConfig(
    taps=("block1_conv2",), importance_percentile=20, keep=("objects",), reconstruct_steps=2, refine_steps=1
)
"""What `TINY` asks for."""


def test_compilations_are_bounded_by_buckets(forty: tuple[Path, Path, Finished]) -> None:
    _, _, figures = forty
    buckets = {
        find_bucket(size, (size[0], round(size[1] * 0.75)), importance_side=384, seams_only=False) for size in SIZES
    }
    assert len(set(SIZES)) == 40
    assert len(buckets) == 2
    assert figures.code == 0
    assert figures["photos"] == {"done": 40, "failed": 0, "skipped": 0, "skipped_failed_before": 0}
    assert len(figures["compile_seconds"]) == 2
    # One a bucket; and the salience network, which sees every photo at one size but scales those of each bucket to it.
    assert figures.compiled <= 10


def test_results_are_those_of_the_photos_alone(forty: tuple[Path, Path, Finished], embedded: Weights) -> None:
    source, output, _ = forty
    assert results(output).keys() == {path.relative_to(source).as_posix() for path in source.rglob("*.png")}
    height, width = SIZES[39]
    photo = read_image(source / "set1/p039.png")
    alone = retarget(photo.astype(np.float32), (height, round(width * 0.75)), CONFIG, embedded)
    result = read_image(output / "set1/p039.png")
    assert result.shape == alone.image.shape
    assert np.abs(result - np.rint(alone.image)).max() <= 1


def test_records_say_what_was_done(forty: tuple[Path, Path, Finished], embedded: Weights) -> None:
    _, output, _ = forty
    lines = [json.loads(line) for line in (output / ".dnr-batch/finished-0-of-1.jsonl").read_text().splitlines()]
    assert len(lines) == 40
    line = next(line for line in lines if line["output"] == "set1/p007.png")
    assert line["status"] == "done"
    assert line["size"] == list(SIZES[7])
    assert line["target_size"] == [SIZES[7][0], round(SIZES[7][1] * 0.75)]
    assert line["output_bytes"] == (output / "set1/p007.png").stat().st_size
    assert line["bucket"] == "64x64 width"
    assert set(line["seconds"]) == {"decode", "device", "encode"}
    assert len(line["losses"]["reconstruction"]) == 2
    assert line["steps"] == {"reconstruction": 2, "refinement": 1}
    photo = read_image(forty[0] / "set1/p007.png")
    alone = retarget(photo.astype(np.float32), tuple(line["target_size"]), CONFIG, embedded).record
    assert set(line["warps"]) == set(alone["warps"])
    for side, warp in alone["warps"].items():
        assert line["warps"][side] == {name: pytest.approx(value, abs=0.02) for name, value in warp.items()}
    assert line["passes"] == [
        {name: step[name] for name in ("side", "action", "seams")}
        for step in alone["passes"]
        if any(step["seams"].values())
    ]
    for digest in ("input_sha256", "config_sha256", "weights_sha256"):
        assert len(line[digest]) == 64
    assert list((output / ".dnr-batch/temporary-0-of-1").iterdir()) == []


def test_a_second_run_does_what_is_missing_or_changed(forty: tuple[Path, Path, Finished], tmp_path: Path) -> None:
    source, output, _ = forty
    shutil.copytree(source, tmp_path / "in")
    shutil.copytree(output, tmp_path / "out")
    before = results(output)
    args = [f"--input={tmp_path / 'in'}"]
    again = run(tmp_path / "out", *args)
    assert (again.code, again.compiled) == (0, 0)
    assert again["photos"] == {"done": 0, "failed": 0, "skipped": 40, "skipped_failed_before": 0}
    (tmp_path / "out/set0/p000.png").unlink()
    (tmp_path / "out/set1/p001.png").write_bytes(b"cut")
    (tmp_path / "in/set0/p002.png").touch()
    write_photo(tmp_path / "in/set1/p003.png", tiny_photo(*SIZES[3], seed=99))
    repaired = run(tmp_path / "out", *args)
    assert repaired["photos"]["done"] == 3
    after = results(tmp_path / "out")
    assert {name for name in before if before[name] != after[name]} == {"set1/p003.png"}
    other = run(tmp_path / "out", *args, "--width=90%")
    assert other["photos"]["done"] == 40


def test_what_cannot_share_a_batch_goes_alone(tmp_path: Path, embedded: Weights) -> None:
    photo, size = tiny_photo(40, 48, 1), (40, 48)
    (tmp_path / "in").mkdir()
    write_photo(tmp_path / "in/wide.png", photo)
    write_photo(tmp_path / "in/clear.png", photo, alpha=np.linspace(0, 1, 48, dtype=np.float32)[None].repeat(40, 0))
    write_photo(tmp_path / "in/masked.png", photo)
    mask = np.zeros((*size, 3), np.uint8)
    mask[10:20, 12:20] = 255
    write_photo(tmp_path / "mask.png", mask)
    rows = [
        {"path": "in/wide.png", "width": 60, "output": "wide.png"},
        {"path": "in/clear.png", "width": "75%", "output": "clear.png"},
        {"path": "in/masked.png", "width": 36, "remove": "mask.png", "output": "deep/masked.png"},
        {"path": "in/wide.png", "width": 36, "objects": "mask.png", "output": "marked.png"},
        {"path": "in/clear.png", "output": "clear.jpg"},
        {"path": "in/wide.png", "width": 5000, "output": "large.png"},
        {"path": "in/wide.png", "output": "name.xyz"},
    ]
    (tmp_path / "list.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    figures = run(tmp_path / "out", f"--input={tmp_path / 'list.jsonl'}")
    assert (figures.code, figures["photos"]["done"], figures["photos"]["failed"]) == (1, 4, 3)
    reasons = {failure["output"]: failure["reason"] for failure in figures["failures"]}
    assert "--background=white" in reasons["clear.jpg"]
    assert "from 5 to 192 pixels" in reasons["large.png"]
    assert "cannot write name.xyz" in reasons["name.xyz"]
    removed = retarget(photo.astype(np.float32), (40, 36), CONFIG, embedded, masks=Masks(remove=mask[..., 0] > 0))
    np.testing.assert_array_equal(read_image(tmp_path / "out/deep/masked.png"), np.rint(removed.image))
    marked = retarget(photo.astype(np.float32), (40, 36), CONFIG, embedded, masks=Masks(objects=mask[..., 0] / 255.0))
    np.testing.assert_array_equal(read_image(tmp_path / "out/marked.png"), np.rint(marked.image))
    lines = [json.loads(line) for line in (tmp_path / "out/.dnr-batch/finished-0-of-1.jsonl").read_text().splitlines()]
    (line,) = [line for line in lines if line["output"] == "marked.png"]
    assert line["warps"] == marked.record["warps"]
    wide = retarget(photo.astype(np.float32), (40, 60), CONFIG, embedded)
    np.testing.assert_array_equal(read_image(tmp_path / "out/wide.png"), np.rint(wide.image))
    assert read_image_size(tmp_path / "out/clear.png") == ((40, 36), True)


def read_image_size(path: Path) -> tuple[tuple[int, int], bool]:
    photo = read_photo(path)
    return photo.size, photo.alpha is not None


def test_a_stream_is_done_as_it_comes(
    forty: tuple[Path, Path, Finished], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, output, _ = forty
    rows = [{"path": str(source / f"set0/p00{i}.png"), "output": f"set0/p00{i}.png"} for i in (0, 2, 4)]
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(json.dumps(row) + "\n" for row in rows)))
    figures = run(tmp_path / "out", "--input=-", "--batch_size=1")
    assert (figures.code, figures["photos"]["done"]) == (0, 3)
    assert list(results(tmp_path / "out")) == [row["output"] for row in rows]
    assert_near(tmp_path / "out", output)


def test_a_dry_run_tells_and_does_nothing(
    forty: tuple[Path, Path, Finished], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, _, _ = forty
    assert main(["batch", f"--output_dir={tmp_path / 'out'}", f"--input={source}", *TINY, "--dry_run"]) == 0
    out, err = capsys.readouterr()
    assert "40 photos: 40 to do, 0 done before, 0 failed before" in out
    assert "bucket 64x64 width: 31 photos in 4 batches of 8" in out
    assert "bucket 96x64 width: 9 photos in 2 batches of 5" in out
    assert "about " in out
    assert "2 programs to compile" in out
    assert not err
    assert results(tmp_path / "out") == {}


def test_formats_and_summary_files(forty: tuple[Path, Path, Finished], tmp_path: Path) -> None:
    source, _, _ = forty
    figures = run(
        tmp_path / "out",
        f"--input={source}/set0/p00[02].png",
        "--format=webp",
        "--batch_size=1",
        f"--summary={tmp_path / 's.json'}",
    )
    assert figures.code == 0
    assert sorted(results(tmp_path / "out")) == ["p000.webp", "p002.webp"]
    assert json.loads((tmp_path / "s.json").read_text())["photos"]["done"] == 2


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--output_dir=OUT"], "--input is missing"),
        (["--input=IN"], "--output_dir is missing"),
        (["--input=IN/gone", "--output_dir=OUT"], "no such directory or manifest"),
        (["--input=IN", "--output_dir=IN"], "is the output directory as well"),
        (["--input=IN", "--output_dir=OUT", "--width=0"], "--width is 0"),
        (["--input=IN", "--output_dir=OUT", "--width=1000%"], "--width is 1000%"),
        (["--input=IN", "--output_dir=OUT", "--size=3x3", "--width=75%"], "--size sets both sides"),
        (["--input=IN", "--output_dir=OUT", "--alpha=1"], "alpha is 1.0"),
        (["--input=IN", "--output_dir=OUT", "--shard=2/2"], "--shard is '2/2'"),
        (["--input=IN", "--output_dir=OUT", "--batch_size=0"], "batch_size"),
        (["--input=IN", "--output_dir=OUT", "--batch_megapixels=0"], "--batch_megapixels is 0"),
        (["--input=IN", "--output_dir=OUT", "--max_megapixels=1e305"], "--max_megapixels is 1e+305"),
        (["--input=IN/set*/*.png", "--output_dir=IN"], "would replace"),
        (["--input=IN", "--output_dir=OUT", "--workers=-1"], "--workers is -1"),
        (["--input=IN", "--output_dir=OUT", "--process_id=1"], "belong together"),
        (["--input=IN", "--output_dir=OUT", "--shard=0/2", "--engine=ray"], "--shard says"),
        (["--input=IN", "--output_dir=OUT", "--ray_actors=2"], "--ray_actors"),
        (["--input=-", "--output_dir=OUT", "--dry_run"], "--input=- is read as it comes"),
        (["--input=IN", "--output_dir=OUT", "--background=mauvish"], "background is 'mauvish'"),
        (["--input=IN", "--output_dir=OUT", "--weights=gone.h5"], "gone.h5"),
        (["--input=IN", "--output_dir=OUT", "IN/a.png"], "patterns in quotes"),
        (["--input=IN", "--output_dir=OUT", "--summary=none/s.json"], "none is no directory"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], args: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_photos(tmp_path / "IN", SIZES[:1])
    assert main(["batch", *args]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert err.startswith("dnr_jax.batch: ")
    assert len(err.splitlines()) == 1
    assert message in err


def test_help_names_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["batch", "--help"]) == 0
    printed = capsys.readouterr().out
    assert "python -m dnr_jax.batch --input=photos" in printed
    values = define_flags()
    assert all(f"--{'[no]' if values[name].boolean else ''}{name}" in printed for name in values)
    assert all(len(values[name].help or "") > 10 for name in values)
