"""Checkpoints of C2SP (c2sp.org/tlog-checkpoint): the size and root of a tree, as the text of a signed note."""

import base64
import binascii
import re
from dataclasses import dataclass

_TEXT = re.compile(
    r"(?P<origin>[^\n]+)\n(?P<size>0|[1-9]\d{0,17})\n(?P<root>[A-Za-z0-9+/]{43}=)\n(?:[^\n]+\n)*"
)


@dataclass(frozen=True, slots=True)
class TreeHead:
    """What a checkpoint says of a tree."""

    origin: str
    """The name of the log: `<key name>/<log id>`."""
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The three lines that are signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> "TreeHead":
        """Read the text of a note; extension lines are ignored. Raises ValueError."""
        found = _TEXT.fullmatch(text)
        if found is None:
            raise ValueError("it is not a checkpoint")
        try:
            root = base64.b64decode(found["root"], validate=True)
        except binascii.Error:
            raise ValueError("it is not a checkpoint") from None
        return cls(found["origin"], int(found["size"]), root)
