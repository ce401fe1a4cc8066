"""VGG19's weights: get them once, check them, know where they are.

  python -m dnr_jax.weights fetch     download, verify and convert VGG19 into the cache (80 MB, or 574 MB from a mirror)
  python -m dnr_jax.weights convert   convert a file you have: Keras .h5, torchvision .pth or .safetensors, MatConvNet
  python -m dnr_jax.weights verify    check the cached weights, or any file, against what was recorded
  python -m dnr_jax.weights list      the sources that fetch tries, and what is in the cache
  python -m dnr_jax.weights path      where the VGG19 weights are that --weights=vgg19 uses

Each has its own --help. After fetch or convert, `python -m dnr_jax.resize --weights=vgg19` finds the weights, and so
does its default, auto, which never fetches them itself. On a machine without a network: run fetch on another one, copy
the cache directory (two files), and name it with --weights_dir or DNR_JAX_CACHE.

Environment: DNR_JAX_CACHE is the cache directory, DNR_JAX_OFFLINE=1 forbids all network access, DNR_JAX_REGISTRY names
another registry of sources, HTTPS_PROXY and its like are honoured.

Exit codes: 0 done, 2 it could not be done (one line on stderr says why), 128 and a
signal's number where that ended it (130 for Control-C).
"""

import inspect
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from dnr_jax.shell.command_line import run_command
from dnr_jax.shell.ending import end_process
from dnr_jax.weights import cache
from dnr_jax.weights.registry import read_registry, registry_path


def main(argv: Sequence[str]) -> int:
    """Runs the command.

    Args:
      argv: the command line, program first.

    Returns:
      The exit code: 0 when it is done; 2 when it is not, and one line on stderr says why; 128 and a signal's number
      where a signal ended it.
    """
    name = argv[1] if len(argv) > 1 else "--help"
    if name in ("--help", "-h", "-help", "help"):
        print(__doc__)
        return 0
    if name not in _COMMANDS:
        print(f"dnr_jax.weights: unknown command {name!r}: choose {', '.join(_COMMANDS)}, or --help", file=sys.stderr)
        return 2
    command = _COMMANDS[name]
    return run_command(
        "dnr_jax.weights",
        [f"{argv[0]} {name}", *argv[2:]],
        _define_flags(name),
        command,
        text=f"python -m dnr_jax.weights {name}\n\n{inspect.getdoc(command)}\n",
        required=("input",) if name == "convert" else (),
        example="python -m dnr_jax.weights convert --input=vgg19.h5",
        interrupted="interrupted, the cache holds what it held, or the new weights whole",
    )


def _fetch(options: dict[str, Any]) -> None:
    """Downloads VGG19, checks its digest, converts it and keeps it in the cache; prints the path.

    Sources are tried in the registry's order. Nothing is fetched that is already there, unless --force, --store or
    --source ask for other weights than those. The SHA-256 of the first download is recorded and binds later ones.
    """
    from dnr_jax.weights.fetch import fetch_vgg19

    directory, source = options["weights_dir"], options["source"]
    if options["offline"] or (options["offline"] is None and cache.is_offline()):
        raise ValueError("fetch needs the network, which --offline or DNR_JAX_OFFLINE switches off: convert needs none")
    print(fetch_vgg19(weights_dir=directory, store=options["store"], source=source, force=options["force"]))


def _convert(options: dict[str, Any]) -> None:
    """Converts a weights file to this package's format, into the cache unless --output says otherwise.

    Layouts are told apart by content: Keras HDF5 (of Keras 1, 2 or 3, with or without the classifier), torchvision's
    state dict (.pth or .safetensors; nothing in it is executed), MatConvNet's imagenet-vgg-verydeep-19.mat.
    Preprocessing is set accordingly. What is not VGG19 is refused, with the list of what is missing, extra or
    misshapen.
    """
    from dnr_jax.weights.fetch import local_failure, say
    from dnr_jax.weights.install import convert_file, install

    source, store = Path(options["input"]), options["store"] or "float32"
    if not source.is_file():
        raise ValueError(f"no such file: {source}")
    if options["output"]:
        output = Path(options["output"])
        if not output.parent.is_dir():
            raise ValueError(f"{output.parent} is no directory: create it first")
        converted = convert_file(source, output, store=store, any_shape=options["any_shape"])
    else:
        directory = cache.cache_dir(weights_dir=options["weights_dir"])
        output = directory / cache.CACHED_VGG19
        try:
            with cache.cache_lock(directory, say):
                converted = install(directory, source, store=store, any_shape=options["any_shape"])
        except OSError as error:
            raise local_failure(error, directory) from None
    print(f"{output}: {converted}")


def _verify(options: dict[str, Any]) -> None:
    """Checks the cached weights, or --input: digest, source, shapes, finite values; says what was checked."""
    from dnr_jax.weights.install import verify_file

    directory = cache.cache_dir(weights_dir=options["weights_dir"])
    path = Path(options["input"]) if options["input"] else directory / cache.CACHED_VGG19
    if not path.is_file():
        raise ValueError(f"no weights at {path}: `python -m dnr_jax.weights fetch` gets VGG19")
    print(f"{path}: {verify_file(path)}")


def _list(options: dict[str, Any]) -> None:
    """Prints the sources that fetch tries, in order, and what the cache holds."""
    registry = read_registry()
    print(f"sources, from {registry_path()}:")
    for source in registry.sources:
        size = f", {source.size} bytes" if source.size else ""
        print(f"  {source.name}: {source.url} ({source.digest or 'no published digest'}{size})")
    directory = cache.cache_dir(weights_dir=options["weights_dir"])
    path = directory / cache.CACHED_VGG19
    record, _ = cache.record_of(path)
    print(f"cache, {directory}:")
    if path.is_file():
        provenance = {**record.get("origin", {}), **record.get("file", {})}
        what = f"{provenance.get('store', 'no record')}, from {provenance.get('source', 'an unrecorded file')}"
        print(f"  {path.name}: {path.stat().st_size} bytes, {what}")
    else:
        print(f"  no {path.name}")
    for file, digests in record.get("sources", {}).items():
        print(f"  {file} had SHA-256 {digests['sha256']} at its first fetch, which later ones must have")


def _path(options: dict[str, Any]) -> None:
    """Prints the path of the weights that --weights=vgg19 uses; exit code 2 where there are none."""
    path = cache.find_vgg19(weights_dir=options["weights_dir"])
    if path is None:
        directory = cache.cache_dir(weights_dir=options["weights_dir"])
        raise ValueError(f"no {cache.CACHED_VGG19} in {directory}: `python -m dnr_jax.weights fetch` gets it")
    print(path)


_COMMANDS: dict[str, Callable[[dict[str, Any]], None]] = {
    "fetch": _fetch,
    "convert": _convert,
    "verify": _verify,
    "list": _list,
    "path": _path,
}


def _define_flags(command: str) -> flags.FlagValues:
    """The flags of one of the commands."""
    values = flags.FlagValues()
    text = {"flag_values": values, "module_name": f"python -m dnr_jax.weights {command}"}
    flags.DEFINE_string(
        "weights_dir", None, "Cache directory. Default: $DNR_JAX_CACHE, else the platform's cache directory.", **text
    )
    flags.DEFINE_boolean("help", False, "Show this help.", short_name="h", **text)
    if command in ("fetch", "convert"):
        help_text = (
            "Stored type; bfloat16 halves the file. Default: float32; fetch is content with either that is there."
        )
        flags.DEFINE_enum("store", None, ["float32", "bfloat16"], help_text, **text)
    if command == "fetch":
        flags.DEFINE_string("source", None, "Use this source only, by its name in `list`. Default: all.", **text)
        flags.DEFINE_boolean("force", False, "Fetch even what is there.", **text)
        flags.DEFINE_boolean("offline", None, "Refuse to use the network. Default: as $DNR_JAX_OFFLINE says.", **text)
    if command == "convert":
        flags.DEFINE_string("input", None, "Weights file to convert.", **text)
        flags.DEFINE_string("output", None, "File to write. Default: vgg19.safetensors in the cache.", **text)
        help_text = "Take a network of VGG19's layout with other widths, or one that ends early."
        flags.DEFINE_boolean("any_shape", False, help_text, **text)
    if command == "verify":
        flags.DEFINE_string("input", None, "File to check. Default: vgg19.safetensors in the cache.", **text)
    return values


def run() -> None:
    """The entry point of the command."""
    end_process(main(sys.argv))
