"""Says what a run would do: in which buckets and batches, and about how long it would take."""

import time
from collections import Counter, defaultdict

import numpy as np

from dnr_jax.batch.buckets import Bucket, find_bucket
from dnr_jax.batch.devices import Devices, Shaped
from dnr_jax.batch.jobs import Batch, count_recorded, make_batches
from dnr_jax.batch.session import Session, open_jobs
from dnr_jax.batch.summary import show_seconds


def run_dry(session: Session) -> int:
    """Prints the plan to standard output and times one batch of noise to say how long it would take; returns 0."""
    jobs = open_jobs(session)
    devices = Devices(session.weights.network, session.request.config)
    batches = list(make_batches(jobs, session.request, devices.count))
    done, failed = count_recorded(jobs)
    todo = sum(len(batch.jobs) for batch in batches)
    share = "" if session.shard.count == 1 else f"shard {session.shard.index}/{session.shard.count}: "
    photos = len({job.entry.path for job in jobs})
    what = f"{len(jobs)} photos" if photos == len(jobs) else f"{len(jobs)} results of {photos} photos"
    print(f"{share}{what}: {todo} to do, {done} done before, {failed} failed before")
    groups: defaultdict[tuple[str, int], list[Batch]] = defaultdict(list)
    for batch in batches:
        if batch.bucket is not None:
            groups[str(batch.bucket), batch.size].append(batch)
    for (name, size), members in groups.items():
        photos = sum(len(batch.jobs) for batch in members)
        print(f"  bucket {name}: {photos} photos in {len(members)} batches of {size}")
    alone = Counter(batch.jobs[0].alone for batch in batches if batch.bucket is None and not batch.jobs[0].failure)
    for reason, count in sorted(alone.items()):
        print(f"  one at a time ({reason}): {count} photos")
    for batch in batches:
        for job in batch.jobs:
            if job.failure:
                print(f"  cannot be done: {job.failure}")
    if todo:
        print(_estimate(session, devices, batches))
    return 0


def _estimate(session: Session, devices: Devices, batches: list[Batch]) -> str:
    """Says about how long the batches take, from the time that one batch of noise takes here and now."""
    grouped = [batch for batch in batches if batch.bucket is not None]
    if grouped:
        common = Counter((batch.bucket, batch.size) for batch in grouped).most_common(1)[0][0]
        bucket, size = common
        assert bucket is not None
    else:
        side = session.weights.network.importance_side
        bucket, size = find_bucket((256, 256), (256, 192), importance_side=side, seams_only=False), devices.count
    rng = np.random.default_rng(0)
    photos = [
        Shaped(rng.uniform(0, 255, (*bucket.shape, 3 + bucket.opacity)).astype(np.float32), _change(bucket))
        for _ in range(size)
    ]
    start = time.perf_counter()
    devices.compile(bucket, size)
    compiling = time.perf_counter() - start
    devices.run(bucket, size, photos)
    per_pixel = devices.busy_seconds / (size * bucket.shape[0] * bucket.shape[1])
    pixels = sum(
        batch.jobs[0].pixels if batch.bucket is None else batch.size * batch.bucket.shape[0] * batch.bucket.shape[1]
        for batch in batches
    )
    programs = len({(batch.bucket, batch.size) for batch in grouped})
    total = programs * compiling + pixels * per_pixel
    return (
        f"about {show_seconds(total)}: {programs} programs to compile at {show_seconds(compiling)} each, and"
        f" {pixels / 1e6:.3g} megapixels with their padding at {per_pixel * 1e6:.3g} s a megapixel, as one batch of"
        f" {size} in bucket {bucket} took here"
    )


def _change(bucket: Bucket) -> tuple[int, int]:
    """A target (height, width) for a photo as large as its bucket: sides grow by a half or shrink to three quarters."""
    target: dict[str, int] = dict(zip(("height", "width"), bucket.shape, strict=True))
    for this in bucket.rounds:
        whole, most = bucket.shape[this.side == "width"], bucket.canvas[this.side == "width"]
        target[this.side] = min(most, 3 * whole // 2) if this.room else min(most, 3 * whole // 4)
    return target["height"], target["width"]
