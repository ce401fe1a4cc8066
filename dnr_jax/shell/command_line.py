"""What every command does with its command line: flags, help, and one line for whatever goes wrong. Needs no JAX."""

import sys
from collections.abc import Callable, Sequence
from typing import Any

from absl import flags

from dnr_jax.plain_files import shown_name
from dnr_jax.shell.ending import answered, ended_by_signals, exit_code


def run_command(
    name: str,
    argv: Sequence[str],
    values: flags.FlagValues,
    body: Callable[[dict[str, Any]], int | None],
    *,
    text: str | None,
    required: Sequence[str] = (),
    arguments: str = "",
    example: str = "",
    interrupted: str = "interrupted",
) -> int:
    """Parses a command line and runs a command.

    Args:
      name: the name of the command, with which every error begins.
      argv: the command line, program first.
      values: the command's flags, "help" among them.
      body: runs the command: it takes the flags' values by name and returns an exit code, or None for 0.
      text: what --help prints before the flags.
      required: the names of the flags that must be given.
      arguments: what the arguments that are no flags are, for instance "photos": `body` gets their list under this
        name, and there must be at least one. Where it is empty, there must be none.
      example: a command line to show where one of those is missing.
      interrupted: what to print after a signal.

    Returns:
      The body's exit code; 2 for bad input, after one line on stderr; 128 and the signal's number (130 for Control-C)
      where one of `ending.SIGNALS` has ended it, within five seconds.
    """
    try:
        with ended_by_signals(f"{name}: {interrupted}"):
            rest = values(argv)[1:]
            if values["help"].value:
                print(f"{text}\n{values.get_help(include_special_flags=False)}")
                return 0
            if rest and not arguments:
                raise ValueError(
                    f"unexpected argument {rest[0]!r}: options are written --name=value, patterns in quotes"
                )
            for flag in required:
                if not values[flag].value:
                    raise ValueError(f"--{flag} is missing: {example}")
            if arguments and not rest:
                raise ValueError(f"no {arguments}: {example}")
            given: dict[str, Any] = {flag: values[flag].value for flag in values}
            return body(given | {arguments: rest} if arguments else given) or 0
    except (flags.Error, ValueError, OSError, ImportError, FloatingPointError, MemoryError) as error:
        print(f"{name}: {one_line(error)}", file=sys.stderr)
        return 2
    except RuntimeError as error:
        if not (_is_of_device(error) or str(error).startswith("Unable to initialize backend")):
            raise
        print(f"{name}: {one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interrupt:
        answered.append(interrupt)
        print(f"{name}: {interrupted}", file=sys.stderr)
        return exit_code(interrupt)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory does not suffice, the computer's or its device's."""
    return isinstance(error, MemoryError) or (_is_of_device(error) and "RESOURCE_EXHAUSTED" in str(error))


def _is_of_device(error: BaseException) -> bool:
    """Whether an error is one that JAX raises for what happens on a device; JAX itself is not needed to say so."""
    return type(error).__name__ == "JaxRuntimeError"


def one_line(error: BaseException) -> str:
    """The message of an error as the one line that a command prints."""
    if isinstance(error, OSError) and error.filename:
        return f"{shown_name(str(error.filename))}: {error.strerror}"
    if is_out_of_memory(error):
        return "not enough memory for this photo: scale it down first, or close other programs"
    return " ".join(str(error).split())
