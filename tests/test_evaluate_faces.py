"""What retargeting does to faces that were drawn by hand: the exact map of a plan, and the command."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from checkouts import kept_figures, make_checkout
from drawn_photos import textured_photo
from PIL import Image

import evaluate_faces
from detection.faces import face_distortions, plan_all, plan_map
from dnr_jax import RetargetConfig, Weights, retarget
from dnr_jax.metrics import Registration, scaling_map

OPTIONS = RetargetConfig(
    taps=("block1_conv2", "block3_conv4"),
    keep=("objects",),
    importance_percentile=20,
    reconstruct_steps=0,
    refine_steps=0,
)


def test_the_map_of_a_plan_is_where_the_pixels_come_from(embedded: Weights) -> None:
    # Red tells each pixel's column and green its row, so that the result itself says where it comes from.
    rows, columns = np.mgrid[:64, :96]
    photo = np.stack([columns, rows, textured_photo(64, 96)[..., 2]], -1).astype(np.float32)
    target = (58, 72)
    (plan,) = plan_all(photo, [target], OPTIONS, embedded.network)
    assert plan.has_seams
    assert plan.mid != target
    places, result = plan_map(plan, OPTIONS), retarget(photo, target, OPTIONS, embedded)
    assert places.rows.shape == places.columns.shape == target
    np.testing.assert_allclose(places.columns, result.image[..., 0], atol=0.01)
    np.testing.assert_allclose(places.rows, result.image[..., 1], atol=0.01)


def test_scaling_distorts_by_its_logarithm_and_a_crop_not_at_all() -> None:
    faces = [[10, 20, 40, 50], [30, 70, 60, 90]]
    found = face_distortions(faces, (80, 100), scaling_map((80, 100), (80, 50)))
    assert found == pytest.approx([math.log(2)] * 2, abs=0.1)
    rows, columns = (each.astype(np.float32) for each in np.mgrid[:80, 60:100])
    assert face_distortions(faces, (80, 100), Registration(rows, columns)) == pytest.approx([math.log(4), 0])


def test_the_command_measures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkout = make_checkout(tmp_path, monkeypatch)
    Image.fromarray(textured_photo(64, 96)).save(tmp_path / "person.png")
    nothing = {"unsure_faces": [], "words": [], "unsure_words": []}
    entry = {"size": [64, 96], "faces": [[10, 30, 50, 70], [0, 0, 10, 10]], **nothing}
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps({"person": entry, "nobody": {**entry, "faces": []}}))
    options = "taps=block1_conv2+block3_conv4:importance_percentile=20:keep=objects"
    arguments = ["evaluate_faces", f"--photos={tmp_path}", f"--boxes={boxes}"]
    assert evaluate_faces.main([*arguments, f"--methods=dnr:{options},scl", "--widths=75", "--update_docs"]) == 0
    kept = kept_figures(checkout, "faces")
    assert kept["faces"] == kept["photos"] == 1
    assert kept["methods"]["scl"]["75"] == pytest.approx(-math.log(0.75), abs=0.1)
    assert 0 <= kept["methods"][f"dnr:{options}"]["75"] < math.log(4)
    printed = capsys.readouterr().out
    assert printed.splitlines()[0].split() == ["1", "faces", "of", "1", "photos", "75", "%"]
    for wrong, message in (
        (["--widths=0"], "give percents between 0 and 100"),
        (["--methods=caire"], "choose from dnr"),
    ):
        assert evaluate_faces.main([*arguments, *wrong]) == 2
        assert message in capsys.readouterr().err
    boxes.write_text(json.dumps({"nobody": {**entry, "faces": []}}))
    assert evaluate_faces.main(arguments) == 2
    assert "holds no face of 20 pixels" in capsys.readouterr().err
