"""A detector for thumbor: focal points from the objects, faces and words that the small networks see.

In thumbor.conf: `DETECTORS = ["dnr_jax.thumbor.detector"]`; it works for URLs with /smart/.
"""

import numpy as np
from thumbor.detectors import BaseDetector  # pyright: ignore[reportMissingImports]
from thumbor.point import FocalPoint  # pyright: ignore[reportMissingImports]

from dnr_jax.thumbor.focal_points import find_focal_points


class Detector(BaseDetector):
    """Finds what a photo is of; passes the photo on to thumbor's next detector where that is nothing."""

    async def detect(self) -> None:
        """Adds a focal point for each rectangle of `find_focal_points`, with its weight."""
        image = self.context.request.engine.image
        pixels = np.asarray(image.convert("RGB"))
        found = await self.context.thread_pool.queue(find_focal_points, pixels)
        for left, top, width, height, weight in found:
            point = FocalPoint.from_square(left, top, width, height, origin="dnr")
            # thumbor keeps whole numbers of what it stores.
            point.weight = max(1, round(1000 * weight))
            self.context.request.focal_points.append(point)
        if not found:
            await self.next()
