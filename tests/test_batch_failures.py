"""What fails in a run of many photos fails by itself: bad photos, too little memory, a loss that diverges."""

from pathlib import Path

import jax
import numpy as np
import pytest
from batch_photos import tiny_photo, write_photos
from batch_runs import SIZES, Finished, assert_near, run

from dnr_jax.batch.devices import Devices
from dnr_jax.photos.files import write_photo

pytestmark = pytest.mark.slow


def test_bad_photos_are_listed_and_the_run_goes_on(
    forty: tuple[Path, Path, Finished], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, output, _ = forty
    write_photos(tmp_path / "in", SIZES[:3])
    (tmp_path / "in/bad.jpg").write_bytes(b"no photo")
    (tmp_path / "in/cut.png").write_bytes((source / "set1/p001.png").read_bytes()[:900])
    (tmp_path / "in/gone.png").symlink_to(tmp_path / "nowhere.png")
    write_photo(tmp_path / "in/huge.png", tiny_photo(60, 60, 0))
    args = [f"--input={tmp_path / 'in'}", "--max_megapixels=0.0035", "--batch_size=1"]
    first = run(tmp_path / "out", *args)
    printed = capsys.readouterr().out
    assert first.code == 1
    assert (first["photos"]["done"], first["photos"]["failed"]) == (3, 4)
    reasons = {failure["output"]: failure["reason"] for failure in first["failures"]}
    assert "no image that can be read" in reasons["bad.jpg"]
    assert "damaged" in reasons["cut.png"]
    assert "no such file" in reasons["gone.png"]
    assert "0.0035 megapixels" in reasons["huge.png"]
    assert all(f"failed: {reason}" in printed for reason in reasons.values())
    assert_near(tmp_path / "out", output)

    second = run(tmp_path / "out", *args)
    assert second.code == 1
    assert second["photos"] == {"done": 0, "failed": 0, "skipped": 3, "skipped_failed_before": 4}
    assert "--retry_failed" in capsys.readouterr().out

    (tmp_path / "in/bad.jpg").unlink()
    write_photo(tmp_path / "in/bad.jpg", tiny_photo(*SIZES[0], seed=0))  # Mended: its record no longer holds.
    third = run(tmp_path / "out", *args)
    assert (third.code, third["photos"]["done"], third["photos"]["skipped_failed_before"]) == (1, 1, 3)
    for name in ("cut.png", "gone.png", "huge.png"):
        (tmp_path / "in" / name).unlink()
    write_photo(tmp_path / "in/cut.png", tiny_photo(*SIZES[0], seed=0))
    last = run(tmp_path / "out", *args, "--retry_failed")
    assert (last.code, last["photos"]["done"], last["photos"]["skipped"]) == (0, 1, 4)
    # A limit fails photos, and redoes none that is done.
    args = [f"--input={tmp_path / 'in'}", "--max_megapixels=0.001", "--batch_size=1"]
    stricter = run(tmp_path / "out", *args)
    assert (stricter.code, stricter["photos"]["skipped"], stricter["photos"]["failed"]) == (0, 5, 0)
    write_photo(tmp_path / "in/cut.png", tiny_photo(*SIZES[1], seed=3))
    failed_again = run(tmp_path / "out", *args)
    assert (failed_again.code, failed_again["photos"]["skipped"], failed_again["photos"]["failed"]) == (1, 4, 1)


def test_a_refused_batch_is_halved_until_it_runs(
    forty: tuple[Path, Path, Finished], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, output, _ = forty
    tried = []
    compile_program = Devices.compile

    def refuse(most: int, self: Devices, bucket: object, batch: int) -> object:
        tried.append(batch)
        if batch > most:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate")
        return compile_program(self, bucket, batch)  # type: ignore[arg-type]

    args = [f"--input={source}/set0/p00*.png"]
    monkeypatch.setattr(Devices, "compile", lambda *a: refuse(1, *a))
    figures = run(tmp_path / "out", *args)
    assert (figures.code, figures["photos"]["done"]) == (0, 5)
    assert tried == [5, 2, 1, 1, 1, 1, 1]
    assert_near(tmp_path / "out", output / "set0")
    monkeypatch.setattr(Devices, "compile", lambda *a: refuse(0, *a))
    figures = run(tmp_path / "none", *args)
    assert (figures.code, figures["photos"]["failed"]) == (1, 5)
    assert "not enough memory on the device" in figures["failures"][0]["reason"]


def test_a_diverging_photo_fails_by_itself(
    forty: tuple[Path, Path, Finished], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, _, _ = forty
    step = Devices._step

    calls = []

    def spoil(self: Devices, *args: object) -> list:
        ((result, seconds),) = step(self, *args)  # type: ignore[arg-type]
        calls.append(result)
        losses = np.where(np.arange(len(result.reconstruct_losses)) == 1, np.nan, result.reconstruct_losses)
        return [(result._replace(reconstruct_losses=losses) if len(calls) == 2 else result, seconds)]

    monkeypatch.setattr(Devices, "_step", spoil)
    figures = run(tmp_path / "out", f"--input={source}/set0/p00[024].png", "--batch_size=1")
    assert (figures.code, figures["photos"]["done"]) == (1, 2)
    assert "the loss of the reconstruction is nan at step 1" in figures["failures"][0]["reason"]
