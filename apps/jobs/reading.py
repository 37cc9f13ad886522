"""Reading a job's log from the rows the worker stored."""

from dataclasses import dataclass

from django.core.exceptions import ValidationError

from apps.jobs.models import Job

PIECES = 4
MAX_CURSOR = 2**53


@dataclass(frozen=True)
class LogPiece:
    """Text from a cursor on; `cursor` is where to go on. Complete when the job has ended and
    there is no more."""

    text: str
    cursor: int
    is_complete: bool


def read_log(job: Job, *, cursor: str) -> LogPiece:
    """The next pieces of the log. The cursor is a byte offset given out before, or 0.

    Raise ValidationError for any other.
    """
    if not (cursor.isascii() and cursor.isdigit() and int(cursor[:17]) <= MAX_CURSOR):
        raise ValidationError({"cursor": "Use 0, or the cursor of the answer before."})
    place = int(cursor)
    pieces = list(job.log_pieces.filter(offset__gte=place)[: PIECES + 1])
    read = pieces[:PIECES]
    after = read[-1].offset + read[-1].size if read else place
    text = "".join(piece.text for piece in read)
    return LogPiece(text, after, is_complete=job.is_final and len(pieces) <= PIECES)
