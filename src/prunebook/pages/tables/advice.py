"""Plain advice from the tables of the head-to-head: every sentence is chosen by the numbers it states."""

import html
from collections import Counter
from collections.abc import Callable

import numpy as np
import pandas as pd

from prunebook.pages.figures.head_to_head import CONTROLS, price_of, speeds
from prunebook.pages.numbers import percent
from prunebook.pages.tables.best import best, valued
from prunebook.pages.vocabulary import STAGES, compensation_name, net_name, pair_name, ranking_name

ADVISED = "do not prune, or train for longer afterwards"  # where even the least pruning costs accuracy
NEAR = 1.05  # a value within five per cent is as good
WITHIN = f"within {percent(NEAR - 1, 0)} of"


def as_list(sentences: list[str]) -> str:
    """Sentences as an HTML list."""
    items = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in sentences)
    return f'<ul class="pb-advice">{items}</ul>'


def which(losses: pd.DataFrame, cost: pd.DataFrame) -> list[str]:
    """For each network and stage: who is best or tied at the most ratios, the cheapest first, and who is the safest."""
    found, values, price, sentences = best(losses), valued(losses), price_of(cost), []
    for net, rows in found.groupby("net", sort=False):
        words = []
        for stage, part in rows.groupby("stage", sort=False):
            here = values[(values["net"] == net) & (values["stage"] == stage)]
            winners, most = _winners(part, price)
            who = f"{_named(winners, part['kind'].iloc[0])} {'is' if len(winners) == 1 else 'are each'}"
            words.append(f"{STAGES[stage].lower()}, {who} best or tied at {most} of {len(part)} ratios{_safest(here)}")
        sentences.append(f"{net_name(net)}, by {rows['measure'].iloc[0]}: {'; '.join(words)}.")
    return sentences


def _winners(part: pd.DataFrame, price: Callable) -> tuple[list[tuple[str, str]], int]:
    """The pairs that are best or tied most often, the cheapest first, and how often."""
    count, net = Counter(pair for tied in part["tied"] for pair in tied), part["net"].iloc[0]
    most = max(count.values())
    first = [pair for pair in count if count[pair] == most]
    return sorted(first, key=lambda pair: np.nan_to_num(price(net, *pair), nan=np.inf)), most


def _named(pairs: list[tuple[str, str]], kind: str) -> str:
    names = [f"({pair_name(*pair, kind)})" for pair in pairs[:3]]
    return " and ".join(names) + (f" and {len(pairs) - 3} more" if len(pairs) > 3 else "")


def _safest(rows: pd.DataFrame) -> str:
    """The pair whose largest distance to the lowest value, over ratios, is the smallest."""
    pairs = rows[~rows["ranking"].isin(CONTROLS)]
    means = np.log(pairs["value"]).groupby([pairs["ranking"], pairs["compensation"], pairs["ratio"]]).mean()
    wide = means.unstack("ratio").dropna()  # noqa: PD010 - a pair that was not measured at a ratio is not safe
    if wide.empty:
        return ""
    regret = (wide - means.groupby(level="ratio").min()).max(axis=1)
    name = pair_name(*regret.idxmin(), pairs["kind"].iloc[0])
    return f", and ({name}) is the safest, never above {np.exp(regret.min()):.2f} times the lowest"


def plain(losses: pd.DataFrame) -> list[str]:
    """What is lost, after fine-tuning, by whoever takes the ranking that costs nothing."""
    found, sentences = best(losses), []
    for net, part in found[found["stage"] == "fine-tuned"].groupby("net", sort=False):
        part = part.dropna(subset="behind").sort_values("ratio")
        if part.empty:
            continue
        good = part[part["behind"] <= NEAR]
        worst = part.loc[part["behind"].idxmax()]
        name, measure = part[["plain", "measure"]].iloc[0]
        most = f"{worst['behind']:.2f} times the {measure} of the best"
        if len(good) == len(part):
            words = f"is {WITHIN} the best pair at every ratio: it is good enough"
        elif len(good):
            words = f"is {WITHIN} the best pair at {_ratios(good['ratio'])}, and good enough there; its worst is "
            words += f"{worst['ratio']:g}, with {most}"
        else:
            words = f"is at no ratio {WITHIN} the best pair: it has {part['behind'].min():.2f} to {most}"
        sentences.append(f"{net_name(net)}, after fine-tuning: {name} {words}.")
    return sentences


def _ratios(values: pd.Series) -> str:
    return ", ".join(f"{value:g}" for value in values)


def limits(losses: pd.DataFrame) -> list[str]:
    """How far each network can be pruned for nothing, and where a narrower network would have been better."""
    found, values, sentences = best(losses), valued(losses), []
    tuned = found[found["stage"] == "fine-tuned"]
    for net, part in tuned.groupby("net", sort=False):
        rows = values[(values["net"] == net) & (values["stage"] == "fine-tuned")]
        dense = _mean(rows[rows["ranking"] == "dense"])
        part = part.sort_values("ratio")
        free = part.loc[(part["value"] <= NEAR * dense).cumprod() == 1, "ratio"]  # good, and so are all smaller ones
        level = f"{WITHIN} the dense network that was trained on"
        if len(free):
            words = f"up to {free.max():g}, the best pair is {level}"
        else:
            words = f"already at {part['ratio'].min():g}, no pair is {level}: {ADVISED}"
        narrow = rows[rows["ranking"] == "narrow"].groupby("ratio")[["value", "seed"]].apply(_mean)
        if len(narrow):
            wins = part.loc[part["ratio"].map(narrow) < part["value"], "ratio"]
            words += f"; a narrower network trained from the start is better at {_ratios(wins) or 'no ratio'}"
        sentences.append(f"{net_name(net)}: {words}.")
    return sentences


def _mean(rows: pd.DataFrame) -> float:
    return float(np.exp(np.log(rows["value"]).mean()))


def prices(cost: pd.DataFrame) -> list[str]:
    """The dearest ranking and compensation of each network, in its own passes."""
    sentences = []
    for net, part in cost.groupby("net", sort=False):
        means = part.groupby(["part", "name"], sort=False)["seconds"].mean()
        unit, one = ("epoch of training", "epochs of training")
        if ("reference", unit) not in means:
            unit, one = "forward pass", "forward passes over the same images"
        base, kind = means["reference", unit], part["kind"].iloc[0]
        words = []
        for what in ("ranking", "compensation"):
            dearest = means[what].idxmax()
            name = ranking_name(dearest) if what == "ranking" else compensation_name(dearest, kind)
            words.append(f"{name} is the dearest {what}, {means[what].max() / base:.2g} {one}")
        sentences.append(f"{net_name(net)}: {'; '.join(words)}.")
    return sentences


def speed(latency: pd.DataFrame) -> list[str]:
    """Whether what is left is faster."""
    table, sentences = speeds(latency), []
    for net, part in table.groupby("net", sort=False):
        words = []
        masked = part[part["form"] == "masked"]
        if len(masked):
            low, high = masked["time"].min(), masked["time"].max()
            words.append(f"a mask alone takes {low:.2f} to {high:.2f} times the time of the dense network")
        for batch, rows in part[part["form"] == "sparse rows"].groupby("batch"):
            fast = _ratios(rows.loc[rows["time"] < 1, "ratio"]) or "no ratio"
            words.append(f"in sparse rows it is faster at {fast} for {_inputs(batch)}")
        for batch, rows in part[part["form"] == "removed"].groupby("batch"):
            last = rows.sort_values("ratio").iloc[-1]
            costs = f"{last['time']:.2f} of the time for {_inputs(batch)} and {last['size']:.2f} of the memory"
            words.append(f"without {last['ratio']:g} of its units it takes {costs}")
        sentences.append(f"{net_name(net)}: {'; '.join(words)}.")
    return sentences


def _inputs(batch: int) -> str:
    return "one input at a time" if batch == 1 else f"{batch} inputs at a time"
