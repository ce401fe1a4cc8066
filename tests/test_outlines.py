"""Outlines of objects: the file, and the masks that polygons make."""

import json
from pathlib import Path

import numpy as np
import oracles_metrics as oracles
import pytest

from dnr_jax.evaluation.outlines import OUTLINES, Outlines, draw_objects, read_outlines


def test_the_outlines_of_the_benchmark_are_read() -> None:
    outlines = read_outlines(OUTLINES)
    assert len(outlines) == 22
    assert outlines["001"].size == (465, 586)
    assert len(outlines["001"].polygons) == 4
    for name, each in outlines.items():
        masks = draw_objects(each, (each.size[0] // 2, each.size[1] // 2))
        assert masks.shape == (len(each.polygons), each.size[0] // 2, each.size[1] // 2), name
        assert masks.any((1, 2)).all(), name


@pytest.mark.parametrize("seed", range(3))
def test_masks_hold_the_points_inside(seed: int) -> None:
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 9))
    radii = rng.uniform(20, 45, 9)
    corners = [(60 + r * np.cos(a), 50 + r * np.sin(a)) for a, r in zip(angles, radii, strict=True)]
    outlines = Outlines((100, 120), (tuple(corners),))
    for shape in ((100, 120), (50, 60)):
        mask = draw_objects(outlines, shape)[0]
        step = 100 / shape[0]
        expected = np.array(
            [
                [oracles.inside((x + 0.5) * step - 0.5, (y + 0.5) * step - 0.5, corners) for x in range(shape[1])]
                for y in range(shape[0])
            ]
        )
        # The drawing takes the rim in, the oracle decides by the centre.
        assert (mask != expected).mean() < 0.03
        assert (mask | expected).sum() < 1.15 * expected.sum()


def test_an_object_too_small_for_the_scale_is_kept() -> None:
    speck = Outlines((100, 120), (((10, 10), (12, 10), (12, 12)), ((0, 0), (119, 0), (119, 99), (0, 99))))
    masks = draw_objects(speck, (10, 12))
    assert masks.any((1, 2)).all()
    assert masks[0].sum() <= 2
    assert masks[1].all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ('{"a": {"polygons": []}}', "'size'"),
        ('{"a": {"size": [9, 9], "polygons": []}}', "no polygon"),
        ('{"a": {"size": [9, 9], "polygons": [[[1, 1], [2, 2]]]}}', "2 corners"),
        ('{"a": {"size": [9, 9], "polygons": [[[9, 1], [20, 1], [20, 2]]]}}', "outside its photo"),
        ('{"a": {"size": [9, 9], "polygons": [[[1], [2], [3]]]}}', "cannot be read"),
    ],
)
def test_files_that_hold_no_outlines_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "objects.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        read_outlines(path)
    assert str(path) in str(caught.value)
    with pytest.raises(ValueError, match="no file of outlines"):
        read_outlines(tmp_path / "missing.json")


def test_corners_may_be_fractions(tmp_path: Path) -> None:
    path = tmp_path / "objects.json"
    path.write_text(json.dumps({"a": {"size": [9, 7], "polygons": [[[0.5, 1], [4, 1.25], [4, 4]]]}}))
    assert read_outlines(path) == {"a": Outlines((7, 9), (((0.5, 1), (4, 1.25), (4, 4)),))}
