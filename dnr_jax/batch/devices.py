"""Compiled programs on all local devices: the batch axis is sharded, and devices exchange nothing."""

import re
import time
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from dnr_jax.batch.buckets import Bucket, canvases_of
from dnr_jax.batch.program import Padded, Retargeted, retarget_padded
from dnr_jax.config import RetargetConfig
from dnr_jax.networks.network import Network
from dnr_jax.networks.u2net import SIDE
from dnr_jax.padding import traced_size
from dnr_jax.planning.importance import overview_size
from dnr_jax.planning.numbers import Numbers, traced_numbers
from dnr_jax.planning.reach import seam_target
from dnr_jax.program_limit import make_room, register
from dnr_jax.shapes import bucket_shape
from dnr_jax.sight import see


class Shaped(NamedTuple):
    """One photo for a batch.

    Attributes:
      pixels: uint8 or float32 [H, W, 3] in [0, 255]; where the bucket has opacity [H, W, 4], opacity in [0, 255] too.
      target: the (height, width) wanted.
      protect: bool [H, W], true for what is protected; None where the bucket has no masks.
    """

    pixels: np.ndarray
    target: tuple[int, int]
    protect: np.ndarray | None = None


class StepFailedError(RuntimeError):
    """Raised where the devices cannot run a batch, however small."""


class Devices:
    """Runs batches of photos on several devices of this process.

    Args:
      network: the feature network; every device gets a copy of its parameters.
      config: the options of the method, alike for all photos.
      devices: the JAX devices to use; None for all local ones.
      together: whether one device computes the photos of its share at once (`jax.vmap`) or, still in one program, one
        after the other (`jax.lax.map`). None: at once, except on CPUs, where one photo already keeps every core
        busy.

    Attributes:
      compile_seconds: how long each program took to compile, each time if more than once, by bucket and batch size.
      busy_seconds: how long devices ran programs, in all.
    """

    def __init__(
        self,
        network: Network,
        config: RetargetConfig,
        *,
        devices: Sequence[Any] | None = None,
        together: bool | None = None,
    ):
        self._config = config
        self._mesh = Mesh(np.asarray(jax.local_devices() if devices is None else devices), ("batch",))
        everywhere = NamedSharding(self._mesh, P())
        self._sharding = NamedSharding(self._mesh, P("batch"))
        self._network = jax.device_put(network.at_precision(config.precision), everywhere)
        self._numbers = jax.device_put(traced_numbers(config), everywhere)
        self._together = self._mesh.devices.flat[0].platform != "cpu" if together is None else together
        self._programs: dict[tuple[Bucket, int], Any] = {}
        self._most: dict[Bucket, int] = {}
        self._seen: list[tuple[weakref.ref[np.ndarray], np.ndarray]] = []
        self.compile_seconds: dict[tuple[Bucket, int], float] = {}
        self.busy_seconds = 0.0
        register(self)

    @property
    def count(self) -> int:
        """How many devices there are; batch sizes are multiples of it."""
        return self._mesh.size

    def run(self, bucket: Bucket, batch: int, photos: Sequence[Shaped]) -> list[tuple[Retargeted, float]]:
        """Retargets photos of one bucket in batches of `batch`, or smaller ones where the devices refuse that.

        Args:
          bucket: the bucket of all the photos.
          batch: the batch size, a multiple of the number of devices.
          photos: the photos, at least one.

        Returns:
          For each photo its result, as NumPy arrays and with the image cut to the target, and its share of the seconds
          that its batch took.

        Raises:
          StepFailedError: the devices refuse even the smallest batch.
        """
        results: list[tuple[Retargeted, float]] = []
        while len(results) < len(photos):
            size = min(batch, self._most.get(bucket, batch))
            part = photos[len(results) : len(results) + size]
            try:
                results += self._step(bucket, size, part)
            except (jax.errors.JaxRuntimeError, MemoryError) as error:
                smaller = size // 2 // self.count * self.count
                if not smaller:
                    raise StepFailedError(_reason(error)) from None
                self._most[bucket] = smaller
        return results

    def compile(self, bucket: Bucket, batch: int) -> Any:
        """The program of a bucket and batch size, compiled on first use and kept while there is room."""
        key = (bucket, batch)
        if key not in self._programs:
            make_room()
            start = time.perf_counter()
            one = partial(retarget_padded, config=self._config, bucket=bucket)
            if self._together:
                each = jax.vmap(one, in_axes=(None, 0, None))
            else:
                each = partial(_one_after_the_other, partial(one, canvases=canvases_of(bucket), apart=True))
            # Every device runs a loop of its own length: under plain jit they would agree on each step.
            apart = jax.shard_map(
                each, mesh=self._mesh, in_specs=(P(), P("batch"), P()), out_specs=P("batch"), check_vma=False
            )
            shapes = jax.tree.map(
                lambda array: jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=self._sharding),
                self._pad(bucket, batch, ()),
            )
            self._programs[key] = jax.jit(apart).lower(self._network, shapes, self._numbers).compile()
            self.compile_seconds[key] = self.compile_seconds.get(key, 0.0) + time.perf_counter() - start
        return self._programs[key]

    def drop_programs(self) -> None:
        """Lets go of all compiled programs; `compile` makes them again when they are needed."""
        self._programs.clear()

    def _step(self, bucket: Bucket, batch: int, photos: Sequence[Shaped]) -> list[tuple[Retargeted, float]]:
        """Runs one batch, of at most `batch` photos."""
        program = self.compile(bucket, batch)
        start = time.perf_counter()
        inputs = jax.block_until_ready(jax.device_put(self._pad(bucket, batch, photos), self._sharding))
        outputs = jax.block_until_ready(program(self._network, inputs, self._numbers))
        seconds = time.perf_counter() - start
        self.busy_seconds += seconds
        host = jax.device_get(outputs)
        return [(_cut(host, i, photo.target), seconds / len(photos)) for i, photo in enumerate(photos)]

    def _pad(self, bucket: Bucket, batch: int, photos: Sequence[Shaped]) -> Padded:
        """A full batch as NumPy arrays, [batch, ...] each; places without a photo hold a black one."""
        least = np.asarray([max(1, n // 2) for n in bucket.shape], np.int32)
        small = least if bucket.small is None else np.minimum(least, np.asarray(bucket.small, np.int32))
        fields: dict[str, Any] = {
            "photo": np.zeros((batch, *bucket.shape, 3), np.float32),
            "opacity": np.zeros((batch, *bucket.shape), np.float32) if bucket.opacity else None,
            "protect": np.zeros((batch, *bucket.shape), bool) if bucket.protected else None,
            "salience": np.zeros((batch, SIDE, SIDE), np.float32),
            "size": np.tile(least, (batch, 1)),
            "small": np.tile(small, (batch, 1)),
            "target": np.tile(least, (batch, 1)),
            "reach": np.tile(least, (batch, 1)),
        }
        side = self._network.importance_side
        for i, photo in enumerate(photos):
            height, width = size = (photo.pixels.shape[0], photo.pixels.shape[1])
            fields["photo"][i, :height, :width] = photo.pixels[..., :3]
            if bucket.opacity:
                fields["opacity"][i, :height, :width] = photo.pixels[..., 3] / 255
            if photo.protect is not None:
                fields["protect"][i, :height, :width] = photo.protect
            fields["size"][i], fields["target"][i] = size, photo.target
            fields["small"][i] = size if side is None else overview_size(size, side)
            fields["reach"][i] = seam_target(size, photo.target, self._config)
            if self._config.objects == "auto":
                # The array that a single photo lies in, whatever the steps of the buckets: networks see the same.
                held = tuple(map(min, bucket_shape(size), bucket.shape))
                padded = fields["photo"][i, : held[0], : held[1]]
                fields["salience"][i] = self._salience(photo.pixels, padded, size)
        return Padded(**fields)

    def _salience(self, pixels: np.ndarray, padded: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """What stands out in a photo, float32 [SIDE, SIDE]; looked for once, however many targets the photo has."""
        self._seen = [(photo, salience) for photo, salience in self._seen if photo() is not None]
        for photo, salience in self._seen:
            if photo() is pixels:
                return salience
        salience = see(jnp.asarray(padded), traced_size(size), self._config).salience
        self._seen.append((weakref.ref(pixels), salience))
        return salience


def loss_record(losses: np.ndarray, steps: int, stage: str) -> tuple[list[float], str]:
    """The losses of one photo's optimisation.

    Args:
      losses: float32 [capacity], before each step and after the last one; what comes after that is left aside.
      steps: how many steps the optimisation took.
      stage: what the optimisation is called in messages.

    Returns:
      The losses, `steps` + 1 of them, and an empty text; or, where one is not finite, no losses and a text that says
      at which step.
    """
    values = losses[: steps + 1]
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        step = int(bad[0])
        return [], f"the loss of the {stage} is {values[step]} at step {step}: lower its learning rate"
    return [float(value) for value in values], ""


def _one_after_the_other(
    one: Callable[[Network, Padded, Numbers], Retargeted], network: Network, photos: Padded, numbers: Numbers
) -> Retargeted:
    """Runs the program of one photo on each photo of a batch in turn."""
    return jax.lax.map(lambda photo: one(network, photo, numbers), photos)


def _cut(host: Retargeted, index: int, target: tuple[int, int]) -> Retargeted:
    """One photo's result out of a batch, its image cut to the target."""
    one = jax.tree.map(lambda array: array[index], host)
    return one._replace(image=np.ascontiguousarray(one.image[: target[0], : target[1]]))


def _reason(error: BaseException) -> str:
    """What went wrong on the devices, in one line."""
    if isinstance(error, MemoryError) or re.search(r"RESOURCE_EXHAUSTED|[Oo]ut of memory", str(error)):
        return "not enough memory on the device even for the smallest batch: scale the photo down"
    return " ".join(str(error).split())[:200]
