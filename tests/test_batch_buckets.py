"""Padded shapes, batch sizes and shares of the work: arithmetic only."""

import threading
from pathlib import Path

import numpy as np
import pytest

from dnr_jax.batch.buckets import STEPS_PER_OCTAVE, Bucket, canvases_of, find_bucket, spread
from dnr_jax.batch.entries import Entry
from dnr_jax.batch.hosts import MOST_BALANCED, Shard, deal, is_many_processes, parse_shard, take_shard
from dnr_jax.planning.importance import overview_size
from dnr_jax.shapes import Round, bucket_side


@pytest.mark.parametrize("per_octave", STEPS_PER_OCTAVE)
def test_bucket_sides_hold_their_photos_and_are_few(per_octave: int) -> None:
    sides = [bucket_side(n, per_octave=per_octave) for n in range(1, 4097)]
    assert all(side >= n and side % 32 == 0 for n, side in enumerate(sides, 1))
    assert sides == sorted(sides)
    # Padding is at most one step: a share of 1 / per_octave of the octave below, or 32 pixels.
    assert all(side - n < max(32, n / per_octave) for n, side in enumerate(sides, 1))
    assert len(set(sides)) <= 7 * per_octave + 1


def test_a_bucket_follows_from_the_photo_alone() -> None:
    one = find_bucket((300, 500), (300, 400), importance_side=384, seams_only=False)
    assert one == find_bucket((310, 510), (310, 333), importance_side=384, seams_only=False)
    assert (one.shape, one.canvas, one.rounds) == ((320, 512), (320, 512), (Round("width", 0),))
    seams = find_bucket((300, 500), (200, 400), importance_side=None, seams_only=True)
    assert (seams.canvas, seams.small) == ((224, 416), None)
    assert seams.rounds == (Round("width", 0), Round("height", 0))
    assert find_bucket((64, 64), (64, 64), importance_side=None, seams_only=False).rounds == ()
    # The warp ends beyond where the seams may lead.
    wider = find_bucket((300, 500), (300, 1000), target=(330, 1100), importance_side=None, seams_only=False)
    assert (wider.canvas, wider.rounds) == ((352, 1152), (Round("width", 768), Round("width", 1024)))
    assert str(seams) == "512x320 width+height on 416x224"


@pytest.mark.parametrize("per_octave", [1, 4, 16])
def test_the_small_view_of_every_photo_fits_its_bucket(per_octave: int) -> None:
    rng = np.random.default_rng(0)
    sizes = [(int(h), int(w)) for h, w in np.exp(rng.uniform(np.log(32), np.log(3000), (4000, 2)))]
    sizes += [(h, w) for h in (32, 33, 63, 64, 65, 96, 97, 128, 129) for w in range(32, 700)]
    for size in sizes:
        small = find_bucket(size, size, importance_side=384, seams_only=False, per_octave=per_octave).small
        seen = overview_size(size, 384)
        assert small is not None
        assert seen[0] <= small[0] <= 384
        assert seen[1] <= small[1] <= 384


@pytest.mark.parametrize(
    ("count", "most", "multiple", "expected"),
    [
        (11, 8, 1, 6),
        (3, 8, 1, 3),
        (16, 8, 1, 8),
        (17, 8, 1, 6),
        (9, 7, 1, 3),
        (3, 8, 8, 8),
        (20, 16, 8, 8),
        (1, 1, 1, 1),
        (5, 3, 2, 2),
    ],
)
def test_batches_are_spread_evenly(count: int, most: int, multiple: int, expected: int) -> None:
    size = spread(count, most, multiple=multiple)
    assert size == expected
    assert size % multiple == 0
    assert size <= max(most, multiple)
    empty = -count % size
    assert all(-count % (multiple * n) >= empty for n in range(max(1, most // multiple // 2), most // multiple + 1))


@pytest.mark.parametrize("shards", [1, 2, 4, 8])
def test_shards_are_even(shards: int) -> None:
    costs = np.random.default_rng(1).lognormal(0, 0.7, 1000)
    owners = np.asarray(deal(list(costs), shards))
    loads = np.bincount(owners, costs, shards)
    assert np.isclose(loads.sum(), costs.sum())
    assert loads.max() <= 1.01 * loads.mean()
    assert np.ptp(np.bincount(deal([0] * 1000, shards), minlength=shards)) <= 1


def entries_of(count: int) -> list[Entry]:
    return [Entry(f"{i}.jpg", f"{i}.jpg") for i in range(count)]


def test_every_entry_is_in_one_shard_even_where_hosts_see_other_sizes(tmp_path: Path) -> None:
    entries, rng = entries_of(100), np.random.default_rng(0)
    results: list[list[Entry]] = [[] for _ in range(4)]

    def host(index: int) -> None:
        costs = [int(cost) for cost in rng.integers(1, 100, 100)]  # Each host another list.
        results[index] = take_shard(entries, Shard(index, 4), tmp_path, lambda _: costs)

    threads = [threading.Thread(target=host, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(entry for result in results for entry in result) == sorted(entries)
    assert not list((tmp_path / ".dnr-batch").glob("*.tmp"))
    assert take_shard(entries, Shard(0, 1), tmp_path, lambda _: []) == entries


def test_long_lists_are_dealt_in_turn_without_opening_a_file(tmp_path: Path) -> None:
    entries = entries_of(MOST_BALANCED + 3)

    def refuse(_: object) -> list[int]:
        raise AssertionError("measured")

    shards = [take_shard(entries, Shard(index, 3), tmp_path, refuse) for index in range(3)]
    assert sorted(map(len, shards)) == [16667, 16668, 16668]
    assert set().union(*shards) == set(entries)


def test_shards_as_written() -> None:
    assert parse_shard("2/4") == Shard(2, 4)
    for text in ("4/4", "1", "a/b", "-1/2", "1/0", "1/2/3", ""):
        with pytest.raises(ValueError, match="--shard is"):
            parse_shard(text)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"SLURM_NTASKS": "4", "SLURM_PROCID": "0"}, True),
        ({"SLURM_NTASKS": "1", "SLURM_PROCID": "0"}, False),
        ({"SLURM_NTASKS": "4"}, False),
        ({"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1"}, True),
        ({"TPU_WORKER_HOSTNAMES": "a,b"}, True),
        ({"TPU_WORKER_HOSTNAMES": "a"}, False),
    ],
)
def test_launchers_are_recognised(environment: dict[str, str], expected: bool) -> None:
    assert is_many_processes(environment) is expected


def test_canvases_rise_to_the_bucket_s() -> None:
    wide = Bucket((64, 256), (64, 256), None, (Round("width", 0),))
    assert canvases_of(wide) == ((64, 128), (64, 192), (64, 224), (64, 256))
    assert canvases_of(wide._replace(canvas=(64, 192))) == ((64, 192),)  # Seams alone.
    wider = wide._replace(canvas=(64, 384), rounds=(Round("width", 384),))
    assert canvases_of(wider) == ((64, 384),)
    both = Bucket((128, 64), (128, 64), None, (Round("width", 0), Round("height", 0)))
    assert canvases_of(both) == ((96, 64), (128, 64))
