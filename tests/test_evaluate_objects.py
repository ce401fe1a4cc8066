"""The comparison's measures of objects: outlines by file, photos without, and several ratios."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import oracles_metrics
import PIL.Image
import pytest
from checkouts import kept_figures, make_checkout

from dnr_jax.evaluation.targets import folder_name, parse_ratios
from scripts import evaluate

SIZE, WIDTH = (64, 96), 72
BOX = [[30, 10], [65, 10], [65, 50], [30, 50]]


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Two photos, one with a published crop that cuts an object's left half off."""
    for number, name in enumerate(("hills", "shore")):
        (tmp_path / "data" / name).mkdir(parents=True)
        photo = oracles_metrics.textured(SIZE, number).astype(np.uint8)
        PIL.Image.fromarray(photo).save(tmp_path / f"data/{name}/{name}.png")
        PIL.Image.fromarray(photo[:, 12 : 12 + WIDTH]).save(tmp_path / f"data/{name}/{name}_0.75_cr.png")
    return tmp_path / "data"


def outline(path: Path, *names: str, size: tuple[int, int] = (96, 64)) -> str:
    """The flag that names a file of outlines."""
    path.write_text(json.dumps({name: {"size": size, "polygons": [BOX]} for name in names}))
    return f"--objects={path}"


def call(dataset: Path, out: Path, *arguments: str) -> int:
    common = (f"--dataset={dataset}", f"--out={out}", "--weights=embedded", "--quiet", "--score_tap=block3_conv1")
    return evaluate.main(["evaluate.py", *common, *arguments])


def rows(file: Path) -> list[dict[str, str]]:
    with file.open() as opened:
        return list(csv.DictReader(opened))


def test_outlined_photos_are_measured_and_others_are_named(dataset: Path, tmp_path: Path, capsys) -> None:
    objects = outline(tmp_path / "objects.json", "hills")
    assert call(dataset, tmp_path / "out", "--methods=scl,published", objects) == 0
    text = capsys.readouterr().out
    assert "Objects are outlined on 1 of 2 photos: saliency discard ratio and object aspect distortion" in text
    assert re.search(r"leave out shore\.", text)
    assert re.search(r"Uniform scaling to the same sizes, exactly: saliency discard ratio 25\.0 %, .*0\.28", text)
    found = {(row["photo"], row["method"]): row for row in rows(tmp_path / "out/results.csv")}
    scaled, cropped = found["hills", "scl"], found["hills", "published:cr"]
    assert float(scaled["saliency_discard_ratio"]) == pytest.approx(0.25, abs=0.03)
    assert float(scaled["object_aspect_distortion"]) == pytest.approx(-np.log(0.75), abs=0.05)
    assert float(cropped["saliency_discard_ratio"]) == pytest.approx(0, abs=0.03)
    assert float(cropped["object_aspect_distortion"]) == pytest.approx(0, abs=0.05)
    assert found["shore", "scl"]["saliency_discard_ratio"] == found["shore", "scl"]["object_aspect_distortion"] == ""
    assert "outlined on 1 of 2 photos" in (tmp_path / "out/report.html").read_text()

    # Other outlines measure anew; those of a photo of another size are not used.
    assert call(dataset, tmp_path / "out", "--methods=scl", outline(tmp_path / "objects.json", "hills", "shore")) == 0
    assert "leave out" not in capsys.readouterr().out
    assert all(row["saliency_discard_ratio"] for row in rows(tmp_path / "out/results.csv"))
    other = outline(tmp_path / "other.json", "hills", "shore", size=(90, 64))
    assert call(dataset, tmp_path / "out", "--methods=scl", other) == 0
    text = capsys.readouterr().out
    assert "0 of 2 photos" in text
    assert "Uniform scaling" not in text


def test_ratios_stand_side_by_side_beside_uniform_scaling(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    checkout = make_checkout(tmp_path, monkeypatch)
    objects = outline(tmp_path / "objects.json", "hills", "shore")
    out = tmp_path / "out"
    assert call(dataset, out, "--methods=cr,scl,published", "--ratios=1:1,16:9,9/16", objects, "--update_docs") == 0
    kept = kept_figures(checkout, "ratios")["ratios"]
    assert list(kept) == ["1:1", "16:9", "9/16"]
    assert all(list(methods) == ["cr", "scl", "uniform scaling"] for methods in kept.values())
    text = capsys.readouterr().out
    assert text.startswith((out / "ratios.txt").read_text())
    assert [line for line in text.splitlines() if line.endswith(".html")] == [
        f"{out}/{name}/report.html" for name in ("1x1", "16x9", "9x16")
    ]
    lines = text.split("saliency discard ratio", 1)[1].splitlines()[1:6]
    assert re.split(r"  +", lines[0]) == ["width to height", "1:1", "16:9", "9/16"]
    assert [re.split(r"  +", line)[0] for line in lines[1:]] == ["cr", "scl", "uniform scaling", "photos"]
    assert re.split(r"  +", lines[4])[1:] == ["2", "2", "2"]
    means = {(r["ratio"], r["method"], r["measure"]): float(r["mean"] or "nan") for r in rows(out / "ratios.csv")}
    for ratio, size in (("1:1", (64, 64)), ("16:9", (54, 96)), ("9/16", (64, 36))):
        lost = 1 - min(size[0] / 64, size[1] / 96)
        assert means[ratio, "uniform scaling", "saliency_discard_ratio"] == pytest.approx(lost, abs=0.03)
        assert means[ratio, "scl", "saliency_discard_ratio"] == pytest.approx(lost, abs=0.05)
        assert means[ratio, "uniform scaling", "object_aspect_distortion"] == pytest.approx(-np.log(1 - lost), abs=0.05)
        sizes = {(r["height"], r["width"]) for r in rows(out / folder_name(ratio) / "results.csv")}
        assert sizes == {(str(size[0]), str(size[1]))}
        assert "published" not in (out / folder_name(ratio) / "summary.txt").read_text()


def test_photos_that_have_a_ratio_are_left_out(dataset: Path, tmp_path: Path, capsys) -> None:
    (dataset / "square").mkdir()
    PIL.Image.fromarray(oracles_metrics.textured((64, 64), 7).astype(np.uint8)).save(dataset / "square/square.png")
    assert call(dataset, tmp_path / "out", "--methods=scl", "--ratios=1:1") == 0
    assert re.search(r"^photos +0$", capsys.readouterr().out, re.MULTILINE)  # None of them has outlines.
    assert {row["photo"] for row in rows(tmp_path / "out/1x1/results.csv")} == {"hills", "shore"}


def test_ratios_are_parsed() -> None:
    assert parse_ratios(None) == []
    assert parse_ratios("16:9, 4/3,1.5,16:9") == ["16:9", "4/3", "1.5"]
    assert [folder_name(ratio) for ratio in ("16:9", "4/3", "1.5")] == ["16x9", "4x3", "1.5"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ratios=wide"], "--ratios is 'wide': give width to height"),
        (["--ratios=,"], "--ratios names nothing"),
        (["--ratios=3:2"], "--ratios has 3:2, which every photo has already"),
        (["--ratios=1:1", "--width=50%"], "--width and --height have no say"),
        (["--ratios=1:1", "--methods=published"], "published results have their own sizes"),
        (["--objects=nowhere.json"], "no file of outlines nowhere.json"),
    ],
)
def test_bad_input_is_one_line(dataset: Path, tmp_path: Path, capsys, arguments: list[str], message: str) -> None:
    assert call(dataset, tmp_path / "out", "--methods=scl", *arguments) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.startswith("evaluate: ")
    assert printed.err.count("\n") == 1
    assert printed.out == ""
