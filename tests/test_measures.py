"""The measures of importance by cases worked out by hand, and the masks that they are taken against."""

import json
import math
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from checkouts import kept_figures, make_checkout

import evaluate_importance
from dnr_jax.evaluation.outlines import OUTLINES
from training.measures import bootstrap, load_masks, measure, object_lost, plain_area, roc_area, shuffled_area


def test_roc_area_counts_pairs() -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 4, 12).astype(float)  # With ties.
    ups, downs = rng.uniform(size=12), rng.uniform(size=12)
    expected = 0.0
    for i in range(12):
        for j in range(12):
            expected += ups[i] * downs[j] * (0.5 if values[i] == values[j] else float(values[i] > values[j]))
    assert roc_area(values, ups, downs) == pytest.approx(expected / (ups.sum() * downs.sum()))


def test_area_of_a_perfect_a_reversed_and_a_flat_map() -> None:
    mask = np.zeros((4, 6), bool)
    mask[1:3, 2:4] = True
    assert plain_area(mask.astype(float), mask) == 1
    assert plain_area(-mask.astype(float), mask) == 0
    assert plain_area(np.zeros(mask.shape), mask) == 0.5


def test_shuffling_takes_the_usual_place_out() -> None:
    mask, other = np.zeros((4, 8), bool), np.zeros((4, 8), bool)
    mask[:, 2:4] = True
    other[:, 4:6] = True  # The only place where another photo's object lies.
    values = np.zeros((4, 8))
    values[:, 2:6] = 1  # "Somewhere in the middle".
    assert plain_area(values, mask) == pytest.approx(1 - 0.5 * 8 / 24)
    assert shuffled_area(values, mask, [other]) == 0.5
    values[:, 4:6] = 0.5
    assert shuffled_area(values, mask, [other, mask]) == 1


def test_what_seams_take_of_the_object() -> None:
    values = np.zeros((5, 8))
    values[:, 3:5] = 10  # Two columns of importance, three to either side of none.
    object_ = np.zeros((5, 8), bool)
    object_[:, 3:5] = True
    assert object_lost(values, object_, 0.75) == 0
    assert object_lost(values, object_, 0.5) == 0
    assert object_lost(values, object_, 1 / 8) == 0.5
    aside = np.zeros((5, 8), bool)
    aside[:, 0] = aside[:, 4] = True
    assert object_lost(values, aside, 0.75) == 0.5  # The leftmost column goes first.


def test_all_measures_of_all_photos() -> None:
    masks = {name: np.zeros((6, 8), bool) for name in "ab"}
    masks["a"][2:4, 1:3] = masks["b"][2:4, 5:7] = True
    found = measure({name: mask.astype(float) for name, mask in masks.items()}, masks)
    assert found == {"auc": [1, 1], "shuffled_auc": [1, 1], "lost_75": [0, 0], "lost_50": [0, 0]}


def test_bootstrap_holds_the_mean_and_its_spread() -> None:
    values = np.random.default_rng(1).normal(5, 2, 400)
    mean, low, high = bootstrap(values.tolist())
    assert mean == pytest.approx(values.mean())
    assert high - low == pytest.approx(2 * 1.96 * values.std() / math.sqrt(400), rel=0.05)
    assert bootstrap([3.0, 3.0]) == (3, 3, 3)
    assert bootstrap([1.0, 2.0, 4.0]) == bootstrap([1.0, 2.0, 4.0])


def test_masks_are_drawn_to_scale(tmp_path: Path) -> None:
    path = tmp_path / "masks.json"
    square = [[10, 20], [49, 20], [49, 59], [10, 59]]
    path.write_text(json.dumps({"x": {"size": [100, 80], "polygons": [square, [[80, 0], [99, 0], [99, 9], [80, 9]]]}}))
    mask = load_masks(path, 50)["x"]
    assert mask.shape == (40, 50)
    assert mask.sum() == 20 * 20 + 10 * 5
    assert mask[10:30, 5:25].all()


def test_the_masks_of_the_benchmark_are_sound() -> None:
    entries = json.loads(OUTLINES.read_text())
    assert len(entries) == 22
    for name, mask in load_masks(OUTLINES, 192).items():
        width, height = entries[name]["size"]
        assert entries[name]["objects"]
        assert all(
            len(polygon) >= 3 and 0 <= x <= width and 0 <= y <= height
            for polygon in entries[name]["polygons"]
            for x, y in polygon
        )
        assert 0.02 < mask.mean() < 0.75, name


def test_boxes_and_masks_mark_the_same_things() -> None:
    boxes = json.loads((Path(__file__).parent / "data/object_boxes.json").read_text())
    entries = json.loads(OUTLINES.read_text())
    for name, entry in boxes.items():
        corners = np.concatenate([np.asarray(polygon) for polygon in entries[name]["polygons"]])
        ends = np.asarray(entry["boxes"])
        assert entries[name]["size"] == entry["size"]
        slack = 0.03 * max(entry["size"])
        np.testing.assert_allclose(corners.min(0), ends[:, :2].min(0), atol=slack, err_msg=name)
        np.testing.assert_allclose(corners.max(0), ends[:, 2:].max(0), atol=slack, err_msg=name)


@pytest.mark.slow
def test_the_script_measures_and_prints_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkout = make_checkout(tmp_path, monkeypatch)
    rng, entries = np.random.default_rng(0), {}
    for name in "ab":
        photo = rng.normal(100, 3, (64, 96, 3))
        left = 20 if name == "a" else 50
        photo[20:44, left : left + 24] += (90, -30, 40)
        PIL.Image.fromarray(np.clip(photo, 0, 255).astype(np.uint8)).save(tmp_path / f"{name}.png")
        corners = [[left, 20], [left + 23, 20], [left + 23, 43], [left, 43]]
        entries[name] = {"size": [96, 64], "polygons": [corners]}
    (tmp_path / "masks.json").write_text(json.dumps(entries))
    options = [f"--photos={tmp_path}", f"--masks={tmp_path / 'masks.json'}", "--sides=128"]
    more = ["--networks=again=analytic", f"--json={tmp_path / 'out.json'}", "--update_docs"]
    assert evaluate_importance.main(["evaluate_importance", *options, *more]) == 0
    lines = capsys.readouterr().out.splitlines()
    labels = ["gradient energy", "centre Gaussian", "analytic, 128 px", "learned, 128 px", "again, 128 px"]
    labels += ["salience", *(f"objects, {name}" for name in ("analytic", "learned", "again"))]
    labels += [f"deepest with objects, {name}" for name in ("analytic", "learned", "again")]
    assert [line[: evaluate_importance.LABEL].strip() for line in lines[1:]] == labels
    found = json.loads((tmp_path / "out.json").read_text())
    assert list(found) == labels
    kept = kept_figures(checkout, "importance")
    assert kept["again, 128 px"] == {key: value for key, value in found["again, 128 px"].items() if "_mean" in key}
    assert found["again, 128 px"] == found["analytic, 128 px"]
    assert found["analytic, 128 px"]["photos"] == ["a", "b"]
    for label in ("analytic, 128 px", "salience", "objects, analytic"):
        assert min(found[label]["auc"]) > 0.8, label
    assert found["deepest with objects, again"] == found["deepest with objects, analytic"]
    assert found["deepest with objects, analytic"]["auc"] != found["objects, analytic"]["auc"]
    mean, low, high = found["gradient energy"]["auc_mean"]
    assert low <= mean <= high
    (tmp_path / "b.png").unlink()
    assert evaluate_importance.main(["evaluate_importance", *options]) == 2
    assert "no photo b" in capsys.readouterr().err
