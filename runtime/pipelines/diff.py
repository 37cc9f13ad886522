"""What changed between two definitions, to be read by people: step by step, line by line."""

import difflib
import json
from collections.abc import Mapping
from typing import Any


def diff(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[dict[str, str]]:
    """The parts that differ, in the new definition's order, removed ones last: {"part": "step
    clean" or "parameters", "change": "added" | "removed" | "changed", "text": lines, each with
    “+ ”, “- ” or two blanks in front}."""
    parts = {"parameters": (old.get("parameters") or None, new.get("parameters") or None)}
    before, after = old.get("steps", {}), new.get("steps", {})
    for name in [*after, *(each for each in before if each not in after)]:
        parts[f"step {name}"] = (before.get(name), after.get(name))
    found = []
    for part, (was, is_) in parts.items():
        if was == is_:
            continue
        change = "added" if was is None else "removed" if is_ is None else "changed"
        found.append({"part": part, "change": change, "text": _lines(was, is_)})
    return found


def text_of(changes: list[dict[str, str]]) -> str:
    """All of it as one text."""
    if not changes:
        return "Nothing differs."
    return "\n\n".join(f"{each['change']} {each['part']}\n{each['text']}" for each in changes)


def _lines(was: Any, is_: Any) -> str:
    old, new = _written(was), _written(is_)
    compared = difflib.ndiff(old, new)
    return "\n".join(line for line in compared if not line.startswith("?"))


def _written(value: Any, indent: str = "") -> list[str]:
    """A value in lines, much as YAML would have it."""
    if value is None:
        return []
    if not isinstance(value, dict):
        return [f"{indent}{_short(value)}"]
    lines = []
    for key, each in value.items():
        if isinstance(each, dict) and each:
            lines += [f"{indent}{key}:", *_written(each, indent + "  ")]
        elif isinstance(each, list) and any(isinstance(one, dict) for one in each):
            lines += [f"{indent}{key}:", *(f"{indent}  - {_short(one)}" for one in each)]
        elif isinstance(each, str) and "\n" in each:
            lines += [f"{indent}{key}: |", *(f"{indent}  {line}" for line in each.splitlines())]
        else:
            lines.append(f"{indent}{key}: {_short(each)}")
    return lines


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
