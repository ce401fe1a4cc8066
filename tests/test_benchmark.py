"""The benchmark: what it counts, what it writes, and that it gives no ratio without parity."""

import json
from pathlib import Path

import pytest

import run_benchmark
from benchmark import compare, cost, new_size, stages
from dnr_jax.weights import Weights


def test_stages_are_timed_and_steps_counted(
    small_vgg: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stages, "random_vgg19", lambda: small_vgg)
    written = tmp_path / "figures.json"
    assert run_benchmark.main(["benchmark", "--size=96x64", "--width=75%", "--repeats=2", f"--json={written}"]) == 0
    figures = json.loads(written.read_text())
    timed = figures["stages"]
    steps = {"reconstruct": 40, "refine": 20}
    assert set(timed) == {*stages.STAGES, *(f"{name}_step" for name in steps), "all_seams"}
    for name, count in steps.items():
        assert timed[f"{name}_step"]["steps"] == {"dnr_jax": count}
        assert timed[f"{name}_step"]["dnr_jax"] == pytest.approx(timed[name]["dnr_jax"] / count)
    for values in timed.values():
        least, most = values["spread"]["dnr_jax"]
        assert 0 < least <= values["dnr_jax"] <= most
        assert values["ratio"] == {}
    assert figures["environment"]["target"] == [64, 72]
    table = capsys.readouterr().out
    assert all(stage in table for stage in timed)


def test_no_ratio_without_parity(capsys: pytest.CaptureFixture[str]) -> None:
    seconds = {"dnr_jax": [1.0, 3.0, 2.0], "torch": [4.0, 4.0, 4.0], "lqr": [1.0, 1.0, 1.0]}
    parities = {"torch": {"ok": True}, "lqr": {"ok": False}}
    figures = compare.stage_figures(seconds, parities)
    assert figures["ratio"] == {"torch": 0.5, "lqr": None}
    assert figures["spread"]["dnr_jax"] == [1.0, 3.0]
    compare.print_table({"stages": {"features": figures}, "parity": parities, "environment": {}})
    table = capsys.readouterr().out
    assert "(0.50x)" in table
    assert "(no parity)" in table
    assert "parity with lqr: FAILED" in table


@pytest.mark.parametrize(
    "arguments",
    [
        ["--compare=caire"],
        ["--size=wide"],
        ["--size=64"],
        ["--repeats=0"],
        ["--megapixels=much"],
        ["--megapixels=nan"],
        ["--batch", "--batch_sizes=0"],
        ["--batch", "--plot=x.png"],
        ["--new_size", "--plot=x.png"],
        ["--new_size", "--size=33x33"],
        ["--near_joints=gone.jpg"],
        ["--json=gone/figures.json"],
        ["--update_docs"],
        ["stray"],
    ],
)
def test_bad_flags_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_benchmark.main(["benchmark", *arguments]) == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert err.startswith("benchmark: ")


@pytest.mark.slow
def test_cost_of_size(small_vgg: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "random_vgg19", lambda: small_vgg)
    figures = cost.cost_of_size([0.02, 0.03], 1)
    assert set(figures["seconds_per_megapixel"]) == {"features", "reconstruct_step"}
    for name, values in figures["seconds_per_megapixel"].items():
        assert list(values) == ["0.02", "0.03"]
        assert figures["largest_over_smallest"][name] == max(values.values()) / min(values.values())


def test_near_sizes_share_their_padded_shapes() -> None:
    assert new_size.near_sizes((480, 640), 480, 2) == [(480, 640, 480), (479, 639, 479), (478, 638, 478)]
    with pytest.raises(ValueError, match="leave no 1 smaller sizes"):
        new_size.near_sizes((481, 640), 480, 1)


@pytest.mark.slow
def test_a_new_size_compiles_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    figures = new_size.measure_new_size((64, 96), 72, 1)
    new_size.print_new_size(figures)
    printed = capsys.readouterr().out
    for kind in ("warm process", "new process, warm cache"):
        # What compiles takes ten times as long and more.
        assert figures[kind]["ratio"] < 3
        assert f"new size, {kind}: " in printed
