"""Moving pictures: whole frames, their timing, and back without jitter."""

import io
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from photo_files import noise, picture, stored

from dnr_jax.photos.animation import palette_image
from dnr_jax.photos.files import read_photo, write_animation
from dnr_jax.photos.kinds import Kind, Photo

DURATIONS = [100, 40, 250]


def frames() -> list[np.ndarray]:
    """Three pictures of a few flat colours in which a square moves."""
    result = []
    for step in range(3):
        image = np.full((24, 40, 3), (20, 120, 200), np.uint8)
        image[:, 20:] = (240, 240, 10)
        image[6:14, 4 + 10 * step : 12 + 10 * step] = (200, 20, 20)
        result.append(image)
    return result


def moving(folder: Path, name: str, images: list[np.ndarray], **options: object) -> Path:
    rest = [PIL.Image.fromarray(image) for image in images[1:]]
    file_format = {"gif": "GIF", "webp": "WEBP", "png": "PNG", "avif": "AVIF"}[name.rsplit(".")[-1]]
    settings = {"save_all": True, "append_images": rest, "duration": DURATIONS, **options}
    return stored(folder, name, images[0], file_format, **settings)


def pictures(photo: Photo) -> list[tuple[np.ndarray, np.ndarray | None]]:
    return [(frame.straight, frame.alpha) for frame in photo.frames]


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png", "a.avif"])
def test_animations_are_refused_unless_asked_for(tmp_path: Path, name: str) -> None:
    path = moving(tmp_path, name, frames())
    with pytest.raises(ValueError, match=rf"{name} is an animation of 3 frames: ask for --frames=all"):
        read_photo(path)
    photo = read_photo(path, frames="all")
    assert photo.kind.animation is not None
    assert photo.kind.animation.durations == tuple(DURATIONS)
    assert len(photo.frames) == 3
    assert photo.size == (24, 40)


@pytest.mark.parametrize("name", ["a.gif", "a.png"])
@pytest.mark.parametrize("output", ["b.gif", "b.png", "b.webp"])
def test_frames_are_whole_and_come_back_exactly(tmp_path: Path, name: str, output: str) -> None:
    if name == "a.gif" or output != "b.gif":
        photo = read_photo(moving(tmp_path, name, frames()), frames="all")
    else:
        images = [PIL.Image.fromarray(image).quantize(4) for image in frames()]
        settings = {"save_all": True, "append_images": images[1:], "duration": DURATIONS}
        photo = read_photo(stored(tmp_path, name, images[0], "PNG", **settings), frames="all")
    for frame, image in zip(photo.frames, frames(), strict=True):
        np.testing.assert_array_equal(frame.pixels, image)
        assert frame.alpha is None
    write_animation(tmp_path / output, pictures(photo), photo.kind)
    again = read_photo(tmp_path / output, frames="all")
    most = 5 if (name, output) == ("a.png", "b.webp") else 0  # True colour goes to WebP with loss.
    for frame, image in zip(again.frames, frames(), strict=True):
        assert abs(frame.pixels - image).mean() <= most
    assert again.kind.animation == photo.kind.animation


@pytest.mark.parametrize(
    ("loop", "plays"), [({}, 1), ({"loop": 0}, 0), ({"loop": 1}, 2), ({"loop": 4}, 5)], ids=["once", "ever", "2", "5"]
)
def test_the_number_of_runs_survives_between_formats(tmp_path: Path, loop: dict[str, int], plays: int) -> None:
    photo = read_photo(moving(tmp_path, "a.gif", frames(), **loop), frames="all")
    for name in ("b.gif", "b.webp", "b.png"):
        write_animation(tmp_path / name, pictures(photo), photo.kind)
        kind = read_photo(tmp_path / name, frames="all").kind
        assert kind.animation is not None
        assert kind.animation.plays == plays


def test_gif_rounds_the_sum_of_durations_not_each(tmp_path: Path) -> None:
    path = moving(tmp_path, "a.webp", frames(), duration=[33, 33, 34], lossless=True)
    photo = read_photo(path, frames="all")
    assert photo.kind.animation is not None
    assert photo.kind.animation.durations == (33, 33, 34)
    with pytest.raises(ValueError, match=r"b\.gif: GIF holds 256 colours"):
        write_animation(tmp_path / "b.gif", pictures(photo), photo.kind)
    gif = read_photo(moving(tmp_path, "c.gif", frames()), frames="all")
    kind = Kind(format="GIF", mode="palette", palettes=gif.kind.palettes, animation=photo.kind.animation)
    write_animation(tmp_path / "b.gif", pictures(gif), kind)
    written = read_photo(tmp_path / "b.gif", frames="all").kind.animation
    assert written is not None
    assert written.durations == (30, 40, 30)


@pytest.mark.parametrize("output", ["b.gif", "b.png", "b.webp"])
def test_transparent_animations_keep_their_holes(tmp_path: Path, output: str) -> None:
    images = []
    for step, image in enumerate(frames()):
        alpha = np.full((24, 40, 1), 255, np.uint8)
        alpha[16:, 5 * step : 5 * step + 9] = 0
        images.append(np.concatenate([image, alpha], -1))
    photo = read_photo(moving(tmp_path, "a.gif", images, disposal=2), frames="all")
    assert photo.kind.transparent
    write_animation(tmp_path / output, pictures(photo), photo.kind)
    again = read_photo(tmp_path / output, frames="all")
    for frame, image in zip(again.frames, images, strict=True):
        assert frame.alpha is not None
        np.testing.assert_array_equal(frame.alpha * 255, image[..., 3])
        shown = image[..., 3] == 255
        np.testing.assert_array_equal(frame.pixels[shown], image[..., :3][shown])
        assert (frame.pixels[~shown] == 128).all()
    write_animation(tmp_path / output, pictures(photo), photo.kind, background=(255, 255, 255))
    again = read_photo(tmp_path / output, frames="all")
    assert not again.kind.transparent
    assert (again.frames[1].pixels[20, 6] == 255).all()


def test_unchanged_parts_of_frames_are_whole(tmp_path: Path) -> None:
    first = PIL.Image.fromarray(frames()[0]).quantize(8)
    patch = PIL.Image.new("P", (40, 24), 0)
    patch.putpalette([0, 0, 0, 255, 255, 255])
    patch.paste(1, (30, 2, 34, 6))
    settings = {"save_all": True, "append_images": [patch], "duration": 50, "transparency": 0, "disposal": 1}
    rgba = PIL.Image.fromarray(np.zeros((24, 40, 4), np.uint8))
    rgba.paste((255, 255, 255, 255), (30, 2, 34, 6))
    settings["append_images"] = [rgba]
    del settings["transparency"]
    photo = read_photo(stored(tmp_path, "a.gif", first, "GIF", **settings), frames="all")
    expected = frames()[0].copy()
    expected[2:6, 30:34] = 255
    np.testing.assert_array_equal(photo.frames[1].pixels, expected)


def test_the_stand_in_of_a_png_is_no_frame(tmp_path: Path) -> None:
    path = moving(tmp_path, "a.png", [noise((24, 40, 3)), *frames()], default_image=True)
    photo = read_photo(path, frames="all")
    assert len(photo.frames) == 3
    np.testing.assert_array_equal(photo.pixels, frames()[0])


def test_grey_animations_stay_grey(tmp_path: Path) -> None:
    photo = read_photo(moving(tmp_path, "a.png", [image[..., 0] for image in frames()]), frames="all")
    assert photo.kind.mode == "grey"
    write_animation(tmp_path / "b.png", pictures(photo), photo.kind)
    with PIL.Image.open(tmp_path / "b.png") as image:
        assert image.mode == "L"


def test_pages_and_previews_are_no_animation(tmp_path: Path) -> None:
    image = PIL.Image.fromarray(picture())
    pages = stored(tmp_path, "a.tif", image, "TIFF", save_all=True, append_images=[image])
    with pytest.raises(ValueError, match="2 pages"):
        read_photo(pages, frames="all")
    phone = stored(tmp_path, "a.jpg", image, "MPO", save_all=True, append_images=[image.resize((8, 8))])
    photo = read_photo(phone)
    assert (photo.kind.format, len(photo.frames), photo.size) == ("JPEG", 1, (24, 40))


def test_a_long_animation_is_refused_before_decoding(tmp_path: Path) -> None:
    path = moving(tmp_path, "a.gif", frames())
    assert len(read_photo(path, frames="all", max_megapixels=0.00096).frames) == 3
    many = moving(tmp_path, "b.gif", [*frames(), *frames()], duration=50)
    with pytest.raises(
        ValueError, match=r"b\.gif holds 6 frames of 40x24, .*0\.00384 megapixels .* raise --max_megapixels"
    ):
        read_photo(many, frames="all", max_megapixels=0.00096)


def test_a_frame_of_too_many_colours_gets_256(tmp_path: Path) -> None:
    colours = noise((32, 32, 3)).astype(np.float32)
    alpha = np.ones((32, 32), np.float32)
    alpha[:4] = 0
    for hole in (None, alpha):
        image = palette_image(colours, hole, None)
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        assert len(image.getcolors() or []) <= 256
        with PIL.Image.open(buffer) as again:
            shown = np.asarray(again.convert("RGBA"))
        assert ((shown[..., 3] == 0) == (0 if hole is None else hole == 0)).all() or hole is None
        assert abs(shown[8:, :, :3].astype(float) - colours[8:]).mean() < 40


def test_frames_must_fit_the_timing(tmp_path: Path) -> None:
    photo = read_photo(moving(tmp_path, "a.gif", frames()), frames="all")
    with pytest.raises(ValueError, match="2 frames do not fit"):
        write_animation(tmp_path / "b.gif", pictures(photo)[:2], photo.kind)
    with pytest.raises(ValueError, match=r"JPEG cannot hold an animation"):
        write_animation(tmp_path / "b.jpg", pictures(photo), photo.kind)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.gif"]
