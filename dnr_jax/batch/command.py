"""Content-aware resizing of many photos: folders, globs, manifests; on all devices, on many machines.

  python -m dnr_jax.batch --input=photos --output_dir=narrow --width=75%

retargets every photo below the directory photos and mirrors its tree below narrow. Started again, it does only what is
missing or changed. --input also takes a quoted pattern ('photos/**/*.jpg'), a manifest (.jsonl or .csv with the columns
path and, where wanted, width, height, protect, remove, objects, output), or - for JSON lines on standard input.
--dry_run says what would be done.

  python -m dnr_jax.batch --input=photos --output_dir=posts --for=instagram,story --output_name='{target}/{name}'

makes several results of each photo, here in a folder for each use; --width, --height, --size and --aspect take lists as
in dnr_jax.resize. Every result has a record of its own, so that a target added later is all that is done then.

--shard=0/4 to --shard=3/4 on four machines share the work; under Slurm, Open MPI and on TPU pods the shards are found
by themselves; --engine=ray uses a Ray cluster. The exit code is 0 when every photo is done, 1 when some failed (they
are listed), 2 for bad input, 128 and a signal's number when that ended it: what is done is recorded, and the command
started again goes on from there.
"""

import contextlib
import io
import re
import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from absl import flags

from dnr_jax.batch.buckets import STEPS_PER_OCTAVE
from dnr_jax.photos import MAX_MEGAPIXELS, MOST_MEGAPIXELS
from dnr_jax.photos.encode import FORMATS
from dnr_jax.shell.command_line import run_command
from dnr_jax.shell.ending import end_process
from dnr_jax.shell.flags import (
    config_from_flags,
    define_method_flags,
    define_network_flags,
    define_size_flags,
    network_from_flags,
    size_arguments,
)
from dnr_jax.shell.targets import Asked, check_without_photo, list_targets

if TYPE_CHECKING:
    from dnr_jax.batch.entries import Naming

_EXAMPLE = "python -m dnr_jax.batch --input=photos --output_dir=narrow --width=75%"
_FORMATS = {extension[1:]: extension for extension in FORMATS}


def main(argv: Sequence[str]) -> int:
    """Runs the command; returns 0 for all done, 1 for failed photos, 2 for bad input, 128 and a signal's number."""
    return run_command(
        "dnr_jax.batch",
        argv,
        define_flags(),
        _run,
        text=__doc__,
        required=("input", "output_dir"),
        example=_EXAMPLE,
        interrupted="interrupted; what is finished is recorded, run again to go on",
    )


def define_flags() -> flags.FlagValues:
    """The command's flags; sizes, network and options of the method are those of `dnr_jax.resize`."""
    values = flags.FlagValues()
    text = {"flag_values": values, "module_name": "files"}
    flags.DEFINE_string(
        "input", None, "Directory, quoted pattern, .jsonl or .csv manifest, or - for JSON lines as they come.", **text
    )
    flags.DEFINE_string("output_dir", None, "Directory for results and records; made where it is not there.", **text)
    flags.DEFINE_string(
        "output_name",
        None,
        "Path of each result below that, without extension: {name} is the photo's, {target} the target's, as in"
        " {target}/{name}. Default: {name}, or of several targets {name}_{target}.",
        **text,
    )
    flags.DEFINE_enum("format", None, list(_FORMATS), "Format of all results. Default: each photo's own.", **text)
    flags.DEFINE_enum(
        "fallback_format",
        "png",
        [*_FORMATS, "none"],
        "Format of results whose photo's own cannot be written (TGA, PCX, AVIF and others); none: those fail.",
        **text,
    )
    flags.DEFINE_string("background", None, "Colour behind transparent photos where JPEG is written.", **text)
    flags.DEFINE_enum("frames", "refuse", ["refuse", "all"], "Animations: refuse, or retarget all frames.", **text)
    flags.DEFINE_float("max_megapixels", MAX_MEGAPIXELS, "Largest photo to decode.", **text)
    flags.DEFINE_string(
        "summary", None, "JSON file for the run's figures. Default: summary-*.json in the records' folder.", **text
    )
    flags.DEFINE_boolean("quiet", False, "No progress and no notes on stderr.", **text)
    flags.DEFINE_boolean("help", False, "Show this help.", short_name="h", **text)
    define_size_flags(values)
    define_network_flags(values)
    text["module_name"] = "how the work is done"
    flags.DEFINE_boolean("dry_run", False, "Say what would be done, in which buckets and how long it takes.", **text)
    flags.DEFINE_boolean("retry_failed", False, "Try photos that failed in an earlier run again.", **text)
    flags.DEFINE_boolean(
        "recheck", False, "Read finished photos again to see if they changed, whatever their size and time.", **text
    )
    flags.DEFINE_integer("batch_size", 8, "Most photos at a time on each device.", lower_bound=1, **text)
    flags.DEFINE_float(
        "batch_megapixels", 2.0, "Most padded megapixels at a time on each device; a photo may have more.", **text
    )
    flags.DEFINE_enum(
        "buckets_per_octave",
        "8",
        [str(n) for n in STEPS_PER_OCTAVE],
        "Padded sides from one power of two to the next: more pad less and compile more.",
        **text,
    )
    flags.DEFINE_integer(
        "workers", None, "Processes that decode and encode; 0 for none. Default: one for each core.", **text
    )
    text["module_name"] = "many machines"
    flags.DEFINE_string("shard", None, "This process's share of the photos, i/n from 0/n. Default: found out.", **text)
    flags.DEFINE_string("coordinator", None, "host:port of process 0, for jax.distributed.", **text)
    flags.DEFINE_integer("num_processes", None, "How many processes there are; with --coordinator.", **text)
    flags.DEFINE_integer("process_id", None, "This process's number, from 0; with --coordinator.", **text)
    flags.DEFINE_enum("engine", "local", ["local", "ray"], "This process's devices, or a Ray cluster's.", **text)
    flags.DEFINE_integer("ray_actors", None, "Actors on the Ray cluster. Default: one for each of its GPUs.", **text)
    define_method_flags(values)
    return values


def _run(options: dict[str, Any]) -> int:
    """Runs the command with the values of its flags; returns the exit code."""
    # All that needs no JAX is checked first.
    from dnr_jax.batch.entries import Extensions
    from dnr_jax.batch.hosts import Coordinator, parse_shard
    from dnr_jax.batch.jobs import Request
    from dnr_jax.batch.options import RunOptions
    from dnr_jax.photos.kinds import parse_background

    _check(options)
    targets = tuple(list_targets(size_arguments(options)))
    for asked in targets:
        check_without_photo(asked)
    config = config_from_flags(options)
    request = Request(
        config=config,
        targets=targets,
        output_dir=Path(options["output_dir"]),
        background=None if options["background"] is None else parse_background(options["background"]),
        frames=options["frames"],
        max_megapixels=options["max_megapixels"],
        per_octave=int(options["buckets_per_octave"]),
        batch_size=options["batch_size"],
        batch_megapixels=options["batch_megapixels"],
        retry_failed=options["retry_failed"],
        recheck=options["recheck"],
    )
    run_options = RunOptions(
        source=options["input"],
        network=network_from_flags(options),
        extensions=Extensions(_FORMATS.get(options["format"]), _FORMATS.get(options["fallback_format"])),
        naming=_naming(targets, options["output_name"]),
        summary=options["summary"],
        workers=options["workers"],
        shard=None if options["shard"] is None else parse_shard(options["shard"]),
        coordinator=Coordinator(options["coordinator"], options["num_processes"], options["process_id"]),
        engine=options["engine"],
        ray_actors=options["ray_actors"],
        dry_run=options["dry_run"],
        quiet=options["quiet"],
    )

    from dnr_jax.batch.session import open_session, run_local

    if run_options.quiet:
        with contextlib.redirect_stderr(io.StringIO()):
            session = open_session(run_options, request)
    else:
        session = open_session(run_options, request)
    from dnr_jax import compilation_cache

    compilation_cache.enable(programs=True)
    if run_options.dry_run:
        from dnr_jax.batch.dry_run import run_dry

        return run_dry(session)
    if run_options.engine == "ray":
        from dnr_jax.batch.ray_engine import run_ray

        return run_ray(session)
    return run_local(session)


def _naming(targets: Sequence[Asked], pattern: str | None) -> "Naming":
    """How results are named.

    Args:
      targets: the targets of the command.
      pattern: the value of --output_name; None where it is not given.

    Raises:
      ValueError: a pattern that would give two results one name, or that leaves the output directory.
    """
    from dnr_jax.batch.entries import Naming

    several = len(targets) > 1
    if pattern is None:
        pattern = "{name}_{target}" if several else "{name}"
    for place in re.findall(r"\{(\w*)\}", pattern):
        if place not in ("name", "target"):
            raise ValueError(f"--output_name has {{{place}}}: there are {{name}}, the photo's path, and {{target}}")
    for place, needed in (("{name}", True), ("{target}", several)):
        if needed and place not in pattern:
            raise ValueError(f"--output_name is {pattern!r}: put {place} into it, or results would share their files")
    if PurePosixPath(pattern).is_absolute() or ".." in PurePosixPath(pattern).parts:
        raise ValueError(f"--output_name is {pattern!r}, which leaves the output directory: give a path below it")
    return Naming(tuple(asked.name for asked in targets), pattern)


def _check(options: dict[str, Any]) -> None:
    """Raises ValueError for flags whose values are out of range or do not go together."""
    for name in ("batch_megapixels", "max_megapixels"):
        if not 0 < options[name] <= MOST_MEGAPIXELS:
            raise ValueError(f"--{name} is {options[name]}: give a number above 0, {MOST_MEGAPIXELS:.0f} at most")
    if options["workers"] is not None and options["workers"] < 0:
        raise ValueError(f"--workers is {options['workers']}: give 0 or more")
    together = [options[name] is None for name in ("coordinator", "num_processes", "process_id")]
    if any(together) and not all(together):
        raise ValueError("--coordinator, --num_processes and --process_id belong together: give all three or none")
    if options["shard"] is not None and (options["coordinator"] is not None or options["engine"] == "ray"):
        raise ValueError("--shard says which photos are this process's: leave out --coordinator and --engine=ray")
    if options["ray_actors"] is not None and (options["engine"] != "ray" or options["ray_actors"] < 1):
        raise ValueError("--ray_actors is a number of 1 or more, for --engine=ray")
    if options["input"] == "-" and (options["dry_run"] or options["engine"] == "ray"):
        raise ValueError("--input=- is read as it comes: save it as a .jsonl file for --dry_run and --engine=ray")


def run() -> None:
    """The entry point of the installed command."""
    end_process(main(sys.argv))
