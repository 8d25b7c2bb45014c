"""Platypus: specular reflectivity of one angle, from the reflected run and the direct beam that lies beside it."""

import json
import os
import re
import sys

import h5py
import numpy as np
import reduce_vars as web_var

H_M = 3956.034  # Planck's constant over the neutron mass, angstrom m/s
OPENINGS = {1: 60.0, 2: 10.0, 3: 25.0, 4: 60.0}  # degrees, windows of the four chopper discs


class Beam:
    """one run, as far as a reflectivity needs it"""

    def __init__(self, path):
        with h5py.File(path, "r") as f:
            entry = f["entry1"]
            self.image = entry["data/hmm"][0, :, :, 0].astype(float)  # time, height
            self.tof = entry["data/time_of_flight"][()].astype(float)
            self.sample = entry["sample/name"][0].decode()
            self.monitor = float(entry["monitor/bm1_counts"][0])
            par = entry["instrument/parameters"]
            self.omega = float(par["omega"][0])
            self.height = float(entry["instrument/detector/vertical_translation"][0])
            self.to_detector = float(entry["instrument/detector/longitudinal_translation"][0])
            self.pixel = float(par["y_pixels_per_mm"][0])  # named the wrong way round: it is mm per pixel
            master, slave = int(par["master"][0]), int(par["slave"][0])
            chopper = entry["instrument/disk_chopper"]
            frequency = abs(float(chopper["ch1speed"][0])) / 60.0
            phase = 0.5 * (OPENINGS[master] + OPENINGS[slave]) - float(chopper[f"ch{slave}phase"][0])
            phase -= float(par[f"chopper{slave}_phase_offset"][0])
            pair = [float(par[f"chopper{disc}_distance"][0]) for disc in (master, slave)]
            # the clock starts in the middle of the master's window, the neutrons at its edge
            late = float(par[f"chopper{master}_phase_offset"][0]) + OPENINGS[master] - phase
            self.tof -= 1e6 * late / (720.0 * frequency)
            path_mm = float(par["sample_distance"][0]) - 0.5 * sum(pair)
        profile = self.image.sum(axis=0)
        self.peak = int(profile.argmax())
        near = slice(self.peak - 6, self.peak + 7)
        self.centre = float((np.arange(len(profile))[near] * profile[near]).sum() / profile[near].sum())
        self.flight_path = (path_mm + self.to_detector) / 1000.0

    def spectrum(self, wavelengths):
        """counts in the peak less the background beside it, for each wavelength bin, with the variance"""
        half, gap, width = (int(web_var.advanced_vars[key]) for key in ("half width", "gap", "background width"))
        low, high = self.peak - half, self.peak + half + 1
        sides = np.r_[low - gap - width : low - gap, high + gap : high + gap + width]
        peak = self.image[:, low:high].sum(axis=1)
        beside = self.image[:, sides].sum(axis=1)
        share = (high - low) / len(sides)
        edges = H_M * self.tof * 1e-6 / self.flight_path
        rebinned = [
            np.diff(np.interp(wavelengths, edges, np.concatenate([[0.0], np.cumsum(y)]))) for y in (peak, beside)
        ]
        return rebinned[0] - share * rebinned[1], rebinned[0] + share**2 * rebinned[1]


def main(input_file, output_dir):
    # the file itself says run 0; its name knows better
    run = int(re.search(r"PLP(\d+)", os.path.basename(input_file)).group(1))
    direct_run = int(web_var.standard_vars["direct beam"])
    direct_file = os.path.join(os.path.dirname(input_file), f"PLP{direct_run:07d}.nx.hdf")
    reflected, direct = Beam(input_file), Beam(direct_file)
    print(f"PLP {run} '{reflected.sample}', direct beam {direct_run}")
    print(f"peak pixel {reflected.peak} (reflected), {direct.peak} (direct)")

    # the detector moved up to catch the reflected beam; pixels count downwards
    rise = reflected.height - direct.height - (reflected.centre - direct.centre) * reflected.pixel
    theta = 0.5 * np.arctan(rise / reflected.to_detector)
    print(f"angle of incidence {np.degrees(theta):.4f} deg, omega was set to {reflected.omega:g}")

    low, high = web_var.standard_vars["wavelengths"]
    edges = np.geomspace(low, high, int(web_var.standard_vars["bins"]) + 1)
    wavelength = np.sqrt(edges[1:] * edges[:-1])
    up, up_var = reflected.spectrum(edges)
    down, down_var = direct.spectrum(edges)
    if (down <= 0).any():
        raise ValueError("the direct beam has wavelengths without a neutron: narrow 'wavelengths'")
    reflectivity = (up / reflected.monitor) / (down / direct.monitor)
    error = np.sqrt(up_var / down**2 + up**2 * down_var / down**4) * direct.monitor / reflected.monitor
    q = 4.0 * np.pi * np.sin(theta) / wavelength

    order = np.argsort(q)
    table = np.column_stack([q, reflectivity, error])[order]
    out = os.path.join(output_dir, f"PLP{run:07d}")
    np.savetxt(out + "_reflectivity.dat", table, fmt="%.6e", header="Q(1/A) R dR")
    with h5py.File(out + ".nxs", "w") as f:
        data = f.create_group("entry/reflectivity")
        f["entry"].attrs["NX_class"], data.attrs["NX_class"] = "NXentry", "NXdata"
        data.attrs["signal"], data.attrs["axes"] = "R", "Q"
        data["Q"], data["R"], data["errors"] = table.T
    results = {
        "instrument": "PLATYPUS",
        "run": run,
        "direct_run": direct_run,
        "total_counts": int(reflected.image.sum()),
        "direct_total_counts": int(direct.image.sum()),
        "peak_pixel": reflected.peak,
        "direct_peak_pixel": direct.peak,
        "omega": round(reflected.omega, 4),
        "theta": round(float(np.degrees(theta)), 4),
        "q_range": [round(float(table[0, 0]), 5), round(float(table[-1, 0]), 5)],
        "reflectivity_lowest_q": round(float(table[0, 1]), 7),
        "reflectivity_highest_q": round(float(table[-1, 1]), 9),
    }
    with open(out + "_results.json", "w", encoding="utf-8") as f:
        json.dump(results, f, indent=1, sort_keys=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
