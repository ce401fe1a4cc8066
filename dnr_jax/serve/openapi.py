"""Describes the HTTP interface in OpenAPI 3.1; its fields are described by the flags that read them."""

from typing import Any

from absl import flags

from dnr_jax.serve.fields import MASKS, define_fields
from dnr_jax.serve.problems import KINDS, MEDIA_TYPE
from dnr_jax.serve.settings import Settings

_NUMBERS = {"int": "integer", "float": "number"}
_FILES = {
    "photo": "The photo, of any kind that Pillow reads.",
    "protect": "Mask of the photo's size, upright: what is white keeps its shape.",
    "remove": "Mask of the photo's size, upright: what is white disappears.",
    "objects": "Grey mask of the photo's size, whiter where it matters more, in place of what the networks see.",
}


def describe_api(version: str, settings: Settings) -> dict[str, Any]:
    """The OpenAPI document of a server, ready for JSON.

    Args:
      version: the package's version.
      settings: the limits of the server, which the document names.
    """
    values = define_fields()
    fields = {name: _describe_field(values[name]) for name in values if name not in MASKS}
    objects = {"anyOf": [_describe_field(values["objects"]), {"type": "string", "format": "binary"}]}
    files = {name: {"type": "string", "format": "binary", "description": text} for name, text in _FILES.items()}
    form = {**files, "objects": {**objects, "description": _FILES["objects"] + " Or text: auto or none."}, **fields}
    image = {"schema": {"type": "string", "format": "binary"}}
    stream = "Parts 'progress', 'forming' (a JPEG), 'record' and 'image'; 'problem' where something went wrong."
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "dnr_jax",
            "version": version,
            "description": (
                "Content-aware image resizing. Fields have the names, values and limits of the command line's flags. A"
                f" request may have {settings.max_upload:g} megabytes, a photo {settings.max_megapixels:g} megapixels."
            ),
        },
        "paths": {
            "/v1/retarget": {
                "post": {
                    "summary": "Retarget a photo",
                    "description": "Answers with the image; with a zip where several targets are asked for.",
                    "requestBody": _body(form),
                    "responses": {
                        "200": {
                            "description": "The image in the photo's own format, or in the one asked for.",
                            "headers": {
                                "Dnr-Record": {
                                    "description": "What happened, as JSON in ASCII, without losses and options.",
                                    "schema": {"type": "string"},
                                }
                            },
                            "content": {
                                "image/*": image,
                                "application/zip": image,
                                "multipart/mixed": {"schema": {"type": "string", "description": stream}},
                            },
                        },
                        **_problems(),
                    },
                }
            },
            "/v1/analyse": {
                "post": {
                    "summary": "Analyse a photo",
                    "description": "What a preview for any size is made of: seam order, cells, maps.",
                    "requestBody": _body({name: form[name] for name in form if name not in ("format", "background")}),
                    "responses": {
                        "200": {"description": "The analysis.", "content": {"application/json": {"schema": _ANALYSIS}}},
                        **_problems(),
                    },
                }
            },
            "/health": {
                "get": {
                    "summary": "Whether the server is there",
                    "responses": {"200": {"description": "It is.", "content": {"application/json": {}}}},
                }
            },
            "/metrics": {
                "get": {
                    "summary": "Counters for Prometheus",
                    "responses": {"200": {"description": "Text.", "content": {"text/plain": {}}}},
                }
            },
        },
    }


def _body(fields: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "required": ["photo"], "properties": fields, "additionalProperties": False}
    return {"required": True, "content": {"multipart/form-data": {"schema": schema}}}


def _describe_field(flag: flags.Flag) -> dict[str, Any]:
    """The JSON schema of a field, made from its flag."""
    schema: dict[str, Any] = {"description": flag.help}
    kind = flag.flag_type()
    choices = getattr(flag.parser, "enum_values", None)
    if choices:
        schema |= {"type": "string", "enum": list(choices)}
    elif kind == "comma separated list of strings":
        schema |= {"type": "string", "description": f"{flag.help} Separated by commas."}
    elif word := getattr(flag.parser, "word", None):
        schema |= {"anyOf": [{"type": "number"}, {"const": word}]}
    else:
        schema["type"] = _NUMBERS.get(kind, "string")
    if flag.default is not None:
        schema["default"] = flag.default
    return schema


def _problems() -> dict[str, Any]:
    statuses: dict[int, list[str]] = {}
    for kind in KINDS.values():
        statuses.setdefault(kind.status, []).append(f"{kind.title} ({kind.name}).")
    content = {MEDIA_TYPE: {"schema": _PROBLEM}}
    return {
        str(status): {"description": " ".join(titles), "content": content}
        for status, titles in sorted(statuses.items())
    }


_TEXT, _WHOLE = {"type": "string"}, {"type": "integer"}
_PROBLEM = {
    "type": "object",
    "description": "RFC 9457 problem details.",
    "properties": {"type": _TEXT, "title": _TEXT, "status": _WHOLE, "detail": _TEXT},
}
_PAIR = {"type": "array", "items": _WHOLE, "minItems": 2, "maxItems": 2, "description": "Height and width in pixels."}
_GRID = {
    "type": "object",
    "description": "What 40 x 40 cells hold, rows first, in base64.",
    "properties": {
        "objects": {**_TEXT, "description": "Little-endian float32, above 1 on faces."},
        "protected": {**_TEXT, "description": "Bytes, 1 where something is protected."},
    },
}
_ATTEMPT = {
    "type": "object",
    "properties": {
        "deep": {**_WHOLE, "description": "Seams of the deepest level."},
        "length": {**_WHOLE, "description": "Pixels that the side then has."},
        "damage": {"type": "number", "description": "What these seams remove, and what they break."},
        "grid": _GRID,
        "seams": {
            **_TEXT,
            "description": (
                "Little-endian uint16 in base64: for each seam, in the order in which they are found, its column in"
                " each row of the photo (for the height: its row in each column)."
            ),
        },
    },
}
_SIDE = {
    "type": "object",
    "properties": {
        "auto": {"type": "boolean", "description": "Whether the attempt of least damage is taken, or the only one."},
        "attempts": {"type": "array", "items": _ATTEMPT},
        "growth": {"type": "array", "items": _ATTEMPT, "description": "The same where seams are inserted instead."},
    },
}
_TEXTS = {"type": "array", "items": _TEXT}
_ANALYSIS = {
    "type": "object",
    "properties": {
        "name": {**_TEXT, "description": "The name of the photo's file, without any folder."},
        "format": {**_TEXT, "description": "The format that a result is written in where none is asked for, as JPEG."},
        "arguments": {
            **_TEXTS,
            "description": "What a command line needs besides to do as this server does, for instance --weights=vgg19.",
        },
        "photo_size": _PAIR,
        "size": {**_PAIR, "description": "Height and width in pixels after what is marked for removal has gone."},
        "most_crop": {"type": "number", "description": "The share of what a side loses that may be cropped."},
        "deepest_stride": {**_WHOLE, "description": "Pixels of the photo that one seam of the deepest level removes."},
        "grid": _GRID,
        "sides": {"type": "object", "properties": {"width": _SIDE, "height": _SIDE}},
        "rules": {"type": "object", "description": "The numbers of the warp's formulas."},
        "pictures": {"type": "object", "description": "Pictures as data URLs: photo, importance, objects."},
        "seen": {"type": ["object", "null"], "description": "Faces and words, in pixels of the photo."},
        "notes": {**_TEXTS, "description": "Lines that a person should read."},
    },
}
