"""Content-aware resizing of one photo by reconstruction from deep features.

  python -m dnr_jax.resize --input=photo.jpg --output=out.png --width=75%

narrows photo.jpg to three quarters of its width. Objects keep their shape; what gives way is what the network finds
unimportant. --height lowers it; both together do both; sizes above 100% enlarge. --protect and --remove take masks.
"-" reads standard input or writes standard output. The first run at a new size takes about a minute, most of it for
compiling; the next one at about that size takes seconds.

  python -m dnr_jax.resize --input=photo.jpg --output=out.jpg --aspect=1:1,4:5,9:16

looks at the photo once and writes out_1x1.jpg, out_4x5.jpg and out_9x16.jpg. --width=75%,50%, --height and --size take
lists too; two lists of one length go together item by item. --for=instagram,story,youtube,x,open_graph makes the exact
pixels of these uses: the aspect by retargeting, the rest by plain scaling. In --output, {target}, {width} and {height}
stand for a target's name and pixels: --output='{target}/photo_{width}x{height}.jpg'. --record then holds a list.
"""

import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from absl import flags

from dnr_jax.atomic import check_folder
from dnr_jax.config import RetargetConfig
from dnr_jax.methods import NAMES, check_options, describe_methods
from dnr_jax.photos import MAX_MEGAPIXELS
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
from dnr_jax.shell.sizes import Target
from dnr_jax.shell.targets import (
    Asked,
    check_different,
    check_replaced,
    check_without_photo,
    list_targets,
    name_output,
    needs_pixels,
)

if TYPE_CHECKING:
    import numpy as np

    from dnr_jax.methods import Outcome
    from dnr_jax.photos.kinds import Photo

_EXAMPLE = "python -m dnr_jax.resize --input=photo.jpg --output=out.png --width=75%"


def main(argv: Sequence[str]) -> int:
    """Runs the command.

    Args:
      argv: the command line, program first.

    Returns:
      The exit code: 0 when the photo is done; 2 for bad input, which one line on stderr names with its remedy; 128 and
      a signal's number where a signal ended the command.
    """
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
        "output",
        None,
        "File to write; its extension says the format. - for standard output, as the input. With several targets each"
        " one's name goes before the extension, or where {target}, {width} or {height} stand.",
        **text,
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
    flags.DEFINE_float("max_megapixels", MAX_MEGAPIXELS, "Largest photo to decode.", **text)
    flags.DEFINE_string(
        "record",
        None,
        "JSON file to write what happened to: sizes, seams, losses, times; a list of several targets'.",
        **text,
    )
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
    """Runs the command with the values of its flags, once they are known to go together."""
    check_options(options)
    given = options["objects"] not in (None, "auto", "none")
    if given:
        check_nothing_is_looked_for(options, "beside a mask of objects, which replaces all that the networks see")
    _run(options, config_from_flags({**options, "objects": "auto" if given else options["objects"]}))


def _run(options: dict[str, Any], config: RetargetConfig) -> None:
    """Reads the photo, retargets it to every target, and writes results, pictures of stages and record."""
    # Photo files need no JAX, whose import takes a second or two: what can be refused without it is refused first.
    from dnr_jax.photos import files
    from dnr_jax.photos.kinds import frame_arrays, parse_background
    from dnr_jax.photos.scaling import scale_pixels

    background = None if options["background"] is None else parse_background(options["background"])
    wanted = list_targets(size_arguments(options))
    for asked in wanted:
        check_without_photo(asked)
    _check_outputs(options, wanted)
    photo = files.read_photo(options["input"], max_megapixels=options["max_megapixels"], frames=options["frames"])
    pieces = _name_pieces(options, wanted, photo, background)
    masks = _read_masks(options, photo)
    _note(options, *(f"{options['input']}: {note}" for note in photo.notes))
    _note(options, *(piece.target.note for piece in pieces if piece.target.note))

    from dnr_jax.methods import run_method

    targets = [piece.target.retargeted for piece in pieces]
    notes, records, marked = [], [], _describe_masks(options, masks)
    outcomes = run_method(options, frame_arrays(photo), targets, config, masks)
    for piece, outcome in zip(pieces, outcomes, strict=True):
        images = [scale_pixels(image, piece.target.written) for image in outcome.images]
        _write(piece.output, images, photo, background)
        _inspect(options, piece, outcome, photo, config, several=len(pieces) > 1)
        notes += [note for note in outcome.notes if note not in notes]
        records.append({"target": piece.asked.name, "output": piece.output, **outcome.record})
        records[-1] |= {"output_size": piece.target.written, "masks": marked}
    _note(options, *notes)
    if options["record"] is not None:
        content = records if len(pieces) > 1 else records[0]
        files.write_bytes(options["record"], json.dumps(content, indent=1).encode())


class _Piece(NamedTuple):
    """A target as it was asked for, what it is for the photo, and the file that its result goes to."""

    asked: Asked
    target: Target
    output: str


def _check_outputs(options: dict[str, Any], wanted: list[Asked]) -> None:
    """Raises ValueError for outputs that could not be written, as far as that shows before the photo is read."""
    from dnr_jax.photos import files

    pattern = options["output"]
    files.output_format(pattern)
    if options["record"] is not None:
        files.check_writable(options["record"])
    if len(wanted) > 1 and pattern == "-":
        raise ValueError("standard output holds one photo, not one for each target: give --output=out.jpg")
    if options["inspect_dir"] is not None:
        for asked in wanted:
            check_folder(_inspection_folder(options, asked, several=len(wanted) > 1))
    outputs = []
    if not needs_pixels(pattern):
        outputs = [name_output(pattern, asked, None, several=len(wanted) > 1) for asked in wanted]
    for output in outputs:
        files.check_writable(output)
    _check_replaced(options, outputs)


def _check_replaced(options: dict[str, Any], outputs: list[str]) -> None:
    """Raises ValueError where a result or the record would replace what is read, or each other."""
    inputs = {name: options[name] for name in ("input", "protect", "remove", "objects")}
    if inputs["objects"] in ("auto", "none"):
        del inputs["objects"]
    given = {name: path for name, path in inputs.items() if path not in (None, "-")}
    check_replaced(given, outputs, options["record"], overwrite=options["overwrite"])


def _name_pieces(
    options: dict[str, Any], wanted: list[Asked], photo: "Photo", background: tuple[int, int, int] | None
) -> list[_Piece]:
    """The targets of a photo and their files.

    Raises:
      ValueError: a target is out of reach, its file cannot hold the photo or is an input, or two have the same file.
    """
    from dnr_jax.photos import files
    from dnr_jax.photos.encode import check_output

    pieces = []
    for asked in wanted:
        target = asked.target(photo.size)
        output = name_output(options["output"], asked, target, several=len(wanted) > 1)
        files.check_writable(output)
        try:
            check_output(
                photo.kind, files.output_format(output, kind=photo.kind), background=background, size=target.written
            )
        except ValueError as error:
            raise ValueError(f"{output}: {error}") from None
        pieces.append(_Piece(asked, target, output))
    outputs = [piece.output for piece in pieces]
    check_different(outputs)
    _check_replaced(options, outputs)
    return pieces


def _read_masks(options: dict[str, Any], photo: "Photo") -> "dict[str, np.ndarray]":
    """The masks that the flags name: "protect" and "remove" as bool [H, W], "objects" as float32 [H, W] in [0, 1]."""
    from dnr_jax.photos import files

    most = options["max_megapixels"]
    masks = {
        name: files.read_mask(options[name], photo.size, max_megapixels=most)
        for name in ("protect", "remove")
        if options[name] is not None
    }
    if options["objects"] not in (None, "auto", "none"):
        masks["objects"] = files.read_objects(options["objects"], photo.size, max_megapixels=most)
    return masks


def _describe_masks(options: dict[str, Any], masks: "dict[str, np.ndarray]") -> dict[str, dict[str, str]]:
    """For the record, the file of each mask, which may be standard input, and the digest of its pixels."""
    return {
        name: {"file": options[name], "sha256": hashlib.sha256(mask.tobytes()).hexdigest()}
        for name, mask in masks.items()
    }


def _write(output: str, images: "list[np.ndarray]", photo: "Photo", background: tuple[int, int, int] | None) -> None:
    """Writes one result, float32 [H, W, 3 or 4] in [0, 255] for each frame, as the kind of file that the photo was."""
    from dnr_jax.photos import files
    from dnr_jax.photos.kinds import stored_pictures

    pictures = stored_pictures(images)
    if photo.kind.animation is not None:
        files.write_animation(output, pictures, photo.kind, background=background)
    else:
        pixels, alpha = pictures[0]
        files.write_photo(output, pixels, alpha=alpha, kind=photo.kind, background=background)


def _inspect(
    options: dict[str, Any], piece: _Piece, outcome: "Outcome", photo: "Photo", config: RetargetConfig, several: bool
) -> None:
    """Draws the stages of one target, where --inspect_dir is given."""
    if options["inspect_dir"] is None or outcome.result is None:
        return
    from dnr_jax.inspection import write_inspection

    folder = _inspection_folder(options, piece.asked, several=several)
    write_inspection(folder, photo.pixels, outcome.result, config)


def _inspection_folder(options: dict[str, Any], asked: Asked, *, several: bool) -> Path:
    """The folder for the stages of one target: --inspect_dir, or where there are several, one of its name in there."""
    folder = Path(options["inspect_dir"])
    return folder / asked.name if several else folder


def _note(options: dict[str, Any], *lines: str) -> None:
    """Prints lines to stderr, unless --quiet is given."""
    if not options["quiet"]:
        for line in lines:
            print(f"dnr_jax.resize: {line}", file=sys.stderr)


def run() -> None:
    """The entry point of the installed command."""
    end_process(main(sys.argv))


if __name__ == "__main__":
    run()
