"""Measured figures and the documents made from them: nothing is copied by hand, nothing tells whose machine it was."""

import json
from pathlib import Path

import pytest
from checkouts import make_checkout

import write_benchmarks
from measurements import sections, store
from measurements.documents import KINDS, between, documents
from measurements.plot import draw_bars

ROOT = Path(__file__).resolve().parents[1]
BATCH = {
    "speed": {
        "device": "A processor",
        "side": 256,
        "loop_photos_a_second": 2.0,
        "photos_a_second": {1: 2.1, 8: 2.2},
        "times_the_loop": {1: 1.05, 8: 1.1},
    },
    "shards": [{"shards": 2, "slowest_to_mean": 1.02, "work_to_ideal": 1.01}],
    "long_run": {"memory_ratio": 1.011},
    "estimates": [{"name": "a pod", "hours": 1.25, "assumptions": "batches of 16"}],
}
MEANS = {"auc_mean": [0.86, 0.8, 0.9], "shuffled_auc_mean": [0.8, 0.7, 0.9], "lost_75_mean": [0.05, 0.03, 0.07]}
FIGURES = {
    "objects": {
        "methods": {
            "dnr": {"saliency_discard_ratio": [0.1, 0.05, 0.2], "object_aspect_distortion": [0.12, None, None]},
            "published:sc": {"saliency_discard_ratio": [0.3, 0.2, 0.4], "object_aspect_distortion": [0.31, 0.2, 0.4]},
            "scl": {"saliency_discard_ratio": [0.35] * 3, "object_aspect_distortion": [0.45] * 3},
            "published:scl": {"saliency_discard_ratio": [0.36] * 3, "object_aspect_distortion": [0.46] * 3},
        }
    },
    "quality": {
        "methods": {
            name: {
                "semantic_score": [0.853, 0.8, 0.9],
                "bidirectional_similarity": [295.2, 280, 310],
                "aspect_ratio_similarity": [0.89, 0.8, 0.95],
                "seam_discontinuity": [0.00067, 0.0, 0.001],
            }
            for name in ("dnr", "sc")
        },
        "differences": {"sc": {"semantic_score": [0.02, 0.01, 0.03], "seam_discontinuity": [0.1, -0.1, 0.3]}},
        "score": "block5_conv1 of a network",
    },
    "ratios": {
        "ratios": {"1:1": {"dnr": {"saliency_discard_ratio": [0.1] * 3, "object_aspect_distortion": [0.2] * 3}}}
    },
    "near_joints": {
        "photos": {"a.jpg": {"difference": 0.05}, "b.jpg": {"difference": 0.21}},
        "ratio": {
            "reconstruction": {"everywhere": 0.4, "torch": 0.25},
            "end to end": {"everywhere": 0.45, "torch": 0.3},
        },
        "environment": {},
    },
    "new_size": {"warm process": {"seen": 2.0, "new": 2.1, "ratio": 1.05}, "environment": {}},
    "cost": {
        "seconds_per_megapixel": {"features": {"0.3": 1.5, "1.0": 1.6}},
        "largest_over_smallest": {"features": 1.07},
    },
    "speed": {
        "stages": {
            "end_to_end": {"dnr_jax": 1.0, "ratio": {"torch": 0.5, "torch_compile": None}},
            "all_seams": {"dnr_jax": 1.0, "ratio": {"seam_carving": 2.0}},
            "cold_start_vgg19": {"ratio": {"second_process": 0.48}},
        },
        "environment": {"device": "A processor", "size": [480, 640], "target": [480, 480]},
        "peak_gibibytes": 1.04,
    },
    "batch": BATCH,
    "importance": {"learned, 384 px": {**MEANS, "lost_50_mean": [0.2, None, None]}},
    "detectors": {"faces": {"all": {"found": 31, "drawn": 35, "false": 2, "photos": 62}}},
    "faces": {
        "faces": 35,
        "photos": 25,
        "methods": {"scl": {"75": 0.288, "50": 0.69}, "dnr": {"75": 0.01, "50": 0.08}},
    },
}


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make_checkout(tmp_path, monkeypatch)


def test_the_documents_are_those_that_the_measurements_make() -> None:
    found = store.read_all()
    assert {"objects", "speed"} <= set(found)
    for path, text in documents(found, ROOT).items():
        assert (ROOT / path).read_text() == text, f"{path}: run python scripts/write_benchmarks.py"


def test_every_measurement_is_kept_and_shown(checkout: Path) -> None:
    assert set(FIGURES) == set(KINDS)
    for kind, figures in FIGURES.items():
        store.record(
            kind, figures, ["scripts/measure.py", f"--photos={ROOT}/photos", "--vgg=/home/someone/vgg.h5,/b/c.h5"]
        )
    kept = json.loads((checkout / "docs/measurements/batch.json").read_text())
    assert kept["command"] == "python scripts/measure.py --photos=photos --vgg=vgg.h5,c.h5"
    assert "device" not in kept["figures"]["speed"]
    assert kept["figures"]["speed"]["side"] == 256
    assert "A processor" not in (checkout / "docs/measurements/speed.json").read_text()
    page = (checkout / "docs/pages/benchmarks.md").read_text()
    for kind in KINDS.values():
        assert f"\n## {kind.title}\n" in page
    for row in (
        "| dnr | 0.100 (0.050 to 0.200) | 0.120 |",
        "| sc | 85.3 (80.0 to 90.0) * | 295 (280 to 310) | 0.890 (0.800 to 0.950) | 0.67 (0.00 to 1.00) |",
        "| 1:1 | dnr | 0.100 (0.100 to 0.100) | 0.200 (0.200 to 0.200) |",
        "| features of the whole VGG19 | 1.500 | 1.600 | 1.07 |",
        "| end to end | 0.50 | no parity |  |",
        "| reconstruction | 0.40 | 0.25 |",
        "Mean grey levels between both ways, by photo: 0.05, 0.21.",
        "| warm process | 1.05 |",
        "| 8 | 2.2 | 1.10 |",
        "| learned, 384 px | 0.860 (0.800 to 0.900) | 0.800 (0.700 to 0.900) | 0.050 (0.030 to 0.070) | 0.200 |",
        "| faces | 0.89 (31 of 35), 0.03 false a photo |",
    ):
        assert f"\n{row}\n" in page, row
    readme = (checkout / "README.md").read_text()
    assert "| discarded | 0.10 | 0.30 | 0.35 |" in readme
    assert "| eager PyTorch | 0.50 |  |" in readme
    assert "<svg " in (checkout / "docs/pages/pictures/measured_speed.svg").read_text()


def test_a_later_measurement_replaces_an_earlier_one(checkout: Path) -> None:
    for found in (30, 31):
        store.record("detectors", {"faces": {"all": {"found": found, "drawn": 35, "false": 0, "photos": 1}}}, ["x.py"])
    page = (checkout / "docs/pages/benchmarks.md").read_text()
    assert "(31 of 35)" in page
    assert "(30 of 35)" not in page


def test_a_readme_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="0 places marked <!-- measured: speed -->"):
        between("no marks", "speed", "new")


def test_bars_are_as_long_as_their_values() -> None:
    picture = draw_bars({"dnr": 0.5, "a <b>": 2.0})
    assert 'width="80.0"' in picture
    assert 'width="320.0"' in picture
    assert "a &lt;b&gt;" in picture
    assert '<line x1="208.0"' in picture  # Half of the bars' length, beside labels of five letters.
    assert "<line" not in draw_bars({"dnr": 0.1, "sc": 0.3})


def test_bars_of_speed_leave_out_what_has_no_parity() -> None:
    assert sections.speed_bars(FIGURES["speed"]) == {
        "end to end / eager PyTorch": 0.5,
        "seams of all levels / seam-carving": 2.0,
    }


def test_the_command_writes_the_documents_of_the_checkout(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(write_benchmarks, "ROOT", checkout)
    store.record("cost", FIGURES["cost"], ["x.py"])
    (checkout / "docs/pages/benchmarks.md").unlink()
    assert write_benchmarks.main(["write_benchmarks"]) == 0
    assert "1.600" in (checkout / "docs/pages/benchmarks.md").read_text()
    assert write_benchmarks.main(["write_benchmarks", "stray"]) == 2
    assert "unexpected argument" in capsys.readouterr().err
