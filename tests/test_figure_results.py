"""Sheets of results: pages, columns, full size, and the blind mode with its key."""

import json
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.PngImagePlugin
import pytest

import draw_figures

SIZE, WIDTH = (40, 60), 45
NAMES = ("001", "004", "008")


def picture(seed: int, width: int = WIDTH) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (SIZE[0], width, 3), np.uint8)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Three photos with two published results, and two folders of others."""
    entries = {name: {"source_size": [SIZE[1], SIZE[0]], "target_size": [WIDTH, SIZE[0]]} for name in NAMES}
    for number, name in enumerate(NAMES):
        (tmp_path / "data" / name).mkdir(parents=True)
        PIL.Image.fromarray(picture(number, SIZE[1])).save(tmp_path / f"data/{name}/src.png")
        for place, operator in enumerate(("sv", "multiop")):
            PIL.Image.fromarray(picture(10 * place + 10 + number)).save(tmp_path / f"data/{name}/{operator}.png")
        for place, folder in enumerate(("before", "now")):
            (tmp_path / folder).mkdir(exist_ok=True)
            PIL.Image.fromarray(picture(10 * place + 30 + number)).save(tmp_path / folder / f"{name}.png")
    (tmp_path / "data/manifest.json").write_text(json.dumps(entries))
    return tmp_path / "data"


COLUMNS = ["published:sv", "published:multiop", "before", "now"]
SEEDS = dict(zip(COLUMNS, (10, 20, 30, 40), strict=True))
"""Of each column's first picture."""


def draw(dataset: Path, out: Path, *arguments: str) -> int:
    home = dataset.parent
    columns = f"--columns=before={home}/before,now={home}/now"
    common = ("--figure=results", f"--dataset={dataset}", f"--out={out}", columns)
    return draw_figures.main(["draw_figures.py", *common, *arguments])


def panels(path: Path) -> tuple[dict[str, str], list[list[tuple[str, np.ndarray]]]]:
    """A page's text chunks, and the label and picture of every panel."""
    with PIL.Image.open(path) as image:
        assert isinstance(image, PIL.PngImagePlugin.PngImageFile)
        pixels, text = np.asarray(image), image.text
    rows = []
    for row in json.loads(text["panels"]):
        boxes = [(panel["label"], panel["box"]) for panel in row]
        rows.append([(label, pixels[top : top + h, left : left + w]) for label, (left, top, w, h) in boxes])
    return text, rows


def test_every_photo_has_a_row_at_full_size(dataset: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "sheets"
    assert draw(dataset, out, "--per_page=2") == 0
    pages = [Path(line) for line in capsys.readouterr().out.split()]
    assert pages == [out / "results_01.png", out / "results_02.png"]
    assert sorted(out.iterdir()) == pages  # And no key.
    rows = []
    for number, page in enumerate(pages, 1):
        text, found = panels(page)
        assert text["Title"] == f"Results, page {number} of 2"
        assert text["command"].startswith("python scripts/draw_figures.py --figure=results")
        rows += found
    assert len(rows) == 3
    for number, (name, row) in enumerate(zip(NAMES, rows, strict=True)):
        assert [label for label, _ in row] == [f"{name}, 60x40", *(f"{column}, 45x40" for column in COLUMNS)]
        expected = [picture(number, SIZE[1]), *(picture(SEEDS[column] + number) for column in COLUMNS)]
        for (_, shown), pixels in zip(row, expected, strict=True):
            np.testing.assert_array_equal(shown, pixels)


def test_photos_and_columns_can_be_chosen(dataset: Path, tmp_path: Path) -> None:
    assert draw(dataset, tmp_path / "out", "--photos=008,001", "--published=multiop", "--columns=") == 0
    _, rows = panels(tmp_path / "out/results_01.png")
    labels = [[label for label, _ in row] for row in rows]
    assert labels == [[f"{name}, 60x40", "published:multiop, 45x40"] for name in ("008", "001")]


def test_blind_pages_tell_nothing_but_letters(dataset: Path, tmp_path: Path) -> None:
    orders, key = [], {}
    for seed in range(4):
        out = tmp_path / str(seed)
        assert draw(dataset, out, f"--blind={seed}") == 0
        key = json.loads((out / "results_key.json").read_text())
        assert key["seed"] == seed
        assert f"--blind={seed}" in key["command"]
        assert list(key["photos"]) == list(NAMES)
        text, rows = panels(out / "results_01.png")
        assert set(text) == {"Title", "panels"}
        data = (out / "results_01.png").read_bytes()
        assert not any(word in data for word in (b"published", b"before", b"multiop", b"blind="))
        for number, (name, row) in enumerate(zip(NAMES, rows, strict=True)):
            assert [label for label, _ in row] == [f"{name}, 60x40", "A", "B", "C", "D"]
            assert sorted(key["photos"][name].values()) == sorted(COLUMNS)
            for letter, shown in row[1:]:
                np.testing.assert_array_equal(shown, picture(SEEDS[key["photos"][name][letter]] + number))
            orders.append(tuple(key["photos"][name].values()))
    assert len(set(orders)) > 6
    # The seed and the photo decide, not what else is shown.
    assert draw(dataset, tmp_path / "again", "--blind=3", "--photos=004") == 0
    assert json.loads((tmp_path / "again/results_key.json").read_text())["photos"] == {"004": key["photos"]["004"]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--photos=999"], "--photos has 999: the data set holds 001, 004, 008"),
        (["--published=sc"], "001 has no published result sc (multiop, sv)"),
        (["--columns=here"], "--columns has 'here': write NAME=DIR"),
        (["--columns=a=x,a=y"], "name a column twice"),
        (["--columns=", "--published="], "there are 0 columns of results"),
        (["--columns=a=nowhere"], "nowhere/001.png is not there"),
        (["--image=photo.png"], "--image is not for --figure=results"),
        (["--steps=3"], "--steps is not for --figure=results"),
        (["--dataset="], "--dataset is missing"),
        (["--per_page=0"], "per_page"),
        (["--blind=-1"], "blind"),
        (["--figure=4"], "--dataset is not for --figure=4"),
    ],
)
def test_bad_input_is_one_line(dataset: Path, tmp_path: Path, capsys, arguments: list[str], message: str) -> None:
    assert draw(dataset, tmp_path / "out", *arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("figures: ")
    assert message in lines[0]
    assert not (tmp_path / "out").exists()
