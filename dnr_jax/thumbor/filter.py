"""A filter for thumbor, `dnr()`: retargets a photo to the aspect that the URL asks for, instead of cropping it.

In thumbor.conf: `FILTERS = BUILTIN_FILTERS + ["dnr_jax.thumbor.filter"]`; in a URL: /480x480/filters:dnr()/photo.jpg.
thumbor itself then scales the result to the exact pixels.
"""

import functools

import numpy as np
import PIL.Image
from thumbor.config import Config  # pyright: ignore[reportMissingImports]
from thumbor.filters import (  # pyright: ignore[reportMissingImports]
    PHASE_AFTER_LOAD,
    BaseFilter,
    filter_method,
)
from thumbor.utils import logger  # pyright: ignore[reportMissingImports]

from dnr_jax.config import PRESETS, preset_config
from dnr_jax.pipeline import retarget
from dnr_jax.shell.command_line import is_out_of_memory, one_line
from dnr_jax.shell.sizes import parse_target
from dnr_jax.weights import Weights
from dnr_jax.weights.load import load_chosen
from dnr_jax.weights.names import NetworkChoice

_EXPECTED = (ValueError, FloatingPointError, OSError)
"""What is raised for a photo, a target or a network that cannot be used; a network may be missing or not be fetched."""

Config.define("DNR_WEIGHTS", "auto", "Network of the dnr filter, as --weights of dnr_jax.resize has it.", "dnr_jax")
Config.define("DNR_PRESET", "fast", f"Options of the dnr filter: {', '.join(PRESETS)}.", "dnr_jax")


class Filter(BaseFilter):
    """Retargets a photo to the aspect of the URL's width and height, before thumbor would crop it."""

    phase = PHASE_AFTER_LOAD

    @filter_method()
    async def dnr(self) -> None:
        """Retargets the photo; where that is not possible, leaves it for thumbor to crop and logs the reason."""
        request, engine = self.context.request, self.engine
        if not request.width or not request.height:
            return  # One side alone asks for no other aspect.
        reason = _reason_against(request, engine)
        if reason:
            logger.warning("dnr() leaves %s to be cropped: %s", request.image_url, reason)
            return
        if self.context.config.RESPECT_ORIENTATION:
            engine.reorientate()
        wanted = [
            has if asked == "orig" else int(asked)
            for asked, has in zip((request.height, request.width), engine.size[::-1], strict=True)
        ]
        try:
            engine.image = await self.context.thread_pool.queue(
                _retarget, engine.image, (wanted[0], wanted[1]), self.context.config
            )
        except Exception as error:
            if not (isinstance(error, _EXPECTED) or is_out_of_memory(error)):
                raise
            logger.warning("dnr() leaves %s to be cropped: %s", request.image_url, one_line(error))


def _reason_against(request, engine) -> str:
    """Why the photo of a request cannot be retargeted; empty where it can."""
    if request.engine.is_multiple():  # Filters are run on its frames one by one, each with an engine of its own.
        return "it is an animation"
    if request.should_crop or request.trim is not None:
        return "the URL crops or trims it"
    if not isinstance(getattr(engine, "image", None), PIL.Image.Image):
        return "the engine is not thumbor.engines.pil"
    return ""


def _retarget(image: PIL.Image.Image, wanted: tuple[int, int], config: Config) -> PIL.Image.Image:
    """The photo in the aspect of (height, width) `wanted`, no larger than that size needs, with its metadata."""
    share = max(side / has for side, has in zip(wanted, image.size[::-1], strict=True))
    info = image.info
    if image.mode not in ("L", "RGB", "RGBA"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    if share < 1:  # What thumbor would scale away afterwards need not be retargeted.
        size = [max(1, round(share * side)) for side in image.size]
        image = image.resize((size[0], size[1]), PIL.Image.Resampling.LANCZOS)
    aspect = f"{wanted[1]}:{wanted[0]}"
    height, width = parse_target((image.height, image.width), aspect=aspect).retargeted
    result = retarget(np.asarray(image), (height, width), preset_config(config.DNR_PRESET), _load(config.DNR_WEIGHTS))
    retargeted = PIL.Image.fromarray(result.image)
    retargeted.info = info
    return retargeted


@functools.cache
def _load(name: str) -> Weights:
    """Loads a network once for the whole process."""
    return load_chosen(NetworkChoice(name=name, weights_dir=None, offline=None, quiet=True))
