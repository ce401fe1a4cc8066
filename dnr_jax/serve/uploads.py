"""Reads the multipart form of a request into memory, and refuses it at a limit of bytes, fields or time."""

import asyncio
import dataclasses
import re
from collections.abc import AsyncGenerator, AsyncIterator

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from dnr_jax.serve.problems import ProblemError
from dnr_jax.serve.settings import Settings

MOST_FIELDS, MOST_FILES = 100, 8
_LONGEST_TEXT = 4096
_LONGEST_NAME = 80


@dataclasses.dataclass(frozen=True)
class File:
    """A file of a form.

    Attributes:
      name: the name of the file, without any folder, for messages and for the output.
      data: the bytes of the file.
    """

    name: str
    data: bytes


@dataclasses.dataclass(frozen=True)
class Form:
    """A form: its text fields and its files, by the names of the fields."""

    texts: dict[str, str]
    files: dict[str, File]


async def read_form(request: Request, settings: Settings, file_fields: tuple[str, ...]) -> Form:
    """Reads the whole form of a request.

    Args:
      request: the request whose body is the form.
      settings: the limits of the server.
      file_fields: the names of the fields that may be files.

    Raises:
      ProblemError: the body is no form, too large or too slow, or has a field twice or a file under another name.
      ClientDisconnect: the client has closed the connection.
    """
    if request.query_params:
        name = next(iter(request.query_params))[:40]
        raise ProblemError(
            "bad-request", f"the address has the parameter {name!r}: send photos and options as fields of the form"
        )
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != "multipart/form-data":
        raise ProblemError(
            "wrong-type", f"the body is {kind[:80]!r}: send multipart/form-data with the photo as a file"
        )
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > settings.most_bytes:
        raise _too_large(settings)
    parser = _InMemoryParser(
        request.headers,
        _limited(request.stream(), settings),
        max_files=MOST_FILES,
        max_fields=MOST_FIELDS,
        max_part_size=_LONGEST_TEXT,
    )
    parser.spool_max_size = settings.most_bytes + 1  # Nothing goes to the disk.
    try:
        async with asyncio.timeout(settings.body_seconds):
            items = (await parser.parse()).multi_items()
    except TimeoutError:
        raise ProblemError(
            "too-slow", f"the body did not arrive within {settings.body_seconds:g} seconds: send less, or faster"
        ) from None
    except MultiPartException as error:
        raise ProblemError("bad-request", f"the form cannot be read: {error.message.rstrip('.')}") from None
    try:
        return await _sort_items(items, file_fields)
    finally:
        for _, value in items:
            if not isinstance(value, str):
                await value.close()


class _InMemoryParser(MultiPartParser):
    """Starlette's parser, which would write large files to disk, with a limit that keeps them in memory."""


async def _limited(stream: AsyncIterator[bytes], settings: Settings) -> AsyncGenerator[bytes, None]:
    """The stream of a body; raises ProblemError once it is too long."""
    received = 0
    async for chunk in stream:
        received += len(chunk)
        if received > settings.most_bytes:
            raise _too_large(settings)
        yield chunk


async def _sort_items(items: list[tuple[str, UploadFile | str]], file_fields: tuple[str, ...]) -> Form:
    """Puts the fields of a form into a `Form`; raises ProblemError for one that is not allowed."""
    form = Form({}, {})
    for name, value in items:
        if name in form.texts or name in form.files:
            raise ProblemError("bad-request", f"the field {name[:40]!r} is given twice: give it once")
        if isinstance(value, str):
            if name in file_fields and name != "objects":
                raise ProblemError("bad-request", f"the field {name!r} is text: send it as a file, with a file name")
            form.texts[name] = value
            continue
        if name not in file_fields:
            raise ProblemError("bad-request", f"the file {name[:40]!r} is unknown: files are {', '.join(file_fields)}")
        form.files[name] = File(plain_name(value.filename or name), await value.read())
    return form


def plain_name(text: str) -> str:
    """Makes a name that a client gave fit for a file: the last part of a path, printable and not too long.

    Example:
      >>> plain_name("../../etc/passwd"), plain_name("C:\\\\photos\\\\a b.jpg"), plain_name("..")
      ('passwd', 'a b.jpg', 'photo')
    """
    last = re.split(r"[/\\]", text)[-1]
    kept = "".join(letter for letter in last if letter.isprintable() and letter not in '"<>|*?:').strip(" .")
    return kept[-_LONGEST_NAME:].strip(" .") or "photo"


def _too_large(settings: Settings) -> ProblemError:
    # What is left of the body is not read, so the connection cannot serve another request.
    return ProblemError(
        "too-large",
        f"the request has more than {settings.max_upload:g} megabytes: send a smaller photo, or start the server with"
        " a larger --max_upload",
        headers={"Connection": "close"},
    )
