"""The first page: a card a paper with a figure, which method to take, what was not tried, how to cite."""

import html
import io
import re
from collections.abc import Callable

import matplotlib.pyplot as plt
import pandas as pd
import yaml
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from papers import ROOT, cited

from prunebook.evidence.intervals import half_width
from prunebook.networks.convnets import convnet
from prunebook.networks.mlp import weight_count
from prunebook.pages.figures.style import LOOKS, house_style
from prunebook.pages.findings import answers
from prunebook.pages.tables import advice
from prunebook.pages.verdicts import chip
from prunebook.store.collect import stored
from prunebook.studies import STUDIES

SIZE = (3.6, 1.95)
ENDS = (0, 500)  # steps of fine-tuning
# Inline pictures follow the theme: their colours are the page's, which the style sheet sets for light and dark.
INKS = {"#0072b2": "var(--pb-blue)", "#d55e00": "var(--pb-red)", "#009e73": "var(--pb-green)"}
INKS |= {"#4d4d4d": "var(--pb-grey)", "#666666": "var(--pb-grey)", "#e4e4e4": "var(--pb-grid)"}
INKS |= {"#1a1a1a": "currentColor", "#000000": "currentColor"}


def cards() -> str:
    """A card a paper: its title, what was found, a figure, how many claims have which verdict, the way on."""
    found = []
    for paper, (entry, answer, tally) in answers().items():
        if paper in FIGURES:
            counted = " ".join(f'<span class="pb-count">{count} {chip(verdict)}</span>' for count, verdict in tally)
            picture = picture_of(paper)
            found.append(
                f":::{{grid-item-card}} {cited(paper)}\n{answer}\n\n"
                f"{picture}[{entry['title']}](/{entry['page']}) · {counted}\n:::"
            )
    return "::::{grid} 1 1 3 3\n:gutter: 2\n:class-container: pb-papers\n\n" + "\n\n".join(found) + "\n::::"


def picture_of(paper: str) -> str:
    """The paper's figure as raw HTML; empty where nothing of its study is stored."""
    study, draw, alt = FIGURES[paper]
    results = [stored(STUDIES[name], "paper") for name in study]
    if not all(results):
        return ""
    with house_style():
        figure = Figure(figsize=SIZE, layout="constrained")
        draw(figure.add_subplot(), *(found.tables for found in results))
        return f"```{{raw}} html\n{inline(figure, paper, alt)}\n```\n\n"


def inline(figure: Figure, name: str, alt: str) -> str:
    """A figure as SVG inside the page, in the colours of the page's theme."""
    buffer = io.StringIO()
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()[buffer.getvalue().index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' width="[^"]+"| height="[\d.]+pt"', "", svg, count=2)
    svg = re.sub(r"font: ([\d.]+)px [^;\"]+", r"font: \1px inherit", svg)
    svg = re.sub(r"(\d+\.\d\d)\d+", r"\1", svg)
    for ink, colour in INKS.items():
        svg = re.sub(rf"(fill|stroke): {ink}", rf"\1: {colour}", svg)
    # Words without a colour of their own are black on every ground.
    svg = svg.replace(
        "<svg ", f'<svg class="pb-inline" role="img" aria-label="{html.escape(alt)}" fill="currentColor" ', 1
    )
    return re.sub(r"\n\s*", "\n", svg).strip()


def over_seeds(table: pd.DataFrame, by: str, column: str) -> pd.DataFrame:
    """Mean of a column and half the width of its 95 % interval over seeds, at each value of another column."""
    means = table.groupby([by, "seed"])[column].mean().groupby(by)
    return pd.DataFrame({"mean": means.mean(), "half": [half_width(part.std(), len(part)) for _, part in means]})


def line(axis, table: pd.DataFrame, by: str, column: str, colour: str, **style) -> pd.DataFrame:
    found = over_seeds(table, by, column)
    axis.plot(found.index, found["mean"], color=colour, **style)
    axis.fill_between(
        found.index, found["mean"] - found["half"], found["mean"] + found["half"], color=colour, alpha=0.2
    )
    return found


def elimination(axis, tables: dict) -> None:
    """Accuracy against ratio on the larger network: the paper's method and magnitude, before and after fine-tuning."""
    losses = tables["losses"]
    losses = losses[
        losses["widths"] == max(losses["widths"].unique(), key=lambda widths: sum(map(int, widths.split("-"))))
    ]
    for height, method in ((0.72, "elimination-compensation"), (0.62, "magnitude")):
        look, rows = LOOKS[method], losses[losses["method"] == method]
        line(axis, rows[rows["stage"] == "fine-tuned"], "ratio", "accuracy", look.colour, linestyle="--", linewidth=1.2)
        line(axis, rows[rows["stage"] == "pruned"], "ratio", "accuracy", look.colour)
        axis.annotate(look.label, (0.1, height), color=look.colour, fontsize=9)
    axis.annotate("dashed: after fine-tuning", (0.1, 0.99), fontsize=9, va="bottom")
    axis.set(xlabel="Share of weights removed", ylabel="Test accuracy", ylim=(0.3, 1.08))
    for which in (axis.xaxis, axis.yaxis):
        which.set_major_formatter(PercentFormatter(1, decimals=0))


def means(axis, tables: dict) -> None:
    """What the mean gains over zero in loss, with a tenth of all units removed: at once, and fine-tuned."""
    keys = ["net", "seed", "start", "step", "tuned", "score"]
    rows = tables["tuning"]
    rows = rows[(rows["set"] == "all") & (rows["amount"] == 0.1) & rows["tuned"].isin(ENDS)]
    rows = rows[rows["start"] == rows["start"].max()]
    wide = rows.pivot_table(index=keys, columns="replacement", values="penalty")
    gains = (wide["zero"] - wide["mean"]).groupby(["net", "tuned", "seed"]).mean().groupby(["net", "tuned"])
    found = gains.agg(["mean", "std", "size"]).sort_index(ascending=[True, False])
    for place, row in enumerate(found.itertuples()):
        colour = LOOKS["elimination-compensation" if row.Index[1] == ENDS[0] else "non-linear"].colour
        axis.errorbar(row.mean, place, xerr=half_width(row.std, row.size), fmt="o", color=colour, capsize=2)
    words = {ENDS[0]: "at once", ENDS[1]: f"{ENDS[1]} steps later"}
    axis.set_yticks(range(len(found)), [f"{net.capitalize()},\n{words[tuned]}" for net, tuned in found.index])
    axis.axvline(0, color="#4d4d4d", linewidth=1)
    axis.set(xlabel="Loss with zeros minus with means", ylim=(-0.6, len(found) - 0.4))
    axis.grid(visible=False, axis="y")


def bounds(axis, tables: dict) -> None:
    """Accuracy that is seen and accuracy that is guaranteed, difficult case, least sensitive weights removed."""
    rows = tables["sparsity_first"]
    rows = rows[
        (rows["case"] == "difficult") & (rows["way"] == "deterministic") & (rows["reading"] == "regularisation")
    ]
    seen = line(axis, rows, "ratio", "accuracy", LOOKS["elimination-compensation"].colour)
    sure = line(axis, rows, "ratio", "implied_accuracy", LOOKS["non-linear"].colour)
    axis.fill_between(seen.index, sure["mean"], seen["mean"], color="#4d4d4d", alpha=0.12, linewidth=0)
    axis.annotate("seen", (0.5, 0.9), color=LOOKS["elimination-compensation"].colour, fontsize=9, va="top")
    axis.annotate("guaranteed", (0.52, 0.05), color=LOOKS["non-linear"].colour, fontsize=9, va="bottom")
    axis.set(xlabel="Share of weights removed", ylabel="Test accuracy", ylim=(-0.03, 1.05))
    for which in (axis.xaxis, axis.yaxis):
        which.set_major_formatter(PercentFormatter(1, decimals=0))


FIGURES: dict[str, tuple[tuple[str, ...], Callable, str]] = {
    "ballini2026": (
        ("ec-mnist",),
        elimination,
        "Test accuracy on MNIST against the share of weights removed. Right after pruning elimination-compensation is "
        "above magnitude; after fine-tuning, dashed, the two lines lie on each other.",
    ),
    "evci2018": (
        ("mr-tuning",),
        means,
        "What means gain over zeros in loss, a tenth of the units removed late in training, with 95 % intervals: "
        "above zero at once on Small, near zero on Medium, and not above zero after fine-tuning.",
    ),
    "gordon2020": (
        ("cb-lenet",),
        bounds,
        "Accuracy of a pruned last layer against the share of weights removed: the accuracy seen stays high, the "
        "accuracy guaranteed falls to nothing before half of the weights are removed.",
    ),
}


def which() -> str:
    """The box *Which method?*: three situations, what to call, and why; links to the advice and to the own network."""
    found = stored(STUDIES["head-to-head"], "paper")
    if found is None:
        return ""
    table = advice.choices(*(found.tables[name] for name in ("losses", "cost", "latency")))
    rows = [f"| {row.when} | `{row.call}` | {row.why} |" for row in table.itertuples()]
    lines = [
        "| If you have | Call | Because |",
        "| :-- | :-- | :-- |",
        *rows,
        "",
        "[The advice in full](/notebooks/which_method) · [On your own network](/notebooks/own_network)",
    ]
    return ":::{admonition} Which method?\n:class: tip pb-which\n\n" + "\n".join(lines) + "\n:::"


def scope() -> str:
    """What was followed and what was not tried; sizes are counted, not typed."""
    sizes = {name: sum(p.numel() for p in convnet(name).parameters()) for name in ("small", "medium", "vgg11")}
    smallest = weight_count((68, 32, 32, 32, 1))
    tables = {name: found.tables for name in STUDIES if (found := stored(STUDIES[name], "paper"))}
    followed = ""
    if "mr-training" in tables:
        history = tables["mr-training"]["network"].groupby("net")["step"].max()
        followed = (
            f" VGG11 ({sizes['vgg11'] / 1e6:.1f} million) was followed for {history['vgg11']:,} of "
            f"{history['medium']:,} steps."
        )
    return (
        f"**Scope.** Networks of {smallest:,} to {sizes['medium'] / 1e6:.1f} million weights, on MNIST, CIFAR-10 and "
        f"one partial differential equation.{followed} Not tried: residual networks, transformers, anything of "
        "ImageNet's size."
    )


def cite() -> str:
    """How to cite, from CITATION.cff."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    authors = ", ".join(author["name"] for author in cited["authors"])
    return (
        f"> {authors}. *{cited['title']}.* Version {cited['version']}, {cited['license']} licence.\n\n"
        "`CITATION.cff` in the source has it for your reference manager. Claims and verdicts are there for programs: "
        '<a href="../claims.json">claims.json</a> and <a href="../verdicts.json">verdicts.json</a>, with their schemas '
        '<a href="../claims.schema.json">claims.schema.json</a> and '
        '<a href="../verdicts.schema.json">verdicts.schema.json</a>.'
    )
