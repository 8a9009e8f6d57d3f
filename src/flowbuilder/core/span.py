"""Where something stands in a flow's text."""

import msgspec


class Span(msgspec.Struct, frozen=True, gc=False):
    """A stretch of a source file.

    Lines and columns count from 1, as editors show them; columns count
    characters.  The end is the position behind the last character.
    """

    file: str
    line: int
    column: int
    end_line: int
    end_column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


NOWHERE = Span("<flow>", 1, 1, 1, 1)
"""For what no text was written for, such as a part that a pass made."""
