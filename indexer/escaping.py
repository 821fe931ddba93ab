"""Escapes control characters in foreign text: file names, server responses, log lines.

All text for a person is escaped: tables, logs on a terminal, errors, the report. JSON keeps the exact text in JSON's own
escapes.
"""

import json


def printable(foreign: str) -> str:
    r"""Escape each character that is not printable, such as \x1b, \n, \u202e or a lone surrogate.

    The result cannot move the cursor, end the line or change the writing direction, and can always be encoded.
    """
    if foreign.isprintable():
        return foreign
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in foreign)


def printable_json(written: str) -> str:
    """Escape each character of a JSON text that is not printable, as JSON: the parsed value stays the same."""
    if written.replace("\n", "").isprintable():
        return written
    return "".join(sign if sign.isprintable() or sign == "\n" else json.dumps(sign)[1:-1] for sign in written)
