"""LRMECS: incident energy from the two beam monitors, then counts against energy transfer."""

import json
import os
import sys

import h5py
import numpy as np
import reduce_vars as web_var

MEV = 5.22704e-6  # half a neutron mass: energy in meV of a speed of 1 m/s


def peak_time(edges, counts):
    """time of a peak, by a Gaussian through its upper half"""
    t = 0.5 * (edges[1:] + edges[:-1])
    y = counts - np.median(counts)
    top = int(y.argmax())
    left = right = top
    while y[left - 1] > 0.5 * y[top]:
        left -= 1
    while y[right + 1] > 0.5 * y[top]:
        right += 1
    x, z = t[left : right + 1] - t[top], y[left : right + 1]
    a, b, _ = np.polyfit(x, np.log(z), 2, w=np.sqrt(z))
    return float(t[top] - b / (2.0 * a))


def rebin(new, old, y):
    """histogram y on the edges old, shared out over the edges new"""
    return np.diff(np.interp(new, old, np.concatenate([[0.0], np.cumsum(y)])))


def main(input_file, output_dir):
    with h5py.File(input_file, "r") as f:
        entry = f["entry"]
        run = int(entry["run_number"][0])
        title = entry["title"][0].decode()
        nominal = float(entry["instrument/monochromator/energy"][0])
        monitors = []
        for name in ("monitor1", "monitor2"):
            monitor = entry[name]
            edges = monitor["time_of_flight"][()].astype(float)
            monitors.append((float(monitor["distance"][0]), peak_time(edges, monitor["data"][()].astype(float))))
        counts = entry["data/data"][()].astype(float)
        tof = entry["data/time_of_flight"][()].astype(float)
        phi = entry["data/polar_angle"][()].astype(float)
        l2 = entry["instrument/detector/distance"][()].astype(float)

    (x1, t1), (x2, t2) = monitors
    speed = (x2 - x1) / ((t2 - t1) * 1e-6)
    ei = MEV * speed**2
    at_sample = t1 - x1 / speed * 1e6  # the monitor before the sample stands at a negative distance
    predicted = at_sample + float(l2.mean()) / speed * 1e6
    elastic = peak_time(tof, counts.sum(axis=0))
    print(f"LRMECS {run} '{title}'")
    print(f"monitors at {t1:.1f} and {t2:.1f} us: Ei = {ei:.2f} meV, the file says {nominal:g}")
    print(f"elastic line at {elastic:.1f} us, {predicted:.1f} us from the monitors")

    # energy transfer of each channel edge, detector by detector, onto one grid
    low, high, step = web_var.standard_vars["energy"]
    grid = np.arange(low, high + step / 2, step)
    angles = np.abs(phi)
    used = (angles >= web_var.standard_vars["phi range"][0]) & (angles <= web_var.standard_vars["phi range"][1])
    spectrum, variance = np.zeros(len(grid) - 1), np.zeros(len(grid) - 1)
    for i in np.flatnonzero(used):
        final = MEV * (l2[i] / ((tof - at_sample) * 1e-6)) ** 2
        transfer = ei - final  # grows with time, as final energy falls
        ratio = np.sqrt(ei / (0.5 * (final[1:] + final[:-1])))  # ki/kf
        spectrum += rebin(grid, transfer, counts[i] * ratio)
        variance += rebin(grid, transfer, counts[i] * ratio**2)
    centre = 0.5 * (grid[1:] + grid[:-1])
    spectrum, error = spectrum / (used.sum() * step), np.sqrt(variance) / (used.sum() * step)
    offset = peak_time(grid, spectrum)
    print(f"{used.sum()} detectors, elastic line at {offset:+.2f} meV")

    out = os.path.join(output_dir, f"LRMECS{run}")
    table = np.column_stack([centre, spectrum, error])
    np.savetxt(out + "_energy.dat", table, fmt="%.6g", header=f"Ei = {ei:.3f} meV\nenergy transfer(meV) S error")
    with h5py.File(out + ".nxs", "w") as f:
        data = f.create_group("entry/data")
        f["entry"].attrs["NX_class"], data.attrs["NX_class"] = "NXentry", "NXdata"
        data.attrs["signal"], data.attrs["axes"] = "S", "energy_transfer"
        f["entry/incident_energy"] = ei
        data["energy_transfer"], data["S"], data["errors"] = table.T
    results = {
        "instrument": "LRMECS",
        "run": run,
        "total_counts": int(counts.sum()),
        "monitor_times": [round(t1, 2), round(t2, 2)],
        "incident_energy": round(ei, 3),
        "elastic_time": round(elastic, 2),
        "elastic_time_predicted": round(predicted, 2),
        "elastic_energy": round(offset, 3),
        "silent_detectors": int((counts.sum(axis=1) == 0).sum()),
    }
    with open(out + "_results.json", "w", encoding="utf-8") as f:
        json.dump(results, f, indent=1, sort_keys=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
