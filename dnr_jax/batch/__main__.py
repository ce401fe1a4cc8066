"""Content-aware resizing of many photos: folders, globs, manifests; on all devices, on many machines.

  python -m dnr_jax.batch --input=photos --output_dir=narrow --width=75%

retargets every photo below the directory photos and mirrors its tree below narrow. Started again, it does only what is
missing or changed. --input also takes a quoted pattern ('photos/**/*.jpg'), a manifest (.jsonl or .csv with the columns
path and, where wanted, width, height, protect, remove, output), or - for JSON lines on standard input. --dry_run says
what would be done. --shard=0/4 to --shard=3/4 on four machines share the work; under Slurm, Open MPI and on TPU pods
the shards are found by themselves; --engine=ray uses a Ray cluster. The exit code is 0 when every photo is done, 1
when some failed (they are listed), 2 for bad input, 128 and a signal's number when that ended it: what is done is
recorded, and the command started again goes on from there.
"""

from dnr_jax.batch.command import run

if __name__ == "__main__":
    run()
