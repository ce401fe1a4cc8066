"""The filter and the detector in a real thumbor, asked over HTTP; the rectangles that they need without it."""

import io
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from batch_photos import environment
from drawn_photos import disc_aspect, disc_photo, textured_photo

from dnr_jax.config import preset_config
from dnr_jax.photos.files import write_image
from dnr_jax.pipeline import retarget
from dnr_jax.thumbor.focal_points import Focus, find_focal_points, surround
from dnr_jax.weights import Weights

APART = "thumbor asks for an older Pillow than this environment has: CONTRIBUTING.md says how to test it"
CONFIGURATION = """
from thumbor.filters import BUILTIN_FILTERS
LOADER = "thumbor.loaders.file_loader"
FILE_LOADER_ROOT_PATH = {photos!r}
STORAGE = "thumbor.storages.no_storage"
ALLOW_UNSAFE_URL = True
ALLOW_ANIMATED_GIFS = True
UPSCALE = True
FILTERS = BUILTIN_FILTERS + ["dnr_jax.thumbor.filter"]
DETECTORS = ["dnr_jax.thumbor.detector"]
DNR_WEIGHTS = "embedded"
"""

Ask = Callable[[str], np.ndarray]


def test_rectangles_surround_what_stands_out() -> None:
    salience = np.zeros((32, 32), np.float32)
    assert surround(salience, (64, 128)) == []
    salience[4:12, 8:12] = 1
    salience[20:24, 20:28] = 2
    salience[0, 31] = 0.6  # Less than a hundredth of all.
    salience[30, 0] = 0.4
    found = surround(salience, (64, 128))
    assert [focus[:4] for focus in found] == [(80, 40, 32, 8), (32, 8, 16, 16)]
    assert found[0].weight == pytest.approx(64 / 96.6)
    assert sum(focus.weight for focus in found) < 1


def test_the_disc_is_a_focal_point() -> None:
    config = preset_config("default", keep=("objects",))
    (focus,) = find_focal_points(disc_photo(), config=config)
    assert isinstance(focus, Focus)
    centre = focus.left + focus.width / 2, focus.top + focus.height / 2
    assert abs(centre[0] - 110) < 8
    assert abs(centre[1] - 96) < 8
    assert 70 < focus.width < 110


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Asks a thumbor for the photo of a path, as uint8 [H, W, C]."""
    pytest.importorskip("thumbor", reason=APART)
    folder = tmp_path_factory.mktemp("thumbor")
    write_image(folder / "disc.png", disc_photo())
    write_image(folder / "noise.png", textured_photo(64, 96))
    PIL.Image.fromarray(textured_photo(64, 96)[..., 0]).save(folder / "grey.png")
    turned = PIL.Image.fromarray(disc_photo()).transpose(PIL.Image.Transpose.ROTATE_90)
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    turned.save(folder / "turned.jpg", exif=exif, quality=95)
    frames = [PIL.Image.fromarray(textured_photo(40, 60, seed)).quantize(64) for seed in (1, 2)]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:])
    (folder / "thumbor.conf").write_text(CONFIGURATION.format(photos=str(folder)) + "RESPECT_ORIENTATION = True\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (folder / "log").open("w+")
    command = [sys.executable, "-m", "thumbor.server", "--ip=127.0.0.1", f"--port={port}", "--log-level=warning"]
    server = subprocess.Popen(
        [*command, f"--conf={folder / 'thumbor.conf'}"],
        env=environment(Path(os.environ["JAX_COMPILATION_CACHE_DIR"])),
        stdout=log,
        stderr=log,
    )

    def ask(path: str) -> np.ndarray:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{port}/{urllib.parse.quote(path, safe='/():,')}", timeout=600
        ) as answer:
            return np.asarray(PIL.Image.open(io.BytesIO(answer.read())))

    try:
        end = time.monotonic() + 120
        while time.monotonic() < end and server.poll() is None:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/healthcheck", timeout=5).close()
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        else:
            log.seek(0)
            pytest.fail(f"thumbor did not start: {log.read()[-2000:]}")
        yield ask
    finally:
        server.terminate()
        server.wait(20)
        log.close()


@pytest.mark.slow
def test_the_filter_retargets_what_thumbor_would_crop(ask: Ask, embedded: Weights) -> None:
    found = ask("unsafe/64x64/filters:dnr()/noise.png")
    expected = retarget(textured_photo(64, 96), (64, 64), preset_config("fast"), embedded).image
    np.testing.assert_array_equal(found, expected)
    cropped = ask("unsafe/64x64/noise.png")
    np.testing.assert_array_equal(cropped, textured_photo(64, 96)[:, 16:80])
    assert (found != cropped).any()


@pytest.mark.slow
def test_the_filter_keeps_an_object_and_scales_the_rest(ask: Ask) -> None:
    for path, size in (("96x128", (128, 96)), ("192x384", (384, 192))):
        image = ask(f"unsafe/{path}/filters:dnr()/disc.png")
        assert image.shape == (*size, 3)
        assert abs(np.log(disc_aspect(image))) < 0.08


@pytest.mark.slow
def test_grey_and_turned_photos(ask: Ask) -> None:
    assert ask("unsafe/64x64/filters:dnr()/grey.png").shape == (64, 64)
    image = ask("unsafe/192x192/filters:dnr():format(png)/turned.jpg")
    assert image.shape == (192, 192, 3)
    assert abs(np.log(disc_aspect(image))) < 0.08


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [
        "64x0/filters:dnr()/noise.png",  # Another size, not another aspect.
        "10x10:50x40/20x10/filters:dnr()/noise.png",
        "6x64/filters:dnr()/noise.png",  # Less than 10 % of the width.
        "30x30/filters:dnr()/moving.gif",
    ],
)
def test_where_the_filter_has_no_say_thumbor_does_as_ever(ask: Ask, path: str) -> None:
    np.testing.assert_array_equal(ask(f"unsafe/{path}"), ask(f"unsafe/{path.replace('filters:dnr()/', '')}"))


@pytest.mark.slow
def test_the_detector_moves_the_crop_to_the_object(ask: Ask) -> None:
    def has_disc(image: np.ndarray) -> float:
        return float((image[..., 0].astype(float) - image[..., 1] > 50).mean())

    smart, plain = ask("unsafe/90x192/smart/disc.png"), ask("unsafe/90x192/disc.png")
    assert smart.shape == plain.shape == (192, 90, 3)
    assert abs(disc_aspect(smart) - 1) < 0.03, "the disc is whole"
    assert has_disc(smart) > has_disc(plain)
