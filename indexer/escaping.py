"""Text that others chose - names of files, answers of servers, what stands in a log - as one line that is safe to show.

Every text for a person passes here: tables, logs on a terminal, errors, the report. JSON keeps the exact text, spelt in ways
that steer no terminal either.
"""

import json


def printable(foreign: str) -> str:
    r"""The same text, each sign that is not printable spelt as an escape: \x1b, \n, \u202e; half a surrogate pair too.

    None of what is left moves the cursor, ends the line, changes the direction of writing or fails to be encoded.
    """
    if foreign.isprintable():
        return foreign
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in foreign)


def printable_json(written: str) -> str:
    """The same JSON, each sign in it that is not printable spelt as JSON's own escape, which is read as that sign."""
    if written.replace("\n", "").isprintable():
        return written
    return "".join(sign if sign.isprintable() or sign == "\n" else json.dumps(sign)[1:-1] for sign in written)
