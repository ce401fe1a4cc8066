"""Animations keep their time: what is shown at every moment, durations in all, the number of runs."""

from collections.abc import Sequence

import numpy as np
import pytest

from dnr_jax.photos.decode import decode
from dnr_jax.photos.encode import encode_animation
from dnr_jax.photos.kinds import Animation, Kind

Picture = tuple[np.ndarray, np.ndarray | None]
SIZE = (8, 10)


def pool(kind: str, rng: np.random.Generator) -> list[Picture]:
    """Frames that are equal, that differ in colours, in a few pixels, or in transparency alone."""
    ground = np.broadcast_to(np.array([200, 40, 10], np.float32), (*SIZE, 3)).copy()
    pictures: list[Picture] = []
    for number in range(3):
        colours, alpha = ground.copy(), None
        if number:
            colours[number : number + 3, 2:5] = [10 * number, 200, 99]
        if kind != "opaque":
            least = 0.0 if kind == "clear" else 102 / 255
            alpha = np.where(rng.integers(0, 2, SIZE) == 0, least, 1).astype(np.float32)
        pictures.append((colours, alpha))
    if kind != "opaque":
        pictures += [(ground, pictures[1][1]), (ground, np.zeros(SIZE, np.float32))]
    return pictures


def shown(frames: Sequence[Picture], durations: Sequence[int], ground: float) -> list[tuple[int, np.ndarray]]:
    """(milliseconds, what is seen on a ground), with equal neighbours joined."""
    seen: list[tuple[int, np.ndarray]] = []
    for (colours, alpha), duration in zip(frames, durations, strict=True):
        weight = np.ones((*SIZE, 1)) if alpha is None else alpha[..., None]
        picture = np.rint(weight * colours + (1 - weight) * ground)
        if seen and (seen[-1][1] == picture).all():
            seen[-1] = seen[-1][0] + duration, picture
        elif duration:
            seen.append((duration, picture))
    return seen


@pytest.mark.parametrize(
    ("file_format", "kind"),
    [
        (name, kind)
        for name in ("PNG", "WEBP", "GIF")
        for kind in ("opaque", "clear", "half")
        if (name, kind) != ("GIF", "half")
    ],
)
def test_what_is_shown_when_stays(file_format: str, kind: str) -> None:
    rng = np.random.default_rng(7)
    moving = 0
    for _ in range(60):
        offered = pool(kind, rng)
        frames = [offered[number] for number in rng.integers(0, len(offered), rng.integers(2, 7))]
        durations = tuple(int(ms) for ms in rng.choice([0, 10, 40, 250, 70000], len(frames)))
        timing = Animation(durations, int(rng.integers(0, 4)))
        mode = "palette" if file_format == "GIF" else "rgb"
        data = encode_animation(frames, Kind(format=file_format, mode=mode, animation=timing), file_format)
        photo = decode(data, "photo", max_megapixels=1, frames="all")
        back = [(frame.straight, frame.alpha) for frame in photo.frames]
        if photo.kind.animation is None:
            assert len({picture.tobytes() for _, picture in shown(frames, [1] * len(frames), 0.0)}) == 1
            continue
        moving += 1
        assert sum(photo.kind.animation.durations) == sum(durations)
        assert photo.kind.animation.plays == timing.plays
        for ground in (0.0, 255.0):
            before, after = (
                shown(f, d, ground) for f, d in ((frames, durations), (back, photo.kind.animation.durations))
            )
            assert [ms for ms, _ in after] == [ms for ms, _ in before]
            for (_, seen), (_, wanted) in zip(after, before, strict=True):
                np.testing.assert_allclose(seen, wanted, atol=1)
    assert moving > 30
