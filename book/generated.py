"""The parts of the book's prose pages that are made from data, by the names under which pages include them."""

import json
from pathlib import Path

import drawings
import front
import slider
from claims_page import claims
from status import drift_table, invariants_table, plans_table, studies_table

from prunebook.pages.figures.embedded import figure_html
from prunebook.pages.figures.speed import sizes, time_by_size

ROOT = Path(__file__).resolve().parents[1]


def parts(scale: str, repository: str = "") -> dict[str, str]:
    """Name → Markdown of every generated part, for chapters of that scale and a source at that address."""
    return {
        "built": built(scale),
        "cards": front.cards(),
        "which": front.which(),
        "scope": front.scope(),
        "install": install(repository),
        "cite": front.cite(),
        "claims": claims(),
        "studies": studies_table(),
        "invariants": invariants_table(),
        "drift": drift_table(),
        "plans": plans_table(),
        "benchmarks": benchmarks(),
        "speed": speed(),
        "above_floor": above_floor(),
        "soak": soak(),
        "slider": slider.block(),
        **{f"drawing-{name}": drawings.block(name) for name in drawings.DRAWINGS},
    }


def built(scale: str) -> str:
    """A banner where the chapters do not show the paper scale."""
    if scale == "paper":
        return ""
    return (
        f":::{{div}} pb-banner\nThis copy was built at the **{scale}** scale: its chapters show small runs. Findings "
        "and verdicts on this page come from the committed results of the paper scale.\n:::"
    )


def install(repository: str) -> str:
    """How to install the library: from the source's address if it is known, else from a folder."""
    where = f'"git+{repository}"' if repository else "."
    if repository:
        lead = "Python 3.11 or newer:"
    else:
        lead = "Python 3.11 or newer, in the folder of the source (this copy does not know its address):"
    return (
        f"{lead}\n\n```bash\npip install {where}\n```\n\n"
        '```python\nimport prunebook as pb\n\npruned = pb.prune(model, loader, ratio=0.8, method="magnitude")\n```\n\n'
        "[Which method](../notebooks/which_method.ipynb) to take, and [how to go on](../notebooks/own_network.ipynb)."
    )


def benchmarks(path: Path = ROOT / "data" / "benchmarks.json") -> str:
    """The table of benchmarks, in Markdown, from their last committed run."""
    if not path.is_file():
        return "No benchmark has been run yet."
    table = json.loads(path.read_text(encoding="utf-8"))
    notes = {note: place for place, note in enumerate(dict.fromkeys(row["note"] for row in table["rows"]), start=1)}
    lines = [
        *measured(table["runs"]),
        "",
        "| What | Size | Our seconds | Against | Its seconds | Times faster | Times the floor | Peak MiB | Note |",
        "| :-- | :-- | --: | :-- | --: | --: | --: | --: | --: |",
    ]
    for row in table["rows"]:
        size = f"{row['size']:,}" if isinstance(row["size"], int) else row["size"]
        above = f"{row['seconds'] / row['floor']:.2g}" if row.get("floor") else ""
        theirs, faster = compared(row)
        lines.append(
            f"| {row['name']} | {size} | {row['seconds']:.3g} | {row['rival']} | {theirs} | {faster} | {above} | "
            f"{row['peak_mib']} | {notes[row['note']] if row['note'] else ''} |"
        )
    listed = [f"{place}. {note}" for note, place in notes.items() if note]
    return "\n".join([*lines, "", "Notes:", "", *listed])


def compared(row: dict) -> tuple[str, str]:
    """The rival's seconds and how many times faster ours is; a star for an extrapolation.

    What would be extrapolated by more than a factor of ``FURTHEST`` is not: the part that was measured is a lower end.
    """
    part, whole = row["rival_seconds"], row.get("rival_extrapolated") or row["rival_seconds"]
    if whole / part > FURTHEST:
        return f"> {part:.3g}", f"> {part / row['seconds']:.3g}"
    star = " *" if whole != part or "extrapolated" in row["note"] else ""
    return f"{whole:.3g}{star}", f"{row['ratio']:.3g}"


def measured(runs: dict[str, dict]) -> list[str]:
    """When and on what benchmarks were run, a sentence for those that were run together."""
    together: dict[str, list[str]] = {}
    for name, facts in runs.items():
        machine = facts["hardware"]
        text = (
            f"on {facts['date']} at commit `{facts['commit'][:12]}`, on {machine['cpu']}, {machine['cores']} cores, "
            f"{machine['threads']} threads, torch {facts['versions']['torch']}."
        )
        together.setdefault(text, []).append(name.replace("_", " "))
    if len(together) == 1:
        return [f"Measured {text}" for text in together]
    return [f"Measured {text.removesuffix('.')}: {', '.join(names)}." for text, names in together.items()]


def speed(path: Path = ROOT / "data" / "benchmarks.json") -> str:
    """The figure of time against size from the last committed run of the benchmarks; empty if there is none."""
    table = sizes(json.loads(path.read_text(encoding="utf-8"))["rows"]) if path.is_file() else []
    if len(table) == 0:
        return ""
    picture = figure_html(
        time_by_size(table),
        1,
        "Seconds against size. Both axes are logarithmic. The lowest line is the time of the arithmetic that our way "
        "cannot do without, at this machine's peak rate.",
        "A panel for each benchmark with three lines: our way, the straightforward way above it, and the arithmetic "
        "alone below it.",
        None,
        "time-by-size",
    )
    return f"```{{raw}} html\n{picture}\n```\n"


def above_floor(path: Path = ROOT / "data" / "benchmarks.json") -> str:
    """How far each kind of benchmark stands above its floor, the furthest first; empty if there is no run yet."""
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.is_file() else []
    kinds: dict[str, list[float]] = {}
    for row in rows:
        if row.get("floor"):
            kinds.setdefault(row["name"].split(",")[0], []).append(row["seconds"] / row["floor"])
    lines = ["| What | Times the floor |", "| :-- | --: |"]
    for kind, times in sorted(kinds.items(), key=lambda entry: -max(entry[1])):
        low, high = (f"{end:.2g}" for end in (min(times), max(times)))
        lines.append(f"| {kind} | {low if low == high else f'{low} to {high}'} |")
    return "\n".join(lines) if kinds else ""


FURTHEST = 1000  # times what was measured
OUTCOMES = ("wrong", "lost", "tracebacks", "hung", "unclear", "left over")


def soak(path: Path = ROOT / "data" / "soak.json") -> str:
    """A row a kind of fault: how often it was tried, and what went wrong; above it, when and on what."""
    if not path.is_file():
        return "The soak has not been run yet."
    found = json.loads(path.read_text(encoding="utf-8"))
    machine, steps = found["machine"], found["steps"]
    lines = [
        f"{found['trials']:,} trials on {found['date']} at commit `{found['commit'][:12]}`, on {machine['cpu']}. "
        f"Processes were killed inside {steps['tried']} of the {steps['all']} file operations of "
        f"{len(found['studies'])} studies.",
        "",
        "| Fault | Trials | " + " | ".join(name.capitalize() for name in OUTCOMES) + " |",
        "| :-- |" + " --: |" * (1 + len(OUTCOMES)),
    ]
    for kind, row in (*found["kinds"].items(), ("**All**", found)):
        counts = " | ".join(str(row[name] or "none") for name in OUTCOMES)
        lines.append(f"| {kind} | {row['trials'] or 'not tried'} | {counts} |")
    return "\n".join(lines)
