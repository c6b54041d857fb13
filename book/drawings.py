"""Five drawings of the ideas, as SVG inside the page: small, in the colours of the page's theme, with words for all.

Coordinates are pixels of a picture 640 wide. What is drawn by chance or as a curve is computed, not placed by hand.
"""

import html
from collections.abc import Callable

import numpy as np

WIDTH = 640
BLUE, RED, GREEN, GREY = (f"var(--pb-{name})" for name in ("blue", "red", "green", "grey"))


def text(
    x: float, y: float, words: str, *, anchor: str = "middle", colour: str = "currentColor", size: int = 14
) -> str:
    """Words; ``_x`` is set lower, as an index."""
    parts = html.escape(words).split("_")
    spans = parts[0] + "".join(
        f'<tspan dy="4" font-size="70%">{p[:1]}</tspan><tspan dy="-4">{p[1:]}</tspan>' for p in parts[1:]
    )
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="{colour}" font-size="{size}">{spans}</text>'


def circle(
    x: float, y: float, colour: str = "currentColor", *, radius: float = 22, gone: bool = False, full: bool = False
) -> str:
    dash = ' stroke-dasharray="4 4"' if gone else ""
    fill = colour if full else "none"
    return f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" fill="{fill}" stroke="{colour}" stroke-width="2"{dash}/>'


def box(
    x: float,
    y: float,
    width: float,
    height: float,
    colour: str = "currentColor",
    *,
    full: float = 0,
    gone: bool = False,
) -> str:
    dash = ' stroke-dasharray="4 4"' if gone else ""
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="3" fill="{colour}" '
        f'fill-opacity="{full:g}" stroke="{colour}" stroke-width="1.5"{dash}/>'
    )


def arrow(x1: float, y1: float, x2: float, y2: float, colour: str = "currentColor", *, gone: bool = False) -> str:
    """A line with a head at its end, drawn as two short strokes."""
    dash, along = (' stroke-dasharray="4 4"' if gone else ""), np.array([x2 - x1, y2 - y1], float)
    along /= np.linalg.norm(along)
    across, end = np.array([-along[1], along[0]]), np.array([x2, y2])
    (ax, ay), (bx, by) = end - 9 * along + 5 * across, end - 9 * along - 5 * across
    path = f"M{x1:g} {y1:g}L{x2:g} {y2:g}M{ax:.1f} {ay:.1f}L{x2:g} {y2:g}L{bx:.1f} {by:.1f}"
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>'


def line(x1: float, y1: float, x2: float, y2: float, colour: str = GREY, *, width: float = 1.5, dash: str = "") -> str:
    return (
        f'<path d="M{x1:g} {y1:g}L{x2:g} {y2:g}" stroke="{colour}" stroke-width="{width}" stroke-dasharray="{dash}"/>'
    )


def unit() -> list[str]:
    """A unit is removed, and what it gave on average goes into the bias of the unit that it fed."""
    drawn = [text(150, 20, "before"), text(490, 20, "after"), arrow(300, 110, 345, 110, GREY)]
    for left, removed in ((0, False), (340, True)):
        drawn += [circle(60 + left, 65), text(60 + left, 70, "h_1")]
        drawn += [circle(60 + left, 155, RED, gone=removed), text(60 + left, 160, "h_2", colour=RED)]
        drawn += [arrow(84 + left, 68, 205 + left, 105), text(140 + left, 74, "w_1")]
        drawn += [arrow(84 + left, 152, 205 + left, 118, RED, gone=removed), text(140 + left, 156, "w_2", colour=RED)]
        drawn.append(circle(230 + left, 111))
        bias = "b + w_2 · mean of h_2" if removed else "b"
        drawn.append(text(230 + left, 168, bias, colour=BLUE if removed else "currentColor"))
        drawn.append(arrow(230 + left, 153, 230 + left, 136, BLUE if removed else "currentColor"))
    return [*drawn, text(400, 200, "removed", colour=RED, size=12)]


def weight() -> list[str]:
    """What a weight gave, over the data: its mean goes into the bias, its spread is lost."""
    places = np.linspace(-3, 3, 25)
    heights = 90 * np.exp(-(places**2) / 2)
    drawn = []
    for left, words, centre in ((20, "what the weight gave: w · x", 215), (350, "what is lost after the shift", 110)):
        drawn += [text(left + 130, 20, words), line(left, 150, left + 270, 150)]
        bars = zip(left + centre - 60 + 20 * places, heights, strict=True)
        drawn += [box(x, 150 - height, 4, height, RED, full=0.35) for x, height in bars]
        drawn += [line(left + 54, 40, left + 54, 158, GREY, dash="4 4"), text(left + 54, 174, "0")]
    mean = 20 + 215 - 56
    drawn += [line(mean, 40, mean, 158, BLUE, width=2), text(mean, 174, "mean", colour=BLUE)]
    drawn += [arrow(mean, 192, 76, 192, BLUE), text(130, 210, "into the bias", colour=BLUE)]
    drawn.append(text(350, 192, "Around zero, and just as wide:", anchor="start"))
    return [*drawn, text(350, 210, "a bias cannot take a variance.", anchor="start")]


def draw() -> list[str]:
    """Weights are drawn with chances in proportion to their sensitivity; the drawn ones stand for all."""
    share = np.array([0.30, 0.22, 0.15, 0.11, 0.08, 0.06, 0.05, 0.03])
    counts = np.random.default_rng(1).multinomial(16, share)
    drawn = [text(12, 30, "chance", anchor="start", colour=BLUE), text(12, 145, "drawn", anchor="start", colour=RED)]
    drawn += [text(12, 190, "weight then", anchor="start")]
    for place, (chance, count) in enumerate(zip(share, counts, strict=True)):
        x = 130 + 62 * place
        drawn.append(box(x - 14, 108 - 300 * chance, 28, 300 * chance, BLUE, full=0.35))
        drawn.append(text(x, 104 - 300 * chance, f"{chance:.0%}", size=12))
        drawn.append(text(x, 124, f"w_{place + 1}"))
        drawn += [circle(x - 14 + 14 * (n % 3), 138 + 12 * (n // 3), RED, radius=4, full=True) for n in range(count)]
        factor = count / (counts.sum() * chance)
        drawn.append(text(x, 190, f"× {factor:.1f}" if count else "0", colour="currentColor" if count else GREY))
    kept = f"{counts.sum()} draws keep {np.count_nonzero(counts)} of {len(share)} weights"
    return [*drawn, text(WIDTH / 2, 215, kept, size=12)]


def logits() -> list[str]:
    """An error below half the gap between two logits cannot turn the label; at half the gap their bands touch."""
    drawn = []
    for left, error, words in ((20, 20, "error below half the gap"), (345, 40, "error of half the gap: they touch")):
        drawn.append(text(left + 130, 20, words))
        for place, (height, name, colour) in enumerate(((82, "largest logit", BLUE), (162, "runner-up", RED))):
            x = left + 95 + 80 * place
            drawn.append(box(x - 22, height - error, 44, 2 * error, colour, full=0.2))
            drawn.append(line(x - 22, height, x + 22, height, colour, width=3))
            side, anchor = (-30, "end") if place == 0 else (30, "start")
            drawn.append(text(x + side, height + 5, name, anchor=anchor, colour=colour, size=12))
        drawn.append(line(left + 40, 122, left + 250, 122, GREY, dash="4 4"))
    return [*drawn, text(22, 117, "half-way", anchor="start", colour=GREY, size=12)]


def flow() -> list[str]:
    """Train once; prune in every way; measure; fine-tune on the same batches; measure again."""
    steps = ("train", "prune", "measure", "fine-tune", "measure")
    drawn = []
    for place, step in enumerate(steps):
        x = 14 + 126 * place
        colour = BLUE if step == "measure" else "currentColor"
        drawn += [box(x, 30, 94, 44, colour, full=0.12), text(x + 47, 57, step, colour=colour)]
        if place:
            drawn.append(arrow(x - 30, 52, x - 3, 52))
    drawn += [text(187, 22, "every method, same network", size=12), text(439, 22, "same batches for all", size=12)]
    drawn += [line(61, 74, 61, 112), arrow(61, 112, 389, 112), box(392, 92, 94, 40, GREY), text(439, 117, "train on")]
    drawn += [arrow(486, 112, 515, 112), box(518, 92, 94, 40, BLUE, full=0.12), text(565, 117, "measure", colour=BLUE)]
    drawn.append(text(225, 104, "control: never pruned", size=12))
    drawn += [box(14, 152, 472, 40, GREY), text(250, 177, "control: a narrower network, trained from the start")]
    drawn += [arrow(486, 172, 515, 172), box(518, 152, 94, 40, BLUE, full=0.12), text(565, 177, "measure", colour=BLUE)]
    return drawn


DRAWINGS: dict[str, tuple[Callable[[], list[str]], str, str]] = {
    "unit": (
        unit,
        "Two units feed a third. After removal of the second, its weight times its mean is in the bias of the third.",
        "A unit into the next bias. What the removed unit gave on average stays; how it varied is lost.",
    ),
    "weight": (
        weight,
        "Two histograms of what a weight gave over the data. Left, around its mean; right, after the shift, just as "
        "wide around zero.",
        "A weight and its bias. The bias takes the mean of what the weight gave, and no more.",
    ),
    "draw": (
        draw,
        "Eight weights with their chances, the dots of ten draws, and the factor by which each drawn weight counts.",
        "A draw with counts. A sensitive weight is drawn often; the factors make the sum right on average.",
    ),
    "logits": (
        logits,
        "Two logits with bands of error around them: on the left apart, on the right touching half-way between.",
        "When a label can change. As long as the bands do not touch, the largest logit stays the largest.",
    ),
    "flow": (
        flow,
        "Train, prune, measure, fine-tune, measure, in a row of boxes; below, two controls: the network never pruned "
        "and trained on, and a narrower one trained from the start.",
        "The flow of a study. All methods prune the same trained network, and are fine-tuned on the same batches.",
    ),
}


def svg(name: str, height: int = 222) -> str:
    draws, alt, _ = DRAWINGS[name]
    return (
        f'<svg class="pb-inline" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{html.escape(alt)}">'
        f"{''.join(draws())}</svg>"
    )


def block(name: str) -> str:
    """The drawing with its caption, as a page includes it."""
    caption = html.escape(DRAWINGS[name][2])
    return f'```{{raw}} html\n<figure class="pb-drawing">{svg(name)}<figcaption>{caption}</figcaption></figure>\n```'
