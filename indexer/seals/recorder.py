"""What is read becomes chunks: the only work that sealing does for each line."""

from hashlib import sha256
from typing import Any

from indexer.reading.batch import ReadBatch
from indexer.seals.leaves import Chunk
from indexer.seals.lines import Lines, full_digest


class Recorder:
    """Makes a chunk of each batch of lines. Used by the thread that reads."""

    def __init__(self) -> None:
        self._long: dict[str, Any] = {}
        """The hash so far of each oversized line that is being read, by its name."""

    def chunk(self, read: ReadBatch) -> Chunk:
        """The chunk of these lines. Their digests are those of the bytes that are sent, or kept."""
        entries, position = read.entries, read.position
        refused = [(it.id.encode(), sha256(it.line).digest()) for it in entries.rejections]
        for fragment in read.fragments:
            if fragment.first:
                self._long[fragment.name] = sha256()
            self._long[fragment.name].update(fragment.data)
            if fragment.id is not None:
                refused.append((fragment.id.encode(), self._long.pop(fragment.name).digest()))
        if refused:
            accepted = zip(entries.ids, map(full_digest, entries.entries), strict=True)
            both = sorted([*accepted, *refused])  # ids of one file sort by offset
            lines = Lines.joined([it for it, _ in both], b"".join(digest for _, digest in both))
        else:
            lines = Lines.of(entries.ids, entries.entries)
        return Chunk(
            f"{read.generation:08x}",
            read.file,
            position.end.offset - position.size,
            position.end.offset,
            len(entries.ids),
            len(refused),
            position.blank,
            lines,
        )
