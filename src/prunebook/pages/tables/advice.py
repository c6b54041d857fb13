"""Plain advice from the tables of the head-to-head: every sentence is chosen by the numbers it states."""

import html
from collections import Counter
from collections.abc import Callable

import numpy as np
import pandas as pd

from prunebook.pages.figures.head_to_head import CONTROLS, price_of, speeds
from prunebook.pages.numbers import percent
from prunebook.pages.tables.best import PLAIN, best, valued
from prunebook.pages.vocabulary import PAIRS, STAGES, compensation_name, net_name, pair_name, ranking_name

ADVISED = "do not prune, or train for longer afterwards"  # where even the least pruning costs accuracy
NEAR = 1.05  # a value within five per cent is as good
WITHIN = f"within {percent(NEAR - 1, 0)} of"
CORESETS = ("sensitivity", "coreset-drawn")  # a layer's own ranking and draw, which `prune` does not know
NEED_LOSS = ("gradient-magnitude",)  # rankings that no pass without a training loss can make


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


def _regrets(rows: pd.DataFrame) -> pd.Series:
    """Of each pair, its largest distance to the lowest value over networks, stages and ratios, the smallest first."""
    pairs = rows[~rows["ranking"].isin(CONTROLS)]
    cell = [pairs[column] for column in ("net", "stage", "ratio")]
    means = np.log(pairs["value"]).groupby([pairs["ranking"], pairs["compensation"], *cell]).mean()
    regret = means - means.groupby(["net", "stage", "ratio"]).transform("min")
    wide = regret.unstack(["net", "stage", "ratio"]).dropna()  # noqa: PD010 - what was not measured everywhere is not safe
    return np.exp(wide.max(axis=1)).sort_values(kind="stable")


def _safest(rows: pd.DataFrame) -> str:
    """The pair whose largest distance to the lowest value, over ratios, is the smallest."""
    regrets = _regrets(rows)
    if regrets.empty:
        return ""
    name = pair_name(*regrets.index[0], rows["kind"].iloc[0])
    return f", and ({name}) is the safest, never above {regrets.iloc[0]:.2f} times the lowest"


def choices(losses: pd.DataFrame, cost: pd.DataFrame, latency: pd.DataFrame) -> pd.DataFrame:
    """What to take, a row a situation: ``when``, ``pair``, ``call`` (what to type) and ``why`` (what was measured).

    Only pairs that the library can call compete.
    """
    losses = losses[~losses["ranking"].isin(CORESETS)]
    found, values, price = best(losses), valued(losses), price_of(cost)
    weights = values[values["kind"] == "weights"]
    units = found[found["kind"] == "units"]
    classifies = (found["kind"] == "weights") & (found["measure"] == "test errors") & (found["stage"] == "fine-tuned")
    rows = []
    for net, part in found[classifies].groupby("net", sort=False):
        (pair, *_), most = _winners(part, price)
        one = f"On {net_name(net)} best or tied at {most} of {len(part)} ratios"
        behind = part["behind"].max() if pair == PLAIN["weights"] else np.nan
        worst = f", at worst {behind:.2f} times the test errors of the best" if np.isfinite(behind) else ""
        rows.append(("A classifier that you fine-tune after pruning", pair, "weights", f"{one}{worst}."))
    hard = weights[
        (weights["stage"] == "pruned") | ((weights["stage"] == "fine-tuned") & (weights["measure"] == "test loss"))
    ]
    regrets = _regrets(hard)
    if len(regrets):
        nets = " and the ".join(map(net_name, hard["net"].unique()))
        why = f"On {nets} the safest of all pairs: at worst {regrets.iloc[0]:.1f} times the lowest value measured"
        plain = regrets.get(PLAIN["weights"], np.nan) if regrets.index[0] != PLAIN["weights"] else np.nan
        why += f"; plain magnitude, {plain:.0f} times." if np.isfinite(plain) else "."
        rows.append(("No fine-tuning, or a network that predicts numbers", regrets.index[0], "weights", why))
    for net, part in units[units["stage"] == "fine-tuned"].groupby("net", sort=False):
        (pair, *_), most = _winners(part, price)
        why = f"On {net_name(net)} best or tied at {most} of {len(part)} ratios. {_saved(latency, net)}"
        rows.append(("A network that must become smaller and faster", pair, "units", why))
    table = pd.DataFrame(rows, columns=["when", "pair", "kind", "why"])
    table["call"] = [call(*pair, kind) for pair, kind in zip(table["pair"], table["kind"], strict=True)]
    return table


def _saved(latency: pd.DataFrame, net: str) -> str:
    """What is left of time and size where the most units are removed."""
    table = speeds(latency)
    rows = table[(table["net"] == net) & (table["form"] == "removed")]
    if rows.empty:
        return ""
    last = rows[rows["ratio"] == rows["ratio"].max()].sort_values("batch").iloc[-1]
    return (
        f"Without {percent(last['ratio'], 0)} of its units it takes {last['time']:.2f} of the time and "
        f"{last['size']:.2f} of the memory."
    )


def call(ranking: str, compensation: str, kind: str) -> str:
    """What to type for a pair; a pair of weights that has no name in the library is spelt out."""
    if kind == "units":
        replacement = "zero" if compensation == "none" else "mean"
        return f'prune_units(model, loader, ratio, score="{ranking}", replacement="{replacement}")'
    name, needs = PAIRS.get((ranking, compensation)), ranking in NEED_LOSS
    more = ", needs_loss=True" if needs else ""
    method = f'"{name}"' if name else f'Method("mine", "mine", "{ranking}", "{compensation}"{more})'
    loss = ", loss=torch.nn.functional.cross_entropy" if needs else ""
    return f"prune(model, loader, ratio, method={method}{loss})"


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
            words = f"is {WITHIN} the best pair at pruning ratio {_ratios(good['ratio'])}, and good enough there; "
            words += f"it is worst at {worst['ratio']:g}, with {most}"
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
    """The most expensive ranking and compensation of each network, in its own passes."""
    sentences = []
    for net, part in cost.groupby("net", sort=False):
        means = part.groupby(["part", "name"], sort=False)["seconds"].mean()
        unit, one = ("epoch of training", "epochs of training")
        if ("reference", unit) not in means:
            unit, one = "forward pass", "forward passes over the same images"
        base, kind = means["reference", unit], part["kind"].iloc[0]
        words = []
        for what in ("ranking", "compensation"):
            slowest = means[what].idxmax()
            name = ranking_name(slowest) if what == "ranking" else compensation_name(slowest, kind)
            much = f"{means[what].max() / base:.2g} {one}"
            words.append(f"{name} is the most expensive {what}: it takes as long as {much}")
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
            words.append(f"with a mask alone a pass takes {low:.2f} to {high:.2f} times as long")
        for batch, rows in part[part["form"] == "sparse rows"].groupby("batch"):
            fast = _ratios(rows.loc[rows["time"] < 1, "ratio"]) or "no ratio"
            words.append(f"sparse storage is faster at {fast}, for {_inputs(batch)}")
        for batch, rows in part[part["form"] == "removed"].groupby("batch"):
            last = rows.sort_values("ratio").iloc[-1]
            costs = f"{last['time']:.2f} of the time for {_inputs(batch)} and {last['size']:.2f} of the memory"
            words.append(f"without {percent(last['ratio'], 0)} of its units it takes {costs}")
        sentences.append(f"{net_name(net)}: {'; '.join(words)}.")
    return sentences


def _inputs(batch: int) -> str:
    return "one input at a time" if batch == 1 else f"{batch} inputs at a time"
