"""How found faces and words are counted, and the command that does so."""

import json
from pathlib import Path

import numpy as np
import pytest
from checkouts import kept_figures, make_checkout
from drawn_photos import sign
from PIL import Image

import evaluate_detectors
from detection import measures
from detection.drawn import BOXES, Drawn, load_drawn
from detection.measures import Count, count_faces, count_words


def square(top: float, left: float, height: float, width: float) -> list[list[float]]:
    return [[top, left], [top, left + width], [top + height, left + width], [top + height, left]]


DRAWN = Drawn(
    size=(200, 300),
    faces=[[10, 10, 40, 40], [100, 100, 115, 115], [150, 10, 190, 50]],
    unsure_faces=[[0, 200, 50, 250]],
    words=[square(20, 100, 14, 80), square(60, 100, 8, 60), square(120, 200, 30, 90)],
    unsure_words=[square(160, 200, 30, 80)],
)


def test_faces() -> None:
    boxes = np.array(
        [
            [12, 8, 42, 40],  # The first face.
            [11, 11, 41, 41],  # The first face again: one is false.
            [100, 101, 115, 114],  # A small face is neither found nor false.
            [10, 210, 40, 240],  # On what nobody was sure about.
            [60, 60, 90, 90],  # Nothing.
            [150, 30, 190, 90],  # Too far from the third face.
        ]
    )
    assert count_faces(DRAWN, boxes) == Count(found=1, drawn=2, false=3)
    assert count_faces(DRAWN, np.zeros((0, 4))) == Count(0, 2, 0)


def test_words() -> None:
    corners = np.array(
        [
            square(18, 98, 18, 50),  # More than half of the first word.
            square(118, 195, 34, 40),  # Less than half of the third.
            square(165, 205, 10, 60),  # Something illegible.
            square(100, 10, 30, 30),  # Nothing.
        ]
    )
    assert count_words(DRAWN, corners) == Count(found=1, drawn=2, false=1)
    assert count_words(DRAWN, np.zeros((0, 4, 2))) == Count(0, 2, 0)
    both = np.array([square(118, 195, 34, 40), square(118, 235, 34, 40)])
    assert count_words(DRAWN, both) == Count(found=1, drawn=2, false=0)


def test_counts_add_up() -> None:
    assert sum([Count(1, 2, 3), Count(4, 5, 6)], start=Count(0, 0, 0, 0)) == Count(5, 7, 9, 2)


def test_heights_and_overlaps() -> None:
    assert measures.height(square(3, 4, 12, 50)) == pytest.approx(12)
    slanted = [[0.0, 0.0], [30.0, 40.0], [22.0, 46.0], [-8.0, 6.0]]
    assert measures.height(slanted) == pytest.approx(10)
    assert measures.overlap([0, 0, 10, 10], [0, 5, 10, 15]) == pytest.approx(1 / 3)
    assert measures.overlap([0, 0, 10, 10], [20, 20, 30, 30]) == 0


def test_what_was_drawn_lies_on_its_photo() -> None:
    everything = load_drawn(BOXES)
    assert len(everything) == 62
    for name, drawn in everything.items():
        height, width = drawn.size
        for top, left, bottom, right in drawn.faces + drawn.unsure_faces:
            assert 0 <= top < bottom <= height, name
            assert 0 <= left < right <= width, name
        for word in drawn.words + drawn.unsure_words:
            points = np.array(word)
            assert points.ndim == 2, name
            assert points.min() >= 0, name
            assert np.all(points <= (height, width)), name


def test_the_command_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkout = make_checkout(tmp_path, monkeypatch)
    Image.fromarray(sign("BOOKSHOP", (200, 150), 40).astype(np.uint8)).save(tmp_path / "sign.png")
    entry = {"size": [400, 500], "faces": [], "unsure_faces": [], "words": [square(200, 150, 40, 250)]}
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps({"sign": {**entry, "unsure_words": []}}))
    arguments = ["evaluate_detectors", f"--photos={tmp_path}", f"--boxes={boxes}"]
    assert evaluate_detectors.main([*arguments, "--update_docs"]) == 0
    assert kept_figures(checkout, "detectors")["words"]["all"] == {"found": 1, "drawn": 1, "false": 0, "photos": 1}
    printed = capsys.readouterr().out
    nothing, found = ["0.00", "(0/0),", "0.00", "false"], ["1.00", "(1/1),", "0.00", "false"]
    assert printed.splitlines()[2].split() == ["words", *found, *nothing, *found]
    assert printed.splitlines()[1].split() == ["faces", *nothing, *nothing, *nothing]
    boxes.write_text(json.dumps({"sign": {**entry, "size": [1, 1], "unsure_words": []}}))
    assert evaluate_detectors.main(arguments) == 2
    assert "sign is (400, 500) pixels" in capsys.readouterr().err
    boxes.write_text(json.dumps({"other": {**entry, "unsure_words": []}}))
    assert evaluate_detectors.main(arguments) == 2
    assert "no photo other" in capsys.readouterr().err
    boxes.write_text(json.dumps({"other": {}}))
    assert evaluate_detectors.main(arguments) == 2
    assert "holds no boxes of faces and words" in capsys.readouterr().err
