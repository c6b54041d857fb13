"""Where a number comes from: the code that made it, the versions, and the kind of machine.

Nothing here identifies a computer or a person: no host names, no user names, no paths.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import io
import os
import platform
import subprocess
import tokenize
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from prunebook.errors import InputError

PACKAGE = "prunebook"
PACKAGE_DIR = Path(__file__).resolve().parents[1]

# These modules store, check, run or show numbers but cannot change one, so an edit there must not make
# every result stale. A name stands for the module and whatever lies below it.
EXCLUDED = frozenset(
    f"{PACKAGE}.{name}"
    for name in (
        "results",
        "provenance",
        "errors",
        "studies",
        "collection",
        "configurations",
        "cli",
        "doctor",
        "figures",
        "claims",
        "notebook",
        "datasets.survey",  # looks at files for the check-up, and loads none
    )
)
# The list of all studies imports every study. Following it would make each study depend on all others,
# so the package itself is left out; the modules in it are not.
REGISTRIES = frozenset({f"{PACKAGE}.experiments"})

_LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.ENCODING, tokenize.ENDMARKER}
_MARKS = {tokenize.NEWLINE: "\n", tokenize.INDENT: "\x01", tokenize.DEDENT: "\x02"}
_Position = tuple[int, int]


def _ignored_spans(tree: ast.Module, lines: list[str]) -> list[tuple[_Position, _Position]]:
    """Spans of docstrings (any bare string statement) and of ``__version__ = ...``: neither computes."""
    spans = []
    for node in ast.walk(tree):
        bare = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        bare = bare and isinstance(node.value.value, str)
        version = isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "__version__" for target in node.targets
        )
        if bare or version:
            # ast counts columns in UTF-8 bytes, tokenize in characters.
            ends = ((node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset))
            spans.append(tuple((row, len(lines[row - 1].encode()[:col].decode())) for row, col in ends))
    return spans


def _slice(lines: list[str], start: _Position, end: _Position) -> str:
    rows = lines[start[0] - 1 : end[0]]
    rows[-1] = rows[-1][: end[1]]
    rows[0] = rows[0][start[1] :]
    return "".join(rows)


def significant(source: str) -> Iterator[str]:
    """The pieces of Python ``source`` that can matter to what it computes, in order.

    Comments, docstrings, blank lines and the layout between tokens are left out. An f-string is one piece:
    Python 3.12 began to split them, and the pieces must be the same on every version.
    """
    lines = io.StringIO(source).readlines()
    spans = _ignored_spans(ast.parse(source), lines)
    string_starts = {getattr(tokenize, f"{kind}STRING_START", None) for kind in "FT"} - {None}
    string_ends = {getattr(tokenize, f"{kind}STRING_END", None) for kind in "FT"} - {None}
    opened: list[_Position] = []
    last = "\n"
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in string_starts:
            opened.append(token.start)
            continue
        if token.type in string_ends:
            start = opened.pop()
            if opened:  # one string inside another
                continue
            text = _slice(lines, start, token.end)
        elif opened or token.type in _LAYOUT:
            continue
        elif token.type in _MARKS:
            text = _MARKS[token.type]
            if text == "\n" and last in _MARKS.values():  # what is left of a line that was a docstring
                continue
        elif any(start <= token.start and token.end <= end for start, end in spans):
            continue
        else:
            text = token.string
        last = text
        yield text


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def source_hash(source: str) -> str:
    """Hash of what ``source`` computes: blind to comments, docstrings and layout."""
    return _short_hash("\0".join(significant(source)))


def _module_file(name: str, root: Path) -> Path | None:
    base = root.joinpath(*name.split("."))
    for path in (base / "__init__.py", base.with_name(base.name + ".py")):
        if path.is_file():
            return path
    return None


def _imported(name: str, path: Path, tree: ast.Module) -> Iterator[str]:
    """Dotted names that module ``name`` may import: also ``x.y`` of ``from x import y``, module or not."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


@lru_cache(maxsize=1024)  # studies share most of their modules
def _read(name: str, path: Path, source: str) -> tuple[str, tuple[str, ...]]:
    """Hash of a module's source, and what it may import."""
    return source_hash(source), tuple(_imported(name, path, ast.parse(source)))


def _with_parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts) + 1)]


def _excluded(name: str) -> bool:
    return name in REGISTRIES or any(parent in EXCLUDED for parent in _with_parents(name))


def trace(module: str, root: Path) -> dict[str, str]:
    """Module name → hash, for ``module`` and every module of its package that it imports, directly or not.

    Imports are read from the source, inside functions too, and nothing is run; ``root`` is the folder that
    holds the top-level package. A module imported by a computed name is not seen.
    """
    top = module.split(".")[0]
    if not all(part.isidentifier() for part in module.split(".")) or _module_file(module, root) is None:
        raise InputError(f"there is no module {module!r} in {top}: give the dotted name of an existing one")
    hashes: dict[str, str] = {}
    waiting = [module, *_with_parents(module)[:-1]]
    while waiting:
        name = waiting.pop()
        path = None if name in hashes else _module_file(name, root)
        if path is None or (_excluded(name) and name != module):
            continue
        hashes[name], imports = _read(name, path, path.read_text(encoding="utf-8"))
        for found in imports:
            if found.split(".")[0] == top:
                waiting += _with_parents(found)
    return dict(sorted(hashes.items()))


@lru_cache
def _trace_package(module: str) -> dict[str, str]:
    return trace(module, PACKAGE_DIR.parent)


def code_modules(module: str) -> dict[str, str]:
    """Module name → hash, for ``module`` and all it depends on in this package.

    Read once a process, so that an edit made while a study runs is not mistaken for the code that ran.
    """
    return dict(_trace_package(module))


def code_hash(module: str) -> str:
    """One hash (16 hex digits) of ``module`` and all it depends on in this package."""
    return _short_hash("\n".join(f"{name} {value}" for name, value in code_modules(module).items()))


def _git(*arguments: str) -> str:
    # Inside a git hook these variables would point git at another repository.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    command = ["git", "-C", str(PACKAGE_DIR), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=30, check=True, encoding="utf-8"
    )
    return done.stdout.strip()


@lru_cache
def commit() -> tuple[str, bool]:
    """``(sha, dirty)`` of the checkout that this package lies in; ``("unknown", False)`` outside of one.

    ``dirty`` says that tracked files under ``src/`` differ from the commit. Never fails.
    """
    try:
        top = Path(_git("rev-parse", "--show-toplevel"))
        # An installed copy may lie in a virtual environment inside somebody else's repository.
        if not (top / "src" / PACKAGE).samefile(PACKAGE_DIR):
            return "unknown", False
        sha = _git("rev-parse", "HEAD")
        return sha, bool(_git("status", "--porcelain", "--untracked-files=no", "--", str(top / "src")))
    except (OSError, subprocess.SubprocessError, UnicodeError):
        return "unknown", False


def versions() -> dict[str, str]:
    """Versions of Python, this package, and the packages that compute."""
    found = {"python": platform.python_version()}
    for name in (PACKAGE, "torch", "torchvision", "numpy", "scipy", "pandas"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    if platform.system() == "Darwin":
        try:
            command = ["sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(
                command, capture_output=True, text=True, timeout=10, check=True
            ).stdout.strip()
        except (OSError, subprocess.SubprocessError):
            pass
    return platform.processor() or platform.machine() or "unknown"


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):  # not a POSIX system
        return None


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))  # in a container or a cluster job fewer than the machine has
    except AttributeError:
        return os.cpu_count() or 1


def hardware(device: str = "cpu") -> dict:
    """The kind of machine: processor, usable cores, memory (GiB), torch's threads, and the GPU if used."""
    import torch

    facts = {
        "device": str(device),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_model(),
        "cores": _cores(),
        "memory_gib": _memory_gib(),
        "threads": torch.get_num_threads(),
    }
    if str(device).startswith("cuda") and torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(torch.device(device))
        facts["gpu"] = properties.name
        facts["gpu_memory_gib"] = round(properties.total_memory / 2**30, 1)
        facts["cuda"] = torch.version.cuda
    return facts
