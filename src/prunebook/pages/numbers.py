"""Numbers for readers: in tables, sentences and figures, by one rule."""

import math

POWERS = {  # how a power of ten is written: in plain text, in HTML, in a figure
    "plain": "{digits} × 10{power}",
    "html": "{digits} × 10<sup>{power}</sup>",
    "tex": r"${digits}\times10^{{{power}}}$",
}

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(
    value: float | int, digits: int = 2, *, markup: str = "plain", plain: tuple[float | int, float | int] = (1e-4, 1e7)
) -> str:
    """So many digits and no zeros at the end; from 100 on a whole number; outside of ``plain`` a power of ten.

    A dash stands for what was not measured. ``markup`` is that of the power: plain, html or tex.
    """
    if not math.isfinite(value):
        return "–" if math.isnan(value) else "∞" if value > 0 else "−∞"
    rounded = float(f"{value:.{digits}g}")
    if rounded == 0:
        return "0"
    if plain[0] <= abs(rounded) < plain[1]:
        text = f"{value:,.0f}" if abs(rounded) >= 100 else f"{rounded:g}"
        return text.replace("-", "\N{MINUS SIGN}")
    figures, power = f"{rounded:.{digits - 1}e}".split("e")
    figures = figures.rstrip("0").rstrip(".") if "." in figures else figures
    power = str(int(power))
    if markup == "plain":
        power = power.translate(_RAISED)
    text = POWERS[markup].format(digits=figures, power=power)
    return text.replace(r"$1\times", "$") if markup == "tex" else text.replace("-", "\N{MINUS SIGN}")


def percent(share: float | int, digits: int = 1) -> str:
    """A share in per cent, with so many decimals; the space does not break."""
    return "–" if math.isnan(share) else f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def decimals(value: float | int, *, markup: str = "plain") -> str:
    """Two decimals below 10, none from there on, and from 10,000 on a power of ten."""
    if value < 1e4:
        return f"{value:.2f}" if value < 10 else f"{value:.0f}"
    return number(value, 1, markup=markup, plain=(0, 1e4))


def factor(value: float | int) -> str:
    """× 1.3, or a division below 1: ÷ 2."""
    if not math.isfinite(value) or value <= 0:
        return "–"
    return f"× {number(value)}" if value >= 1 else f"÷ {number(1 / value)}"


def tick(value: float | int) -> str:
    """A number at an axis: plain between 0.001 and 9999, a power of ten outside."""
    text = number(value, 6, markup="tex", plain=(1e-3, 1e4))
    return text.replace(",", "")
