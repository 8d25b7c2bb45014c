"""ENGIN-X: focus both banks of a calibration run to d-spacing and say where the lines of the calibrant are."""

import json
import os
import sys

import h5py
import numpy as np

sys.path.append("/isis/NDXENGINX/user/scripts/autoreduction")
import reduce_vars as web_var

H_OVER_M = 252.778  # 1/252.778 is Planck's constant over the neutron mass, in angstrom m / us
L1 = 50.0


def cast_string_to_none(value):
    # the web page sends None as text
    return None if value == "None" else value


def focus(counts, spectra, edges, tof, difc):
    """counts of the spectra (first, last), numbered from 1, on the d grid"""
    first, last = spectra
    total = np.zeros(len(edges) - 1)
    step = int(web_var.advanced_vars["spectra per read"])
    for start in range(first - 1, last, step):
        stop = min(start + step, last)
        block = counts[0, start:stop, :]
        for i in range(stop - start):
            cumulative = np.concatenate([[0.0], np.cumsum(block[i])])
            total += np.diff(np.interp(edges, tof / difc[start + i], cumulative))
    return total


def line_position(d, y, near):
    """peak position by a Gaussian through the upper half of the peak, background taken off"""
    window = np.abs(d / near - 1.0) < 0.006
    x, net = d[window] - near, y[window] - np.percentile(y[window], 15)
    top = net > 0.5 * net.max()
    a, b, _ = np.polyfit(x[top], np.log(net[top]), 2, w=np.sqrt(net[top]))
    if a >= 0:
        raise RuntimeError(f"no line near {near} A")
    return near - b / (2.0 * a)


def main(input_file, output_dir):
    settings = web_var.standard_vars
    vanadium = cast_string_to_none(settings["vanadium-run"])
    if vanadium is not None:
        raise ValueError(f"vanadium run {vanadium} given, but this script only does calibration runs")

    with h5py.File(input_file, "r") as f:
        entry = f["raw_data_1"]
        run = int(entry["run_number"][0])
        title = entry["title"][0].decode()
        charge = float(entry["proton_charge"][0])
        tof = entry["detector_1/time_of_flight"][()].astype(float)
        l2 = entry["instrument/detector_1/distance"][()].astype(float)
        theta = np.radians(np.abs(entry["instrument/detector_1/polar_angle"][()].astype(float))) / 2.0
        counts = entry["detector_1/counts"]
        difc = H_OVER_M * (L1 + l2) * 2.0 * np.sin(theta)
        print(f"ENGINX {run} '{title}' {counts.shape[1]} spectra x {counts.shape[2]} channels, {charge:.3f} uAh")

        edges = np.geomspace(settings["d range"][0], settings["d range"][1], settings["bins"] + 1)
        d = 0.5 * (edges[1:] + edges[:-1])
        banks = {}
        for bank, (first, last) in enumerate([web_var.advanced_vars["north"], web_var.advanced_vars["south"]], 1):
            banks[bank] = focus(counts, (first, last), edges, tof, difc)
            print(f"bank {bank}: spectra {first}-{last}, {banks[bank].sum():.0f} counts")

        everything = 0
        for start in range(0, counts.shape[1], 400):
            everything += int(counts[0, start : start + 400, :].sum(dtype=np.int64))

    scale = 1.0 / charge if charge > 0 else 1.0
    results = {"instrument": "ENGINX", "run": run, "title": title, "proton_charge": round(charge, 4), "banks": {}}
    results["total_counts"] = everything
    out = os.path.join(output_dir, f"ENGINX{run}")
    with h5py.File(out + ".nxs", "w") as f:
        entry = f.create_group("entry")
        entry.attrs["NX_class"] = "NXentry"
        for bank, y in banks.items():
            lines = [line_position(d, y, near) for near in settings["lines"]]
            results["banks"][str(bank)] = [round(float(x), 5) for x in lines]
            for near, found in zip(settings["lines"], lines, strict=True):
                print(f"bank {bank}: {near:.4f} A found at {found:.4f} A, {100 * (found / near - 1):+.3f} %")
            table = np.column_stack([d, y * scale, np.sqrt(y) * scale])
            np.savetxt(f"{out}_bank{bank}.dat", table, fmt="%.6f", header="d(A) counts/uAh error")
            data = entry.create_group(f"bank{bank}")
            data.attrs["NX_class"], data.attrs["signal"], data.attrs["axes"] = "NXdata", "y", "d"
            data["d"], data["y"], data["e"] = table.T
    with open(out + "_results.json", "w", encoding="utf-8") as f:
        json.dump(results, f, indent=1, sort_keys=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
