"""Bytes as others leave them: files of the corpus, changed."""

from pathlib import Path

from hypothesis import strategies as st

CORPUS = Path(__file__).parent / "corpus"
ANYTHING = st.binary(max_size=20)
LONGEST = 20_000
"""Bytes of an example."""


def corpus(kind: str) -> dict[str, bytes]:
    """The files of a kind, by their names."""
    return {file.name: file.read_bytes() for file in sorted((CORPUS / kind).iterdir())}


def foreign(kind: str, fragments: st.SearchStrategy[bytes] = ANYTHING) -> st.SearchStrategy[bytes]:
    """Files of a kind as they are, changed in a few places, or other bytes; `pieces` are put in."""
    files = list(corpus(kind).values())
    return st.one_of(st.sampled_from(files), _changed(files, fragments), st.binary(max_size=300))


@st.composite
def _changed(draw: st.DrawFn, files: list[bytes], fragments: st.SearchStrategy[bytes]) -> bytes:
    data = draw(st.sampled_from(files))
    for _ in range(draw(st.integers(1, 5))):
        start, end = sorted(draw(st.tuples(*[st.integers(0, len(data))] * 2)))
        match draw(st.sampled_from(["cut", "drop", "double", "put in", "put over", "join", "flip"])):
            case "cut":
                data = data[:end]
            case "drop":
                data = data[:start] + data[end:]
            case "double":
                data = data[:end] + data[start:end] * draw(st.integers(1, 4)) + data[end:]
            case "put in":
                data = data[:start] + draw(fragments) + data[start:]
            case "put over":
                data = data[:start] + (fragment := draw(fragments)) + data[start + len(fragment) :]
            case "join":
                data = data[:start] + draw(st.sampled_from(files))[start:]
            case _ if start < len(data):
                data = data[:start] + bytes([data[start] ^ 1 << draw(st.integers(0, 7))]) + data[start + 1 :]
        data = data[:LONGEST]
    return data
