"""Draw the figures of docs/explanation/tuning.md by the very rule of the product.

    PYTHONPATH=. python bench/tuning_plots.py docs/explanation

Peaks of memory are drawn from a fixed log-normal distribution, so that the figures come out the same each time.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import matplotlib as mpl

from sandbox.limits import GiB
from supervisor.percentiles import Spread
from supervisor.tunerule import Evidence, Rule, suggest, wanted

mpl.use("Agg")
mpl.rcParams.update({"svg.hashsalt": "tuning", "svg.fonttype": "none", "font.size": 9, "axes.grid": True})
from matplotlib import pyplot as plt  # noqa: E402  # the backend is chosen first

RUNS = 200
START = 8 * GiB
RULE = Rule(runs=50, least={"memory": 0.5 * GiB}, most={})


def peaks(seed: int) -> list[float]:
    """Peaks of memory of the runs of an instrument, bytes: most near 2 GiB, a few far above."""
    chance = random.Random(seed)
    return [chance.lognormvariate(0.7, 0.35) * GiB for _ in range(RUNS)]


def follow(values: list[float], start: float) -> tuple[list[float], list[bool]]:
    """Limits if `tune` were applied after every run, and which runs the limit of their time ended."""
    limit, limits, killed = start, [], []
    done, kills = Spread(), 0
    highest = 0.0
    for value in values:
        limits.append(limit)
        killed.append(value > limit)
        if value > limit:
            kills, highest = kills + 1, max(highest, limit)
        else:
            done.add(value)
        seen = Evidence(
            completed=len(done), p50=done.percentile(50), p95=done.percentile(95), p99=done.percentile(99),
            largest=done.largest, killed=kills, killed_at=highest,
        )  # fmt: skip
        limit = suggest("memory", limit, seen, RULE).value or limit
    return limits, killed


def main(folder: Path) -> None:
    """Draw."""
    values = peaks(7)
    figure, axes = plt.subplots(figsize=(6.4, 3.6))
    for start, style in ((START, "-"), (2 * GiB, "--")):
        limits, killed = follow(values, start)
        axes.step(
            range(RUNS), [at / GiB for at in limits], style, where="post", label=f"limit from {start / GiB:g} GiB"
        )
        print(f"from {start / GiB:g} GiB: ends at {limits[-1] / GiB:g} GiB, {sum(killed)} runs killed")
    axes.plot(range(RUNS), [value / GiB for value in values], ".", color="grey", markersize=3, label="peak of a run")
    axes.set(xlabel="run", ylabel="memory, GiB", title="The limit if tune were applied after every run")
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(folder / "tuning-limit.svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    spread = Spread(values)
    seen = Evidence(completed=RUNS, p99=spread.percentile(99), largest=spread.largest)
    figure, axes = plt.subplots(figsize=(6.4, 3.0))
    axes.hist([value / GiB for value in values], bins=40, color="lightsteelblue")
    lines = {"p50": spread.percentile(50), "p95": spread.percentile(95), "p99": seen.p99, "largest": spread.largest}
    lines |= {"needed": wanted("memory", seen), "suggested": suggest("memory", START, seen, RULE).value or START}
    for n, (name, value) in enumerate(lines.items()):
        axes.axvline(value / GiB, linewidth=1, color=f"C{n}", label=f"{name}: {value / GiB:.2f} GiB")
    axes.set(xlabel="peak memory, GiB", ylabel="runs", title="200 completed runs and what the rule makes of them")
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(folder / "tuning-spread.svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    print({name: round(value / GiB, 2) for name, value in lines.items()})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
