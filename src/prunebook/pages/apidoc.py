"""Sphinx extension for the reference of the library: our docstrings are plain text, and reStructuredText is not.

In ours, `x` is code, and a bar or a star is mathematics. Sections such as ``Args:`` or ``Parameters``
are read by napoleon afterwards.
"""

import re
from collections.abc import Sequence
from typing import Any

# Code between backticks, single or double; a role such as :func:`collect` keeps its own meaning.
CODE = re.compile(r"(:[a-z:]+:`[^`]+`|``[^`]+``|`[^`]+`)")
# What would start emphasis or a substitution, or end a name as a link.
MARKUP = re.compile(r"([*|\\]|(?<=\w)_(?!\w))")


def escaped(text: str) -> str:
    """One line of plain text as reStructuredText: what is between backticks is code, and nothing else is markup.

    Where a span of code meets a letter, as in `x`s, the two are kept apart as reStructuredText wants it.
    """
    parts = CODE.split(text)
    for index, part in enumerate(parts):
        if index % 2 == 0:
            parts[index] = MARKUP.sub(r"\\\1", part)
        elif not part.startswith((":", "``")):
            parts[index] = f"`{part}`"
        if index % 2 and parts[index + 1][:1].isalnum():
            parts[index] += r"\ "
    return "".join(parts)


def plain(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Handler of ``autodoc-process-docstring``: escapes the lines of a docstring in place, but for its examples."""
    example = False
    for index, line in enumerate(lines):
        example = bool(line.strip()) and (example or line.lstrip().startswith(">>>"))
        lines[index] = line if example else escaped(line)


def defaults(app: Any, config: Any) -> None:
    """Handler of ``config-inited``: types stand below the signature, and foreign types need no page here."""
    # Defaults as they are written: the value of one that is a path would show a place on the machine of the build.
    config.autodoc_preserve_defaults = True
    config.autodoc_typehints = "description"
    config.autodoc_typehints_format = "short"
    config.python_maximum_signature_line_length = 80
    # Classes of torch and the like, shapes and type variables are text; a class of ours that leads nowhere is an error.
    foreign = r"(?!prunebook\b).*|.*\.[A-Z]"
    config.nitpick_ignore_regex = [*config.nitpick_ignore_regex, ("py:class", foreign), ("py:exc", foreign)]


def setup(app: Any) -> dict[str, Sequence[str] | bool]:
    """What Sphinx calls for an extension."""
    app.setup_extension("sphinx.ext.autodoc")
    app.setup_extension("sphinx.ext.napoleon")
    app.connect("config-inited", defaults, priority=400)
    app.connect("autodoc-process-docstring", plain, priority=400)  # napoleon comes at 500
    return {"parallel_read_safe": True}
