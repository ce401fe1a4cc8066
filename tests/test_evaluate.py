"""The comparison from end to end on two small photos, and the commands as they are called."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import oracles_metrics
import PIL.Image
import pytest
from checkouts import kept_figures, make_checkout

from dnr_jax.baselines import METHODS
from dnr_jax.evaluation import runs, tally
from dnr_jax.metrics import bidirectional_similarity, seam_discontinuity
from dnr_jax.photos.files import read_image
from scripts import evaluate

ROOT = Path(__file__).resolve().parents[1]
SIZE, WIDTH = (64, 96), 72
DNR = (
    "dnr:preset=fast:taps=block1_conv2+block3_conv4:reconstruct_steps=3:refine_steps=2"
    ":importance_percentile=20:keep=objects"
)


def small_dataset(directory: Path) -> Path:
    """Two photos in the official layout, with a published crop of both and a scaled version of one."""
    for number, name in enumerate(("hills", "shore")):
        photo = oracles_metrics.textured(SIZE, number).astype(np.uint8)
        (directory / name).mkdir(parents=True)
        PIL.Image.fromarray(photo).save(directory / name / f"{name}.png")
        PIL.Image.fromarray(photo[:, 10 : 10 + WIDTH]).save(directory / name / f"{name}_0.75_cr.png")
        if name == "shore":
            scaled = METHODS["scl"](photo, (SIZE[0], WIDTH))
            PIL.Image.fromarray(scaled).save(directory / name / f"{name}_0.75_scl.png")
    return directory


def call(dataset: Path, out: Path, *arguments: str) -> int:
    options = (f"--dataset={dataset}", f"--out={out}", "--weights=embedded", "--quiet", "--score_tap=block3_conv1")
    return evaluate.main(["evaluate.py", *options, *arguments])


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_dataset(tmp_path_factory.mktemp("dataset"))


@pytest.fixture(scope="module")
def compared(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a finished comparison."""
    out = tmp_path_factory.mktemp("compared")
    assert call(dataset, out, f"--methods={DNR},scl,published", "--pairs=all") == 0
    return out


def rows(out: Path) -> dict[tuple[str, str], dict[str, str]]:
    with (out / "results.csv").open() as file:
        return {(row["photo"], row["method"]): row for row in csv.DictReader(file)}


def test_every_method_is_run_and_measured_on_every_photo(compared: Path, dataset: Path) -> None:
    found = rows(compared)
    expected = {(photo, method) for photo in ("hills", "shore") for method in (DNR, "scl", "published:cr")}
    assert set(found) == {*expected, ("shore", "published:scl")}
    for (photo, method), row in found.items():
        assert (row["width"], row["height"]) == (str(WIDTH), str(SIZE[0]))
        assert (row["seconds"] == "") == method.startswith("published")
        assert row["score_weights"] == "embedded"
        assert 0 < float(row["aspect_ratio_similarity"]) <= 1
        assert 0.2 < float(row["semantic_score"]) < 1.5
        assert (dataset / photo).is_dir()
    # The published scaling is the operator's own, and a crop holds nothing new.
    for key in ("semantic_score", "bidirectional_similarity", "aspect_ratio_similarity", "seam_discontinuity"):
        assert found["shore", "scl"][key] == found["shore", "published:scl"][key]
    original, result = (read_image(compared / f"results/hills/{name}.png") for name in ("source", "published_cr"))
    np.testing.assert_array_equal(result, original[:, 10 : 10 + WIDTH])
    cropped = found["hills", "published:cr"]
    assert float(cropped["bidirectional_similarity"]) == pytest.approx(
        bidirectional_similarity(original, result), rel=1e-4
    )
    assert float(cropped["seam_discontinuity"]) == pytest.approx(seam_discontinuity(original, result), abs=1e-5)


def test_the_result_is_the_pipelines(compared: Path) -> None:
    (file,) = (compared / "results/hills").glob("dnr_*[!p].png")
    image = read_image(file)
    assert image.shape == (SIZE[0], WIDTH, 3)
    assert file.with_suffix(".map.png").is_file()
    original = read_image(compared / "results/hills/source.png")
    assert bidirectional_similarity(original, image) < bidirectional_similarity(original, image[::-1])


def test_tables_and_report_are_written(compared: Path) -> None:
    text = (compared / "summary.txt").read_text()
    assert "not the paper's, not comparable with its Table 1" in text
    assert f"Difference from {DNR}" in text
    page = (compared / "report.html").read_text()
    pictures = re.findall(r'src="(report_pictures/[0-9a-f]{16}\.png)"', page)
    # Each photo with its map, DNR's with its own map, two or three others.
    assert len(pictures) == 2 * 5 + 1 + 2
    assert all((compared / picture).is_file() for picture in pictures)
    assert "$" not in re.sub(r"<script>.*</script>", "", page, flags=re.DOTALL)
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    trials = json.loads(data)["trials"]
    assert len(trials) == 3 + 6  # All pairs of three methods, and of four.


def test_means_go_to_the_documents(
    compared: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = make_checkout(tmp_path, monkeypatch)
    assert call(dataset, compared, f"--methods={DNR},scl,published", "--pairs=all", "--update_docs") == 0
    figures = kept_figures(checkout, "quality")
    with (compared / "summary.csv").open() as file:
        summary = {(row["method"], row["measure"], row["kind"]): row for row in csv.DictReader(file)}
    for method, means in figures["methods"].items():
        for measure, (mean, _, _) in means.items():
            written = summary[method, measure, "mean"]["value"]
            assert written == ("" if mean is None else f"{mean:.6g}")
    assert list(figures["methods"]) == [DNR, "scl", "published:cr", "published:scl"]
    assert set(figures["differences"]) == {"scl", "published:cr", "published:scl"}
    # No outlines were given for these photos.
    assert not (checkout / "docs/measurements/objects.json").exists()
    assert f"| {DNR} | " in (checkout / "docs/pages/benchmarks.md").read_text()


def test_what_is_finished_is_not_computed_again(
    compared: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = shutil.copytree(compared, tmp_path / "copy")
    before = {path: path.read_bytes() for path in compared.rglob("*") if path.is_file()}
    made, measured = [], []
    run, measure = runs._make, runs.Judge.measure
    monkeypatch.setattr(
        runs, "_make", lambda photo, method, *rest: made.append(method.name) or run(photo, method, *rest)
    )
    monkeypatch.setattr(
        runs.Judge, "measure", lambda self, *rest, **named: measured.append(1) or measure(self, *rest, **named)
    )
    methods = f"--methods={DNR},scl,published"

    assert call(dataset, compared, methods, "--pairs=all") == 0
    assert (made, measured) == ([], [])
    assert {path: path.read_bytes() for path in before} == before

    # A result that is gone, or whose record is damaged, is made again, and nothing else.
    (compared / "results/hills/scl.png").unlink()
    (compared / "results/shore/published_cr.json").write_text("{")
    assert call(dataset, compared, methods, "--pairs=all") == 0
    assert made == ["scl", "published:cr"]
    made.clear()
    measured.clear()

    # Another layer measures anew but runs nothing; another configuration runs; a request runs all.
    assert call(dataset, compared, methods, "--score_tap=block2_conv1") == 0
    assert (made, len(measured)) == ([], 7)
    assert rows(compared)["hills", "scl"]["score_tap"] == "block2_conv1"
    measured.clear()
    other = DNR.replace("refine_steps=2", "refine_steps=1")
    assert call(dataset, compared, f"--methods={other}", "--limit=1") == 0
    assert (made, len(measured)) == ([other], 1)
    made.clear()
    measured.clear()
    assert call(dataset, compared, "--methods=scl", "--recompute", "--limit=1") == 0
    assert (made, len(measured)) == (["scl"], 1)


@pytest.mark.slow
def test_a_quick_look(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(dataset, tmp_path, "--methods=scl,published", "--limit=1", "--scale=0.5", "--seed=3") == 0
    printed = capsys.readouterr().out
    assert re.search(
        r"block3_conv1 of embedded \w{8}: not the paper's, not comparable with its Table 1\), at scale 0\.5", printed
    )
    assert printed.endswith(f"{tmp_path}/report.html\n")
    found = rows(tmp_path)
    assert set(found) == {("hills", "scl"), ("hills", "published:cr")}
    assert {(row["width"], row["height"], row["scale"]) for row in found.values()} == {("36", "32", "0.5")}
    assert read_image(tmp_path / "results/hills/source.png").shape == (32, 48, 3)


def test_a_size_for_photos_without_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data/plain").mkdir(parents=True)
    photo = oracles_metrics.textured(SIZE, 5).astype(np.uint8)
    PIL.Image.fromarray(photo).save(tmp_path / "data/plain/plain.png")
    assert call(tmp_path / "data", tmp_path / "out", "--methods=scl") == 2
    assert "the data set says no size for plain: give --width or --height" in capsys.readouterr().err
    assert call(tmp_path / "data", tmp_path / "out", "--methods=scl", "--width=75%") == 0
    assert rows(tmp_path / "out")["plain", "scl"]["width"] == str(WIDTH)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out="], "--out is missing"),
        (["--methods=nothing"], "'nothing': choose from dnr"),
        (["--scale=2"], "--scale is 2"),
        (["--scale=0"], "--scale is 0"),
        (["--limit=0"], "limit"),
        (["--score_tap=block9"], "unknown tap 'block9'"),
        (["--dataset=/nowhere"], "/nowhere is no directory"),
        (["extra"], "unexpected argument 'extra'"),
        (["--weights=/nowhere.h5"], "no weights file /nowhere.h5"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], message: str, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(dataset, tmp_path, *arguments) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.startswith("evaluate: ")
    assert printed.err.count("\n") == 1
    assert printed.out == ""


def test_what_fails_names_the_photo_and_method(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = small_dataset(tmp_path / "data")
    broken = data / "shore/shore_0.75_cr.png"
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    assert call(data, tmp_path / "out", "--methods=published:cr") == 2
    assert re.match(r"evaluate: shore, published:cr: .*shore_0.75_cr.png", capsys.readouterr().err)
    assert (tmp_path / "out/results/hills/published_cr.json").is_file()  # What came before is kept.
    (tmp_path / "file").touch()
    assert call(data, tmp_path / "file", "--methods=scl") == 2
    assert "is no directory" in capsys.readouterr().err


def test_the_commands_run_as_scripts(tmp_path: Path) -> None:
    votes = [{"photo": "a", "left": "dnr", "right": "sc", "choice": "left"}]
    ballot = {"format": "dnr_jax-votes-1", "report": "r", "participant": "p", "votes": votes}
    (tmp_path / "votes.json").write_text(json.dumps(ballot))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for command, argument, output in (
        ([str(ROOT / "scripts/evaluate.py")], "--help", "--[no]update_docs"),
        (["-m", "dnr_jax.evaluation"], "--help", "published:OPERATOR"),
        (["-m", "dnr_jax.evaluation.tally"], str(tmp_path / "votes.json"), "dnr against sc: 1 of 1 votes"),
    ):
        command = [sys.executable, *command, argument]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stderr
        assert output in done.stdout


def test_tally_refuses_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty.json").write_text(
        '{"format": "dnr_jax-votes-1", "report": "r", "participant": "p", "votes": []}'
    )
    for arguments, message in (
        ([], "no files"),
        ([str(tmp_path / "none.json")], "no such file"),
        ([str(tmp_path / "empty.json")], "hold no votes"),
        (["--interval=none", str(tmp_path / "empty.json")], "interval"),
    ):
        assert tally.main(["tally", *arguments]) == 2
        complaint = capsys.readouterr().err
        assert complaint.startswith("tally: ")
        assert message in complaint
        assert complaint.count("\n") == 1
    assert tally.main(["tally", "--help"]) == 0
    assert "Clopper" in capsys.readouterr().out
