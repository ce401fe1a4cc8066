"""Content-aware resizing of one photo by reconstruction from deep features.

  python -m dnr_jax.resize --input=photo.jpg --output=out.png --width=75%

narrows photo.jpg to three quarters of its width. Objects keep their shape; what gives way is what the network finds
unimportant. --height lowers it; both together do both; sizes above 100% enlarge. --protect and --remove take masks.
"-" reads standard input or writes standard output. The first run at a new size spends some seconds compiling.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from dnr_jax.config import RetargetConfig
from dnr_jax.methods import NAMES, check_options, describe_methods
from dnr_jax.shell.command_line import run_command
from dnr_jax.shell.ending import end_process
from dnr_jax.shell.flags import (
    check_nothing_is_looked_for,
    config_from_flags,
    define_method_flags,
    define_network_flags,
    define_size_flags,
    size_arguments,
)
from dnr_jax.shell.sizes import parse_target

if TYPE_CHECKING:
    from dnr_jax.photos.kinds import Photo

_EXAMPLE = "python -m dnr_jax.resize --input=photo.jpg --output=out.png --width=75%"


def main(argv: Sequence[str]) -> int:
    """Runs the command; returns the exit code: 0 done, 2 bad input (one line on stderr says what and the remedy),
    128 and a signal's number where that ended it."""
    return run_command(
        "dnr_jax.resize",
        argv,
        define_flags(),
        _check_and_run,
        text=__doc__,
        required=("input", "output"),
        example=_EXAMPLE,
        interrupted="interrupted; no file is left half-written",
    )


def define_flags() -> flags.FlagValues:
    """The command's flags: files and sizes, and one for every option of `RetargetConfig` under its name."""
    values = flags.FlagValues()
    text = {"flag_values": values, "module_name": "files"}
    flags.DEFINE_string(
        "input", None, "Photo to retarget, of any kind that Pillow reads; - for standard input.", **text
    )
    flags.DEFINE_string(
        "output", None, "File to write; its extension says the format. - for standard output, as the input.", **text
    )
    flags.DEFINE_boolean("overwrite", False, "Allow the output to replace the input.", **text)
    flags.DEFINE_string("protect", None, "Mask of the photo's size: what is white keeps its shape.", **text)
    flags.DEFINE_string("remove", None, "Mask of the photo's size: what is white disappears.", **text)
    flags.DEFINE_string(
        "objects",
        None,
        "What counts as an object: auto (what a small salience network sees), none (nothing beyond the feature network"
        " itself), or a grey mask of the photo's size, whiter where it matters more. Default: auto.",
        **text,
    )
    flags.DEFINE_string("background", None, "Colour behind a transparent photo where JPEG is written.", **text)
    flags.DEFINE_enum("frames", "refuse", ["refuse", "all"], "Animations: refuse, or retarget all frames.", **text)
    flags.DEFINE_float("max_megapixels", 25.0, "Largest photo to decode.", **text)
    flags.DEFINE_string("record", None, "JSON file to write what happened to: sizes, seams, losses, times.", **text)
    flags.DEFINE_string(
        "inspect_dir", None, "Directory for pictures of every stage and a page that shows them.", **text
    )
    flags.DEFINE_boolean("quiet", False, "No progress and no notes on stderr.", **text)
    flags.DEFINE_boolean("help", False, "Show this help.", short_name="h", **text)
    flags.DEFINE_enum("method", "dnr", list(NAMES), f"What retargets: {describe_methods()}.", **text)
    define_size_flags(values)
    define_network_flags(values)
    define_method_flags(values)
    return values


def _check_and_run(options: dict[str, Any]) -> None:
    check_options(options)
    given = options["objects"] not in (None, "auto", "none")
    if given:
        check_nothing_is_looked_for(options, "beside a mask of objects, which replaces all that the networks see")
    _run(options, config_from_flags({**options, "objects": "auto" if given else options["objects"]}))


def _run(options: dict[str, Any], config: RetargetConfig) -> None:
    # Photo files need no JAX, whose import takes a second or two: what can be refused without it is refused first.
    from dnr_jax.photos import files
    from dnr_jax.photos.encode import check_output
    from dnr_jax.photos.kinds import frame_arrays, parse_background

    background = None if options["background"] is None else parse_background(options["background"])
    files.output_format(options["output"])  # An unknown extension is refused before anything is read.
    for path in (options["output"], options["record"]):
        if path is not None:
            files.check_writable(path)
    _check_distinct(options)
    photo = files.read_photo(options["input"], max_megapixels=options["max_megapixels"], frames=options["frames"])
    target = parse_target(photo.size, **size_arguments(options))
    output_format = files.output_format(options["output"], photo.kind)
    try:
        check_output(photo.kind, output_format, background, (target.height, target.width))
    except ValueError as error:
        raise ValueError(f"{options['output']}: {error}") from None
    masks = {
        name: files.read_mask(options[name], photo.size, max_megapixels=options["max_megapixels"])
        for name in ("protect", "remove")
        if options[name] is not None
    }
    if options["objects"] not in (None, "auto", "none"):
        masks["objects"] = files.read_objects(options["objects"], photo.size, max_megapixels=options["max_megapixels"])
    _note(options, *(f"{options['input']}: {note}" for note in photo.notes), *([target.note] if target.note else []))

    from dnr_jax.methods import run_method

    outcome = run_method(options, frame_arrays(photo), (target.height, target.width), config, masks)
    _note(options, *outcome.notes)
    _write(options["output"], outcome.images, photo, background)
    if options["inspect_dir"] is not None and outcome.result is not None:
        from dnr_jax.inspection import write_inspection

        write_inspection(Path(options["inspect_dir"]), photo.pixels, outcome.result, config)
    if options["record"] is not None:
        files.write_bytes(options["record"], json.dumps(outcome.record, indent=1).encode())


def _check_distinct(options: dict[str, Any]) -> None:
    """Refuses an output that is one of the inputs, unless it may replace them."""
    output = options["output"]
    for name in ("input", "protect", "remove", "objects"):
        source = options[name]
        if source is None or "-" in (source, output) or options["overwrite"]:
            continue
        if Path(output).exists() and Path(source).exists() and Path(output).samefile(source):
            raise ValueError(f"{output} is the {name} as well: give --overwrite to replace it, or another name")


def _write(output: str, images: list[Any], photo: "Photo", background: tuple[int, int, int] | None) -> None:
    from dnr_jax.photos import files
    from dnr_jax.photos.kinds import stored_pictures

    pictures = stored_pictures(images)
    if photo.kind.animation is not None:
        files.write_animation(output, pictures, photo.kind, background=background)
    else:
        files.write_photo(output, *pictures[0], photo.kind, background=background)


def _note(options: dict[str, Any], *lines: str) -> None:
    if not options["quiet"]:
        for line in lines:
            print(f"dnr_jax.resize: {line}", file=sys.stderr)


def run() -> None:
    """The entry point of the installed command."""
    end_process(main(sys.argv))


if __name__ == "__main__":
    run()
