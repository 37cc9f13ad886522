"""Which files a source reads, and whether what they hold is text at all."""

import codecs
import glob
import io
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from runtime.job import JobError

MAX_FILES = 10_000
MAX_LINE_MB = 16
MB = 1024 * 1024
BLOCK = MB


@dataclass(frozen=True)
class SourceFile:
    """`name` is what people know it by; `path` where it lies."""

    name: str
    path: str


def find_files(folder: str, pattern: str) -> list[SourceFile]:
    """The files of `folder` that fit, in order of name. Raise JobError where there are none, or
    one that is a link to elsewhere."""
    root = os.path.realpath(folder)
    if not os.path.isdir(root):
        raise JobError("This folder is not there. Check the path.", field="connection.path")
    found = []
    for name in sorted(glob.iglob(pattern, root_dir=root, recursive=True)):
        path = os.path.realpath(os.path.join(root, name))
        if not path.startswith(root + os.sep) and path != root:
            raise JobError(
                f"{name} is a link to outside its folder, and is not followed. Copy the file "
                "itself, or choose a narrower pattern.",
                field="connection.pattern",
            )
        if stat.S_ISREG(os.stat(path).st_mode):
            found.append(SourceFile(name, path))
        if len(found) > MAX_FILES:
            text = f"More than {MAX_FILES:,} files fit the pattern. Choose a narrower one."
            raise JobError(text, field="connection.pattern")
    if not found:
        raise JobError(f"No file here fits “{pattern}”.", field="connection.pattern")
    return found


def refuse_empty(file: SourceFile) -> None:
    if os.path.getsize(file.path) == 0:
        raise JobError(f"{file.name} is empty. Send it again.", field="connection")


@dataclass
class TextScan:
    """Reads text once from start to end, in blocks, and refuses what is none.

    `lines` counts what was read; with `copy_to`, what was read lies there in UTF-8, its line ends
    all alike. `is_mixed`: they are not alike, which the parser would stumble over.
    """

    file: SourceFile
    encoding: str
    copy_to: str = ""
    lines: int = 0
    _newlines: int = 0
    _returns: int = 0
    _pairs: int = 0
    _ends_in_return: bool = False
    _since_break: int = field(default=0, repr=False)

    def run(self, limit_bytes: int | None = None) -> None:
        refuse_empty(self.file)
        copy = open(self.copy_to, "w", encoding="utf-8", newline="") if self.copy_to else None
        with open(self.file.path, "rb", buffering=0) as source:
            for text in self._texts(source, limit_bytes):
                self._measure(text)
                if copy:
                    copy.write(text)
        if copy:
            copy.close()
        if self._since_break:
            self.lines += 1

    @property
    def is_mixed(self) -> bool:
        return self._returns > 0 and not self._returns == self._pairs == self._newlines

    def _texts(self, source: BinaryIO, limit_bytes: int | None) -> Iterator[str]:
        decoder: Any = codecs.getincrementaldecoder(self.encoding)()
        if self.copy_to:
            decoder = io.IncrementalNewlineDecoder(decoder, translate=True)
        place = 0
        while block := source.read(BLOCK):
            held = len(decoder.getstate()[0])
            try:
                text = decoder.decode(block)
            except UnicodeDecodeError as error:
                raise self._not_text(error, place - held) from None
            yield text
            place += len(block)
            if limit_bytes is not None and place >= limit_bytes:
                return
        try:
            yield decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            raise self._not_text(error, place - len(error.object)) from None

    def _not_text(self, error: UnicodeDecodeError, begins: int) -> JobError:
        before = error.object[: error.start].decode(self.encoding, "replace")
        line = self.lines + before.count("\n") + 1
        byte = error.object[error.start]
        return JobError(
            f"{self.file.name} is not {self.encoding.upper()}: byte {begins + error.start + 1:,} "
            f"(0x{byte:02x}), on line {line:,}, cannot be read. If it is a text, set "
            "`format.encoding` to how it was saved, for example “windows-1252”.",
            field="format.encoding",
        )

    def _measure(self, text: str) -> None:
        if (at := text.find("\0")) >= 0:
            line = self.lines + text.count("\n", 0, at) + 1
            raise JobError(
                f"{self.file.name} is not a text in {self.encoding.upper()}: there is a null "
                f"character on line {line:,}. Check the file, and `format.encoding`.",
                field="format",
            )
        newlines, returns = text.count("\n"), text.count("\r")
        self._newlines, self._returns = self._newlines + newlines, self._returns + returns
        self._pairs += text.count("\r\n") if returns else 0
        self._pairs += self._ends_in_return and text.startswith("\n")
        self._ends_in_return = text.endswith("\r")
        breaks = newlines or returns
        self.lines += breaks
        if breaks:
            self._since_break = len(text) - max(text.rfind("\n"), text.rfind("\r")) - 1
        else:
            self._since_break += len(text)
        if self._since_break > MAX_LINE_MB * MB:
            raise JobError(
                f"Line {self.lines + 1:,} of {self.file.name} is longer than {MAX_LINE_MB} MB. "
                "Check that the file has line breaks, and is what `format` says.",
                field="format",
            )
