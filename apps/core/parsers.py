"""Bodies of REST: strict JSON, so that what is stored is exactly what was meant."""

import json
import math
from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser


class HouseJSONParser(BaseParser):
    """UTF-8 JSON without NaN, without a name said twice, without text no database can keep.

    Reads the whole body, so Django's limit on its size holds: past it, RequestDataTooBig.
    """

    media_type = "application/json"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        raw: bytes = parser_context["request"]._request.body
        try:
            data = json.loads(
                raw.decode(),
                object_pairs_hook=_object,
                parse_constant=_constant,
                parse_float=_fraction,
            )
            if b"\\u" in raw or b"\x00" in raw:
                _refuse_odd_text(data)
        except RecursionError:
            raise ParseError("The body nests too deeply.") from None
        except ValueError as error:
            raise ParseError(f"The body is not the JSON we take: {error}") from None
        return data


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object says a name twice.")
    return found


def _constant(text: str) -> Any:
    raise ValueError(f"{text} is not a JSON value.")


def _fraction(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large.")
    return number


def _refuse_odd_text(data: Any) -> None:
    text = json.dumps(data, ensure_ascii=False)
    text.encode()  # a UnicodeEncodeError, which is a ValueError, for half a surrogate pair
    if "\\u0000" in text.replace("\\\\", ""):
        raise ValueError("a text holds a null character.")
