"""Reduces a time-of-flight powder run: counts against time become intensity against d-spacing, bank by bank.

Each detector pixel has its own flight path L and scattering angle 2 theta, so each sees a Bragg peak at its own time.
Bragg's law and de Broglie's wavelength put them on one axis:

    time of flight = DIFC d,    DIFC = 252.778 us/(angstrom m) * L * 2 sin(theta)

Written into the output folder, for a run DEMO101: DEMO101_bank1.dat and _bank2.dat (the patterns), DEMO101_peaks.dat
(what was found), DEMO101_reduced.nxs (all of it) and DEMO101.png (a look at it).

    python reduce.py DEMO00000101.nxs results/
"""

import os
import sys

import h5py
import matplotlib as mpl
import numpy as np
import reduce_vars as web_var
from matplotlib.figure import Figure

mpl.use("Agg")  # no screen where this runs

DIFC = 252.778  # neutron mass / Planck's constant, in us / (angstrom m)


def read_run(path):
    """Reads what the run says of itself and of its detectors; the counts stay in the file for now."""
    with h5py.File(path, "r") as file:
        entry = file["raw_data_1"]
        detector = entry["instrument/detector_1"]
        return {
            "instrument": entry["instrument/name"][0].decode(),
            "run": int(entry["run_number"][0]),
            "title": entry["title"][0].decode().strip(),
            "charge": float(entry["proton_charge"][0]),
            "frames": int(entry["good_frames"][0]),
            "tof": entry["detector_1/time_of_flight"][()].astype(float),
            "l2": detector["distance"][()].astype(float),
            "two_theta": detector["polar_angle"][()].astype(float),
        }


def focus(path, run, pixels, d_edges):
    """Sums the counts of `pixels` on a common d axis, each time channel shared out over the d bins it overlaps."""
    length = float(web_var.advanced_vars["primary_flight_path"]) + run["l2"]
    difc = DIFC * length * 2.0 * np.sin(np.radians(np.abs(run["two_theta"]) / 2.0))
    pattern = np.zeros(len(d_edges) - 1)
    with h5py.File(path, "r") as file:
        counts = file["raw_data_1/detector_1/counts"]
        for first in range(pixels[0], pixels[-1] + 1, 200):  # 200 spectra at a time: a real run has 22 million bins
            last = min(first + 200, pixels[-1] + 1)
            for pixel, spectrum in enumerate(counts[0, first:last], start=first):
                if pixel in pixels:
                    running_sum = np.concatenate([[0.0], np.cumsum(spectrum)])
                    pattern += np.diff(np.interp(d_edges, run["tof"] / difc[pixel], running_sum))
    return pattern


def background(pattern, width):
    """Follows the floor of a pattern: the lower fifth of its neighbourhood, `width` bins to either side."""
    padded = np.pad(pattern, width, mode="edge")
    return np.percentile(np.lib.stride_tricks.sliding_window_view(padded, 2 * width + 1), 20, axis=1)


def find_peaks(d, pattern, floor):
    """Finds the peaks that stand out of the floor, and fits a Gaussian to the upper half of each.

    Returns a list of (position, height, full width at half maximum).
    """
    smooth = max(1, int(web_var.advanced_vars["smooth"]))
    net = np.convolve(pattern - floor, np.ones(smooth) / smooth, mode="same")
    lowest = max(float(web_var.advanced_vars["min_height"]) * net.max(), 5.0 * np.sqrt(floor.mean() / smooth))
    peaks = []
    for i in range(2, len(net) - 2):
        if net[i] < lowest or net[i] < net[i - 2 : i + 3].max():
            continue
        left, right = i, i
        while left > 0 and net[left - 1] > 0.5 * net[i]:
            left -= 1
        while right < len(net) - 1 and net[right + 1] > 0.5 * net[i]:
            right += 1
        if right - left < 4 or net[left : right + 1].max() > net[i]:
            continue  # a spike of noise, or the shoulder of a higher peak
        x, y = d[left : right + 1] - d[i], np.maximum((pattern - floor)[left : right + 1], 1.0)
        c2, c1, c0 = np.polyfit(x, np.log(y), 2, w=np.sqrt(y))  # the logarithm of a Gaussian is a parabola
        if c2 < 0 and abs(c1 / (2 * c2)) < x[-1] - x[0]:
            position = d[i] - c1 / (2 * c2)
            if not peaks or position - peaks[-1][0] > x[-1] - x[0]:
                peaks.append((position, np.exp(c0 - c1 * c1 / (4 * c2)), 2.3548 / np.sqrt(-2.0 * c2)))
    return peaks


def cubic_lines(a, d_min, d_max):
    """Gives {hkl: d} of a face-centred cubic lattice: h, k and l are all even or all odd."""
    top = int(a / d_min) + 1
    indices = [(h, k, m) for h in range(top) for k in range(h + 1) for m in range(k + 1) if h % 2 == k % 2 == m % 2]
    lines = {f"{h}{k}{m}": a / np.sqrt(h * h + k * k + m * m) for h, k, m in reversed(indices) if h}
    return {hkl: d for hkl, d in lines.items() if d_min < d < d_max}


def name_peaks(peaks, lines):
    """Gives the hkl of each peak, or '-' for one that is not within 0.5 % of a line."""
    names = []
    for position, _, _ in peaks:
        nearest = min(lines, key=lambda hkl: abs(lines[hkl] - position), default="-")
        near = nearest != "-" and abs(position / lines[nearest] - 1) < 0.005
        names.append(nearest if near else "-")
    return names


def plot(path, run, banks, unit):
    """Draws the banks above each other, every peak marked; the square root scale lets the weak ones be seen."""
    figure = Figure(figsize=(10, 6.4), dpi=120, layout="constrained")
    axes = figure.subplots(len(banks), 1, sharex=True, squeeze=False)[:, 0]
    for axis, bank, colour in zip(axes, banks, ["#1f5f8b", "#a8402f"], strict=True):
        axis.set_yscale("function", functions=(lambda y: np.sqrt(np.maximum(y, 0)), np.square))
        axis.fill_between(bank["d"], bank["intensity"], color=colour, alpha=0.15, linewidth=0)
        axis.plot(bank["d"], bank["intensity"], color=colour, linewidth=1.0)
        for (position, _, _), name in zip(bank["peaks"], bank["names"], strict=True):
            height = bank["intensity"][np.abs(bank["d"] / position - 1) < 0.004].max()
            label = f"{position:.4f}" + (f"  ({name})" if name != "-" else "")
            axis.annotate("\u25bc", (position, height), (0, 3), textcoords="offset points", ha="center", fontsize=6)
            place = {"ha": "center", "va": "bottom", "rotation": 90}
            axis.annotate(label, (position, height), (0, 13), textcoords="offset points", fontsize=8, **place)
        axis.set_ylim(0, 2.5 * bank["intensity"].max())
        axis.locator_params(axis="y", nbins=6)
        axis.set_ylabel(f"counts per {unit}")
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="x", color="#e4e4e4", linewidth=0.6)
        note = f"bank {bank['number']} ({bank['label']}), {bank['pixels']} spectra"
        if bank["a"] is not None:
            note += f"     a = {bank['a']:.5f} ± {bank['a_error']:.5f} Å"
        axis.set_title(note, loc="left", fontsize=10, color=colour)
    axes[-1].set_xlabel("d-spacing (Å)")
    axes[-1].set_xlim(banks[0]["d"][0], banks[0]["d"][-1])
    figure.suptitle(f"{run['instrument']} {run['run']}: {run['title']}", fontsize=12)
    figure.savefig(path, metadata={"Software": None})  # the same run gives the same bytes


def save_nexus(path, run, banks, unit):
    """Writes the patterns and the peaks as NeXus, one NXdata for each bank."""
    with h5py.File(path, "w") as file:
        entry = file.create_group("reduced")
        entry.attrs["NX_class"] = "NXentry"
        entry["title"] = run["title"]
        entry["run_number"] = run["run"]
        for bank in banks:
            group = entry.create_group(f"bank{bank['number']}")
            group.attrs["NX_class"], group.attrs["signal"], group.attrs["axes"] = "NXdata", "intensity", "d"
            group["d"], group["intensity"], group["errors"] = bank["d"], bank["intensity"], bank["error"]
            group["d"].attrs["units"], group["intensity"].attrs["units"] = "angstrom", f"counts per {unit}"
            group["peaks"] = np.array(bank["peaks"]).reshape(-1, 3)
            group["peaks"].attrs["columns"] = "d, height, fwhm"


def main(input_file, output_dir):
    settings, advanced = web_var.standard_vars, web_var.advanced_vars
    run = read_run(input_file)
    print(f"{run['instrument']} run {run['run']}: {run['title']}")

    # A run without beam has no charge: then the frames are what it can be normalised to.
    unit, beam = ("uAh", run["charge"]) if run["charge"] > 0 else ("frame", max(run["frames"], 1))
    print(f"normalised to {beam:g} {unit}")

    edges = np.geomspace(float(settings["d_min"]), float(settings["d_max"]), int(settings["bins"]) + 1)
    d = np.sqrt(edges[1:] * edges[:-1])
    a = settings["lattice_a"]
    lines = {} if a in (None, "None", "") else cubic_lines(float(a), edges[0], edges[-1])

    low, high = advanced["two_theta_range"]
    banks = []
    for number, (label, sign) in enumerate(zip(advanced["bank names"], (+1, -1), strict=True), start=1):
        angle = sign * run["two_theta"]
        pixels = np.flatnonzero((angle >= low) & (angle <= high))
        if len(pixels) == 0:
            raise ValueError(f"bank {number} ({label}) has no detector between {low} and {high} degrees")
        counts = focus(input_file, run, pixels, edges)
        if counts.sum() == 0:
            raise ValueError(f"no counts in bank {number} ({label})")
        floor = background(counts, len(d) // 25)
        peaks = find_peaks(d, counts, floor)
        names = name_peaks(peaks, lines)
        named = [(p[0], name) for p, name in zip(peaks, names, strict=True) if name != "-"]
        cells = np.array([position * float(a) / lines[name] for position, name in named])
        banks.append(
            {
                "number": number,
                "label": label,
                "pixels": len(pixels),
                "d": d,
                "intensity": counts / beam,
                "error": np.sqrt(counts) / beam,
                "peaks": [(position, height / beam, width) for position, height, width in peaks],
                "names": names,
                "a": cells.mean() if len(cells) > 1 else None,
                "a_error": cells.std(ddof=1) / np.sqrt(len(cells)) if len(cells) > 1 else None,
            }
        )
        print(f"bank {number} ({label}): {len(pixels)} spectra, {counts.sum():.0f} counts, {len(peaks)} peaks")

    stem = os.path.join(output_dir, f"{run['instrument']}{run['run']}")
    with open(stem + "_peaks.dat", "w", encoding="utf-8") as table:
        table.write("# bank  hkl   d/angstrom    height     fwhm/angstrom\n")
        for bank in banks:
            columns = np.column_stack([bank["d"], bank["intensity"], bank["error"]])
            head = f"{run['instrument']} {run['run']} bank {bank['number']}\nd/angstrom  counts/{unit}  error"
            np.savetxt(f"{stem}_bank{bank['number']}.dat", columns, fmt="%.6f", header=head)
            table.writelines(
                f"{bank['number']:6d} {name:>5s} {position:11.5f} {height:11.3f} {width:12.5f}\n"
                for (position, height, width), name in zip(bank["peaks"], bank["names"], strict=True)
            )
    save_nexus(stem + "_reduced.nxs", run, banks, unit)
    plot(stem + ".png", run, banks, unit)
    print(f"written: {stem}*")


if __name__ == "__main__":
    os.makedirs(sys.argv[2], exist_ok=True)
    main(sys.argv[1], sys.argv[2])
