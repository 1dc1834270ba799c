"""Draw docs/images/shares.png: who had what of a rack in a month of made-up traffic.

Run it after a change of the rule: ``python docs/explanation/sharing.py``.
"""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from pulsed.testing.traffic import AWAY, DAY, HOUR, WEIGHTS, Month, MonthReport

PICTURE = Path(__file__).resolve().parents[2] / "docs" / "images" / "shares.png"
DAYS = 30


def draw(report: MonthReport) -> Figure:
    """Return the shares of those who always wait, day by day, and what everybody had."""
    figure = Figure(figsize=(9, 6.4), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1.6))
    days = range(int(report.days))
    had = [report.rack_seconds(day * DAY, (day + 1) * DAY) for day in days]
    left = [0.0] * len(had)
    others = sorted({user for one in had for user in one} - set(WEIGHTS))
    for index, user in enumerate([*WEIGHTS, *others]):
        hours = [one.get(user, 0.0) / HOUR for one in had]
        colour = f"C{index}" if user in WEIGHTS else str(0.45 + 0.1 * (index - len(WEIGHTS)))
        above.bar([day + 0.5 for day in days], hours, bottom=left, width=0.9, color=colour, label=user)
        left = [one + more for one, more in zip(left, hours, strict=True)]
    above.set(ylabel="hours on the rack", ylim=(0, 24))
    above.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)
    for index, user in enumerate(WEIGHTS):
        parts = [one.get(user, 0.0) / sum(one.get(name, 0.0) for name in WEIGHTS) for one in had]
        below.plot([day + 0.5 for day in days], [100 * part for part in parts], "o-", color=f"C{index}", ms=3)
        due = [
            100 * (0.0 if user == "ann" and away else WEIGHTS[user])
            / sum(weight for name, weight in WEIGHTS.items() if not (away and name == "ann"))
            for away in (AWAY[0] <= day * DAY < AWAY[1] for day in days)
        ]  # fmt: skip
        below.step(days, due, where="post", ls="--", lw=1, color=f"C{index}")
        name, end = f"{user} ({WEIGHTS[user]:g})", (report.days, parts[-1] * 100)
        offset = (4, 2 - 8 * (user == "dan"))
        below.annotate(name, end, xytext=offset, textcoords="offset points", color=f"C{index}", fontsize=8)
    below.set(xlabel="day", ylabel="share of what the four had (%)", xlim=(0, report.days), ylim=(0, 100))
    return figure


if __name__ == "__main__":
    played = Month(DAYS).run()
    print(*played.lines(), sep="\n")
    draw(played).savefig(PICTURE, dpi=110)
