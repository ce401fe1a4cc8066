"""The parts of a comparison: data sets, names of methods, intervals, tables."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from scipy.stats import beta, norm

from dnr_jax.config import RetargetConfig, preset_config
from dnr_jax.evaluation.dataset import Case, read_dataset
from dnr_jax.evaluation.measures import MEASURES, Judge
from dnr_jax.evaluation.rivals import parse_methods
from dnr_jax.evaluation.runs import Scored
from dnr_jax.evaluation.statistics import bootstrap_mean, vote_share
from dnr_jax.evaluation.tables import results_csv, summarise, summary_csv, summary_text
from dnr_jax.weights import Weights


def save(path: Path, size: tuple[int, int]) -> Path:
    """A grey picture of (height, width)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.new("RGB", (size[1], size[0]), "grey").save(path)
    return path


def test_the_official_layout_is_read(tmp_path: Path) -> None:
    save(tmp_path / "Obama/Obama.png", (40, 60))
    for name, width in (("sc", 45), ("cr", 45), ("warp", 44)):
        save(tmp_path / f"Obama/Obama_0.75_{name}.png", (40, width))
    save(tmp_path / "brick_house/brick_house.png", (40, 60))
    save(tmp_path / "brick_house/brick_house_0.75_sc.png", (40, 45))
    save(tmp_path / "brick_house/brick_house_0.50_sc.jpg", (40, 30))
    save(tmp_path / "alone/alone.jpg", (40, 60))
    save(tmp_path / "other/something.png", (40, 60))  # No photo of the folder's name: not of the data set.
    (tmp_path / "brick_house/notes.txt").write_text("")
    cases = {case.name: case for case in read_dataset(tmp_path)}
    assert list(cases) == ["Obama", "alone", "brick_house_0.50", "brick_house_0.75"]
    assert cases["Obama"].target == (40, 45)  # Two of three say so.
    assert list(cases["Obama"].published) == ["cr", "sc", "warp"]
    assert cases["brick_house_0.50"].target == (40, 30)
    assert cases["brick_house_0.50"].published == {"sc": tmp_path / "brick_house/brick_house_0.50_sc.jpg"}
    assert cases["alone"] == Case("alone", tmp_path / "alone/alone.jpg", None, {})


def test_the_layout_with_a_manifest_is_read(tmp_path: Path) -> None:
    for name, target in (("002", [45, 40]), ("001", [60, 20])):
        save(tmp_path / name / "src.jpg", (40, 60))
        save(tmp_path / name / "sc.jpg", (target[1], target[0]))
    entries = {name: {"source_size": [60, 40], "target_size": [45, 40]} for name in ("002", "001")}
    (tmp_path / "manifest.json").write_text(json.dumps(entries))
    cases = read_dataset(tmp_path)
    assert [case.name for case in cases] == ["001", "002"]
    assert cases[0] == Case("001", tmp_path / "001/src.jpg", (40, 45), {"sc": tmp_path / "001/sc.jpg"})


def test_the_shared_data_set_is_read(shared: Path) -> None:
    cases = read_dataset(shared / "data/retargetme")
    assert len(cases) == 22
    operators = ["cr", "multiop", "sc", "scl", "sm", "sns", "sv", "warp"]
    assert all([*case.published] == operators for case in cases)
    for case in cases:
        with PIL.Image.open(case.published["sc"]) as published:
            assert case.target == (published.height, published.width)


def test_data_sets_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no directory"):
        read_dataset(tmp_path / "missing")
    with pytest.raises(ValueError, match="holds no photos"):
        read_dataset(tmp_path)
    save(tmp_path / "a/a.png", (40, 60))
    (tmp_path / "a/a_0.75_sc.png").write_text("no picture")
    with pytest.raises(ValueError, match=r"a_0.75_sc.png cannot be read .*: restore or remove it"):
        read_dataset(tmp_path)
    for text in ("no JSON", '{"a": 3}', '{"a": {"target_size": [1]}}', "[1]", '{"a": {"target_size": [0, 4]}}'):
        (tmp_path / "manifest.json").write_text(text)
        with pytest.raises(ValueError, match=r"manifest.json cannot be read"):
            read_dataset(tmp_path)
    (tmp_path / "manifest.json").write_text('{"b": {"target_size": [4, 4]}}')
    with pytest.raises(ValueError, match=r"holds no src.jpg"):
        read_dataset(tmp_path)


@pytest.mark.parametrize(
    "name", ["../evil", "inside/../../evil", "inside/..", "/tmp/x", "", ".", "./inside", "inside/"]
)
def test_manifests_that_name_other_places_are_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "data"
    for place in ("data", "data/inside", "evil"):
        save(tmp_path / place / "src.jpg", (40, 60))
    (folder / "manifest.json").write_text(
        json.dumps({"inside": {"target_size": [4, 4]}, name: {"target_size": [4, 4]}})
    )
    with pytest.raises(ValueError, match=r"no plain path of a folder beside it: rename") as refused:
        read_dataset(folder)
    assert str(refused.value).startswith(f"{folder / 'manifest.json'} names {name!r}, ")
    assert "\n" not in str(refused.value)


def test_a_manifest_may_name_folders_in_folders(tmp_path: Path) -> None:
    save(tmp_path / "set/..a/src.jpg", (40, 60))
    (tmp_path / "manifest.json").write_text('{"set/..a": {"target_size": [30, 40]}}')
    (case,) = read_dataset(tmp_path)
    assert case == Case("set/..a", tmp_path / "set/..a/src.jpg", (40, 30), {})


CASES = [Case("a", Path("a"), None, {"sc": Path("a"), "cr": Path("a")}), Case("b", Path("b"), None, {"sv": Path("b")})]


def test_methods_by_name() -> None:
    methods = parse_methods("dnr,scl,published:sv,dnr:alpha=0.2:taps=block1_conv2+block3_conv4,published,dnr", CASES)
    names = [
        "dnr",
        "scl",
        "published:sv",
        "dnr:alpha=0.2:taps=block1_conv2+block3_conv4",
        "published:cr",
        "published:sc",
    ]
    assert [method.name for method in methods] == names
    assert methods[0].config == RetargetConfig()
    assert methods[1].operator == "scl"
    assert methods[2].published == "sv"
    assert methods[3].config == RetargetConfig(alpha=0.2, taps=("block1_conv2", "block3_conv4"))
    assert methods[3].slug == "dnr_alpha-0.2_taps-block1_conv2+block3_conv4"
    (fast,) = parse_methods("dnr:preset=fast:refine_steps=3:loss_weights=1+0.5", [])
    assert fast.config == preset_config("fast", refine_steps=3, loss_weights=(1.0, 0.5))
    (chosen,) = parse_methods("dnr:importance_percentile=auto", [])
    assert chosen.config == RetargetConfig(importance_percentile="auto")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nothing", "'nothing': choose from dnr, .*scl.*published:cr"),
        ("published:warp", "published:warp: the data set has cr, sc, sv"),
        ("scl:alpha=1", "choose from"),
        ("dnr:alpha", "'alpha' is no option"),
        ("dnr:beta=1", "'beta=1' is no option"),
        ("dnr:alpha=x", "'x' is no value for alpha"),
        ("dnr:alpha=2", "alpha is 2.0: it must be"),
        ("dnr:preset=none", "preset is 'none'"),
        ("", "choose from"),
    ],
)
def test_methods_that_do_not_exist_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_methods(text, CASES)
    with pytest.raises(ValueError, match="no published results"):
        parse_methods("published", [])


def test_bootstrap_covers_as_the_normal_interval_does() -> None:
    values = np.random.default_rng(0).normal(5, 2, 200)
    found = bootstrap_mean(values, 1)
    assert found.value == pytest.approx(values.mean())
    half = norm.ppf(0.975) * values.std() / np.sqrt(200)
    np.testing.assert_allclose(found[1:3], [values.mean() - half, values.mean() + half], atol=0.03)
    assert found == bootstrap_mean(values, 1)
    assert found != bootstrap_mean(values, 2)
    # Of two numbers every resample's mean is one of three.
    assert bootstrap_mean(np.array([0.0, 1.0, np.nan]), 0) == (0.5, 0.0, 1.0, 2)
    single = bootstrap_mean(np.array([3.0]), 0)
    assert (single.value, single.total) == (3, 1)
    assert np.isnan(single.low)
    assert np.isnan(bootstrap_mean(np.array([]), 0).value)
    assert bootstrap_mean(np.array([2.0, 2.0]), 0) == (2, 2, 2, 2)


def test_binomial_intervals_are_the_textbooks() -> None:
    # The paper's 55.5 % of 889 votes.
    votes, total, z = 493, 889, norm.ppf(0.975)
    share = votes / total
    centre = (share + z**2 / (2 * total)) / (1 + z**2 / total)
    half = z / (1 + z**2 / total) * np.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    np.testing.assert_allclose(vote_share(votes, total), np.array([share, centre - half, centre + half, total]))
    exact = (float(beta.ppf(0.025, votes, total - votes + 1)), float(beta.ppf(0.975, votes + 1, total - votes)))
    np.testing.assert_allclose(vote_share(votes, total, method="exact"), np.array([share, *exact, total]), rtol=1e-6)
    assert vote_share(0, 0)[1:] == (0, 1, 0)


def outcome(photo: str, method: str, value: float) -> Scored:
    values = {measure.key: value for measure in MEASURES}
    seconds = float("nan") if method.startswith("published") else 1.5
    return Scored(photo, method, Path("x.png"), None, (40, 45), seconds, values)


@pytest.fixture
def judge(embedded: Weights) -> Judge:
    return Judge(embedded, "block5_conv1")


def test_tables_hold_means_and_paired_differences(judge: Judge) -> None:
    outcomes = [outcome(photo, "dnr", value) for photo, value in (("a", 0.5), ("b", 0.7), ("c", 0.9))]
    outcomes += [outcome(photo, "published:sc", value) for photo, value in (("a", 0.4), ("b", 0.6))]
    summaries = summarise(outcomes, 0)
    assert summaries[0].means["semantic_score"].value == pytest.approx(0.7)
    assert summaries[0].differences == {}
    # Only the photos that both have count: the difference is 0.1 on each, and certain.
    difference = summaries[1].differences["semantic_score"]
    np.testing.assert_allclose(difference, [-0.1, -0.1, -0.1, 2])

    rows = list(csv.DictReader(io.StringIO(results_csv(outcomes, judge))))
    assert len(rows) == 5
    assert rows[3]["method"] == "published:sc"
    assert (rows[0]["width"], rows[0]["height"], rows[0]["seconds"], rows[3]["seconds"]) == ("45", "40", "1.5", "")
    assert float(rows[3]["semantic_score"]) == 0.4
    assert {(row["score_weights"], row["score_tap"]) for row in rows} == {("embedded", "block5_conv1")}
    assert {row["score_of_table_1"] for row in rows} == {"no"}

    summary = list(csv.DictReader(io.StringIO(summary_csv(summaries, judge))))
    assert len(summary) == 3 * len(MEASURES)
    assert {row["score_weights"] for row in summary if row["measure"] == "semantic_score"} == {"embedded"}

    text = summary_text(summaries, judge)
    assert "not the paper's, not comparable with its Table 1" in text
    assert "semantic score (embedded)" in text
    assert "CR 68 %" not in text
    assert "-10.0 % [-10.0 %, -10.0 %]" in text


def test_table_1_stands_beside_scores_of_its_kind_alone(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    summaries = summarise([outcome("a", "dnr", 0.5)], 0)
    monkeypatch.setattr("dnr_jax.metrics.is_papers_score", lambda weights, tap: True)
    assert "CR 68 %" in summary_text(summaries, judge)
    assert "CR 68 %" not in summary_text(summaries, Judge(judge.weights, judge.tap, scale=0.5))


def test_a_judge_needs_its_tap(small_vgg: Weights) -> None:
    params = {name: arrays for name, arrays in small_vgg.network.params.items() if name[5] in "123"}
    shallow = small_vgg._replace(network=small_vgg.network.replace(params=params))
    with pytest.raises(ValueError, match="block5_conv1 needs layers"):
        Judge(shallow, "block5_conv1")
    with pytest.raises(ValueError, match="unknown tap"):
        Judge(small_vgg, "block9")
    assert Judge(shallow, "block3_conv4").taps == ("block1_conv2", "block2_conv2", "block3_conv4")
    assert shallow.network.sha256 != small_vgg.network.sha256 == small_vgg.network.sha256
