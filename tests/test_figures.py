"""The paper's figures, every one on a tiny photo: metadata and panels, the sheet, and bad input."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.PngImagePlugin
import pytest
from drawn_photos import textured_photo

import draw_figures
from dnr_jax.baselines import METHODS
from figures.layout import BEST, GAP, Panel, Sheet, draw_sheet

pytestmark = pytest.mark.slow

PANELS = {
    1: [3, 3],
    3: [6, 5, 5, 1],
    4: [3, 3],
    6: [3, 3],
    8: [4, 4, 4, 1],
    9: [3],
    10: [3, 2],
    11: [4] * 9,
    12: [3],
    13: [4, 4],
    14: [4, 4],
    16: [3],
    17: [5, 5],
    18: [5, 5],
    19: [1, 3, 3, 3],
    21: [4],
}
"""How many panels stand in each row."""
RUNS = {1: 1, 3: 1, 4: 0, 6: 2, 8: 1, 9: 1, 10: 2, 11: 9, 12: 2, 13: 3, 14: 3, 16: 2, 17: 9, 18: 9, 19: 9, 21: 3}


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    PIL.Image.fromarray(textured_photo(64, 96)).save(path)
    return path


def read_figure(path: Path) -> tuple[np.ndarray, dict, list[list[dict]]]:
    """A figure's pixels, its config and its panels."""
    with PIL.Image.open(path) as image:
        assert isinstance(image, PIL.PngImagePlugin.PngImageFile)
        text = image.text
        assert text["command"].startswith("python scripts/draw_figures.py --figure=all")
        assert text["Title"].startswith("Figure ")
        return np.asarray(image), json.loads(text["config"]), json.loads(text["panels"])


def test_every_figure_has_its_panels_and_says_how_it_was_made(photo: Path, tmp_path: Path, capsys, monkeypatch):
    # One test, so that what compiles for one figure serves the others. The operators that take long have tests of
    # their own; what matters here is that the figures call them.
    for name in ("deepir", "multiop"):
        monkeypatch.setitem(METHODS, name, dataclasses.replace(METHODS[name], home="scaling:scale"))
    out = tmp_path / "made" / "here"
    command = ["draw_figures.py", "--figure=all", f"--image={photo}", f"--out={out}", "--weights=embedded", "--steps=4"]
    assert draw_figures.main([*command, "--quiet"]) == 0
    made = [Path(line) for line in capsys.readouterr().out.split()]
    assert made == [out / f"figure_{number:02}.png" for number in PANELS]
    seen: dict[int, tuple[np.ndarray, dict, list[list[dict]]]] = {}
    for number, path in zip(PANELS, made, strict=True):
        pixels, config, panels = seen[number] = read_figure(path)
        assert [len(row) for row in panels] == PANELS[number], number
        assert config["figure"] == number
        assert config["weights"]["name"] == "embedded"
        assert len(config["runs"]) == RUNS[number], number
        for run in config["runs"]:
            if run["method"] == "dnr":
                assert run["config"]["reconstruct_steps"] <= 4
        for panel in (panel for row in panels for panel in row):
            left, top, width, height = panel["box"]
            assert panel["label"]
            assert pixels[top : top + height, left : left + width].std() > 0, (number, panel["label"])
            below = pixels[top + height :, left : left + width]
            assert (below < 128).any(), f"figure {number} has no label below {panel['label']}"

    configs = {number: [run["config"] for run in config["runs"]] for number, (_, config, _) in seen.items()}
    assert (configs[16][0]["alpha"], configs[16][0]["importance_percentile"]) == (0.2, 35)
    assert [config["importance_percentile"] for config in configs[21]] == [20, 100, "auto"]
    assert {(config["init"], config["reconstruct_rate"]) for config in configs[11]} == {
        (init, rate) for init in ("noise", "linear", "seam") for rate in (1, 4, 16)
    }
    assert [config["loss_weights"] for config in configs[12]] == [[0, 0, 1]] * 2
    assert [config["init"] for config in configs[13]] == ["seam"] * 3
    assert [config["init"] for config in configs[14]] == ["linear"] * 3
    assert [run["width"] for run in seen[19][1]["runs"]] == [0.5, 0.4, 0.3] * 3
    assert [run["method"] for run in seen[17][1]["runs"]] == [*METHODS, "dnr"]
    assert [run["method"] for run in seen[16][1]["runs"]] == ["dnr", "deepir"]
    assert {run["width"] for run in seen[17][1]["runs"]} == {0.75}
    assert {run["width"] for run in seen[18][1]["runs"]} == {0.5}
    best = [panel["label"] for row in seen[11][2] for panel in row if panel["best"]]
    assert [label[1] for label in best] == ["a", "b", "c"], "the best of each start is framed"
    # The first panel is the photo itself, pixel by pixel.
    left, top, width, height = seen[4][2][0][0]["box"]
    np.testing.assert_array_equal(seen[4][0][top : top + height, left : left + width], textured_photo(64, 96))
    widths = [[panel["box"][2] for panel in row] for row in seen[19][2]]
    assert widths == [[96]] + [[48, 38, 29]] * 3


def test_a_sheet_places_panels_in_columns_and_wraps_labels():
    grey = [np.full((20, width, 3), level, np.uint8) for width, level in ((30, 90), (200, 150), (40, 60))]
    rows = [[Panel(grey[0], "one"), Panel(grey[1], "two")], [Panel(grey[2], "a label of many words " * 4, best=True)]]
    drawn, boxes = draw_sheet(Sheet("Title", rows))
    for panels, places in zip(rows, boxes, strict=True):
        for panel, (left, top, width, height) in zip(panels, places, strict=True):
            np.testing.assert_array_equal(drawn[top : top + height, left : left + width], panel.picture)
    assert boxes[0][0].left == boxes[1][0].left == GAP
    assert boxes[0][1].left >= boxes[0][0].left + 40 + GAP
    frame = boxes[1][0]
    assert tuple(drawn[frame.top - 3, frame.left]) == BEST
    assert tuple(drawn[boxes[0][0].top - 3, boxes[0][0].left]) != BEST
    assert drawn.shape[0] > frame.top + frame.height + 3 * 14, "room for the label's lines"


def test_the_photo_can_be_scaled(photo: Path):
    assert draw_figures.read_scaled(photo, 0.5).shape == (32, 48, 3)
    assert draw_figures.read_scaled(photo, 1).shape == (64, 96, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--image=photo.png"], "--figure is None: choose 1, 3, "),
        (["--figure=2", "--image=photo.png"], "--figure is 2: choose 1, 3, "),
        (["--figure=4"], "--image is missing"),
        (["--figure=4", "--image=photo.png", "extra"], "unexpected argument 'extra'"),
        (["--figure=4", "--image=photo.png", "--scale=0"], "--scale is 0.0"),
        (["--figure=4", "--image=missing.png"], "missing.png"),
        (["--figure=4", "--image=photo.png", "--steps=0"], "steps"),
        (["--figure=4", "--image=photo.png", "--out=photo.png/below"], "is no directory"),
        (["--figure=9", "--image=photo.png", "--scale=0.2", "--weights=embedded"], "block5_pool needs"),
    ],
)
def test_bad_input_is_one_line(photo: Path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(photo.parent)
    assert draw_figures.main(["draw_figures.py", *arguments]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("figures: ")
    assert message in lines[0]


def test_help_names_every_flag(capsys):
    assert draw_figures.main(["draw_figures.py", "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"--{name}" in shown.replace("--[no]", "--") for name in ("figure", "image", "out", "scale", "steps"))
