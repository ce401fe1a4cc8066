"""Bodies of answers: one image, a zip of several, or the parts of a multipart stream."""

import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any, NamedTuple
from urllib.parse import quote

from dnr_jax.photos.encode import FORMATS

BOUNDARY = "dnr-jax-part"
MULTIPART = f"multipart/mixed; boundary={BOUNDARY}"
END = f"--{BOUNDARY}--\r\n".encode()
"""The bytes that close a multipart stream."""
_EXTENSIONS = {name: extension for extension, name in reversed(FORMATS.items())}
_TYPES = {"JPEG": "image/jpeg", "TIFF": "image/tiff", "WEBP": "image/webp", "BMP": "image/bmp", "GIF": "image/gif"}
_IN_HEADER = (
    "method",
    "size",
    "intermediate_size",
    "target_size",
    "output_size",
    "passes",
    "warps",
    "notes",
    "seconds",
    "device",
)


class Output(NamedTuple):
    """A retargeted photo as a file.

    Attributes:
      name: the name of the file.
      media_type: the media type of its format, for instance "image/png".
      data: the bytes of the file.
      record: what happened to the photo, ready for JSON.
    """

    name: str
    media_type: str
    data: bytes
    record: dict[str, Any]


def name_output(source: str, label: str, file_format: str) -> str:
    """The file name of a result: the photo's own name, a label, and the extension of a format.

    Args:
      source: the name of the photo's file.
      label: what tells the result from others of the same photo.
      file_format: one of the values of `FORMATS`.

    Example:
      >>> name_output("cat.jpeg", "640x480", "JPEG"), name_output("cat", "1x1", "PNG")
      ('cat_640x480.jpg', 'cat_1x1.png')
    """
    return f"{PurePath(source).stem}_{label}{_EXTENSIONS[file_format]}"


def media_type(file_format: str) -> str:
    """The media type of a format, which is one of the values of `FORMATS`."""
    return _TYPES.get(file_format, "image/png")


def disposition(name: str) -> str:
    """The value of a Content-Disposition header that names a file, whatever letters the name has."""
    return f"attachment; filename*=UTF-8''{quote(name)}"


def short_record(record: dict[str, Any]) -> str:
    """The part of a record that fits into a header, as JSON in ASCII: losses and options are left out."""
    return json.dumps({name: record[name] for name in _IN_HEADER if name in record}, separators=(",", ":"))


def make_zip(outputs: Sequence[Output]) -> bytes:
    """The bytes of a zip that holds each file and, beside it, its record; images are not compressed again."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for output in outputs:
            archive.writestr(output.name, output.data)
            record = json.dumps(output.record, indent=1)
            archive.writestr(f"{output.name}.json", record, compress_type=zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def make_part(name: str, kind: str, data: bytes, *, file_name: str | None = None) -> bytes:
    """The bytes of one part of a multipart stream, with its length, so that a reader need not look for the boundary.

    Args:
      name: what the part is, for instance "image".
      kind: the media type of the data.
      data: the content of the part.
      file_name: the name under which to save the data; None for none.
    """
    named = f"; filename*=UTF-8''{quote(file_name)}" if file_name else ""
    head = (
        f"--{BOUNDARY}\r\nContent-Disposition: inline; name={name}{named}\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    return head.encode("ascii") + data + b"\r\n"


def json_part(name: str, content: Any) -> bytes:
    """The bytes of one part of a multipart stream that holds a value as JSON."""
    return make_part(name, "application/json", json.dumps(content).encode())
