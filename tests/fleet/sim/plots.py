"""Draw the figures of docs/explanation/scale.md: `python -m tests.fleet.sim.plots docs/explanation`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl

from tests.fleet.sim.scale import BEAT, CALLS, POLL, Figures, Load, Scale, arrivals, ideal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

mpl.use("Agg")
mpl.rcParams.update({"svg.hashsalt": "scale", "svg.fonttype": "none", "font.size": 9, "axes.grid": True})
from matplotlib import pyplot as plt  # noqa: E402  # the backend is chosen first

HOSTS = (1, 2, 5, 10, 20, 50, 100, 200)
LOADS = (0.5, 0.8, 0.95)
#: Hosts at which today's form of the claim is compared; it takes long to simulate.
COMPARED = (1, 2, 5)
#: A wait below two looks at the store is no starvation.
_LEAST = 2 * POLL

Point = tuple[Load, Figures, list[float]]


def measure(hosts: int, share: float, *, places: bool = False) -> Point:
    """Simulate one fleet and the ideal queue for the same arrivals."""
    load = Load(hosts=hosts, load=share, places=places)
    coming = arrivals(load)
    return load, Scale(load).run(coming), ideal(load, coming)


def quantile(figures: Figures, share: float) -> float:
    """A quantile of the waits for a slot, seconds."""
    waits = sorted(wait for of_rb in figures.waits.values() for wait in of_rb)
    return waits[min(len(waits) - 1, int(share * len(waits)))]


def ratio(point: Point) -> float:
    """The starvation ratio: the longest wait of any RB over the longest in the ideal queue."""
    _, figures, fair = point
    return max(figures.longest(), _LEAST) / max(*fair, _LEAST)


def calls(point: Point) -> dict[str, float]:
    """Calls of the store in a second, by what they are for."""
    load, figures, _ = point
    return {
        "scans": figures.looks / load.seconds,
        "lost locks": figures.lost_locks * CALLS["lost lock"] / load.seconds,
        "runs": figures.runs * CALLS["run"] / load.seconds + figures.used / load.seconds / BEAT * CALLS["run's beat"],
        "hosts' beats": load.hosts / BEAT * CALLS["host's beat"],
    }


def hosts_slots(load: Load) -> int:
    """The slots of a fleet."""
    return load.hosts * load.slots


def draw(
    path: Path, title: str, unit: str, lines: Mapping[str, tuple[Sequence[int], Sequence[float]]], *, bar: float = 0.0
) -> None:
    """Draw lines over the number of hosts, both axes logarithmic."""
    figure, axes = plt.subplots(figsize=(6.4, 3.6))
    for (name, (hosts, values)), style in zip(lines.items(), ("o-", "s--", "^:", "d-.", "x-", "v--"), strict=False):
        axes.plot(hosts, values, style, label=name, markersize=4, linewidth=1.2)
    if bar:
        axes.axhline(bar, color="grey", linewidth=0.8)
        axes.text(1, bar * 1.05, f"aim: at most {bar:g}", fontsize=8, color="grey")
    axes.set(xscale="log", yscale="log", xlabel="hosts (4 slots each)", ylabel=unit, title=title)
    axes.set_xticks(HOSTS, [str(host) for host in HOSTS])
    axes.minorticks_off()
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    plt.close(figure)


def main(folder: str) -> None:
    """Measure, draw, and print the figures as a table."""
    points = {share: [measure(hosts, share) for hosts in HOSTS] for share in LOADS}
    today = [measure(hosts, 0.5, places=True) for hosts in COMPARED]

    def lines(of: Callable[[Point], float]) -> dict[str, tuple[Sequence[int], Sequence[float]]]:
        return {f"load {share:g}": (HOSTS, [of(point) for point in each]) for share, each in points.items()}

    def waits(share: float, of: float) -> tuple[Sequence[int], Sequence[float]]:
        return HOSTS, [max(0.01, quantile(figures, of)) for _, figures, _ in points[share]]

    draw(
        Path(folder, "scale-waits.svg"),
        "Wait for a slot, from the moment a run could begin",
        "seconds (0.01: less)",
        {
            f"{name}, load {share:g}": waits(share, of)
            for share in (0.8, 0.95)
            for name, of in (("median", 0.5), ("95 %", 0.95))
        },
    )
    starving = lines(ratio)
    starving["load 0.5, a lost lock costs a place"] = (COMPARED, [ratio(point) for point in today])
    draw(Path(folder, "scale-starvation.svg"), "Longest wait of an RB over the fair one", "ratio", starving, bar=3.0)
    kinds = {kind: (HOSTS, [max(0.1, calls(point)[kind]) for point in points[0.8]]) for kind in calls(points[0.8][0])}
    draw(Path(folder, "scale-calls.svg"), "Calls of the store at load 0.8", "calls per second", kinds)
    for share, each in points.items():
        for point in each:
            load, figures, fair = point
            sums = {kind: round(value, 1) for kind, value in calls(point).items()}
            print(
                f"load {share:g} hosts {load.hosts}: runs {figures.runs}, median {quantile(figures, 0.5):.1f} s, "
                f"95 % {quantile(figures, 0.95):.1f} s, longest {figures.longest():.1f} s, ideal {max(fair):.1f} s, "
                f"ratio {ratio(point):.2f}, slots in use {figures.used / load.seconds / hosts_slots(load):.2f}, {sums}"
            )
    for point in today:
        print(
            f"a lost lock costs a place: hosts {point[0].hosts}, ratio {ratio(point):.0f}, longest {point[1].longest():.0f} s"
        )


if __name__ == "__main__":
    main(sys.argv[1])
