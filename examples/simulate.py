"""Measures a powder that does not exist: writes the NeXus file of a small time-of-flight diffractometer.

The file has the layout that ISIS data acquisition writes (`raw_data_1`, TOFRAW): a white beam flies 50 m to a sample of
ceria (CeO2), which scatters into two banks of detectors at right angles, bank 1 at positive and bank 2 at negative
scattering angles. Where a peak must lie is known exactly, so a reduction of this file can be checked.

    python simulate.py DEMO00000101.nxs
"""

from __future__ import annotations

import argparse
import itertools
import os
import re
from typing import Any

import h5py  # type: ignore[import-untyped]
import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]

LATTICE = 5.4114  # angstrom, CeO2, the calibrant of many diffractometers
B_CE, B_O = 4.84, 5.803  # fm, coherent scattering lengths of cerium and oxygen (fluorite structure: one Ce, two O)
L1 = 50.0  # m, moderator to sample
DIFC = 252.778  # us / (angstrom m): time of flight = DIFC * (L1 + L2) * 2 sin(theta) * d
PER_BANK = 20  # spectra in each bank
RESOLUTION = 0.0015  # sigma of a peak, as a part of its d-spacing
EDGES = np.round(np.geomspace(15_000.0, 46_000.0, 1_121), 2).astype(np.float32)  # us, bin width 0.1 %


def reflections(lattice: float, d_min: float) -> dict[float, float]:
    """Gives `{d-spacing in angstrom: relative intensity}` of fluorite: multiplicity times structure factor squared."""
    lines: dict[float, float] = {}
    top = int(lattice / d_min) + 1
    for hkl in itertools.product(range(-top, top + 1), repeat=3):
        square = sum(index * index for index in hkl)
        if square == 0 or len({index % 2 for index in hkl}) != 1 or lattice / square**0.5 < d_min:
            continue  # face-centred: all indices even or all odd
        oxygen = {0: 2.0, 2: -2.0}.get(sum(hkl) % 4, 0.0)  # the two oxygens in step, in opposition, or cancelling
        d = lattice / square**0.5
        lines[d] = lines.get(d, 0.0) + (B_CE + oxygen * B_O) ** 2
    return lines


def expected_counts(two_theta: Array, l2: Array, lattice: float) -> Array:
    """Gives the mean counts of each time channel for detectors at `two_theta` (degrees), `l2` (m) from the sample."""
    edges = EDGES.astype(np.float64)
    middle, width = 0.5 * (edges[1:] + edges[:-1]), np.diff(edges)
    difc = DIFC * (L1 + l2) * 2.0 * np.sin(np.radians(np.abs(two_theta) / 2.0))
    d = middle / difc[:, None]
    wavelength = 2.0 * d * np.sin(np.radians(np.abs(two_theta) / 2.0))[:, None]
    flux = wavelength**-3 * np.exp(-1.1 / wavelength**2) + 0.02  # a cold moderator, in arbitrary units
    sharp = np.zeros_like(d)
    for line, strength in reflections(lattice, 0.75).items():
        sigma = RESOLUTION * line
        sharp += strength * line**4 * np.exp(-0.5 * ((d - line) / sigma) ** 2) / sigma
    rate = flux * (0.0011 * sharp + 30.0)  # Bragg peaks on incoherent scattering
    return rate * width / difc[:, None] * 2_500.0


def simulate(
    path: str,
    *,
    run: int,
    seed: int = 2016,
    instrument: str = "DEMO",
    rb: str = "1510111",
    cycle: str = "15_1",
    title: str = "CeO2 4 x 4 x 15, simulated",
    lattice: float = LATTICE,
    proton_charge: float = 22.5,
) -> str:
    """Writes the run to `path` and returns `path`; the same arguments give the same bytes.

    Args:
        path: The file to write; an older one is replaced.
        run: The run number.
        seed: Seed of the counting noise; each run number has its own noise under one seed.
        instrument: The instrument's name, as its archive folder spells it without `NDX`.
        rb: The experiment's RB number.
        cycle: The ISIS cycle, such as `15_1`.
        title: The run's title.
        lattice: Lattice parameter of the sample in angstrom; a strained sample has another one.
        proton_charge: Beam on target in uAh; twice the beam is twice the counts.
    """
    rng = np.random.default_rng([seed, run])
    half = np.linspace(75.0, 105.0, PER_BANK)
    two_theta = np.concatenate([half, -half])
    l2 = 1.5 + 0.03 * np.cos(np.radians(6.0 * (half - 90.0)))
    l2 = np.concatenate([l2, l2 - 0.02])
    efficiency = rng.uniform(0.85, 1.15, size=2 * PER_BANK)  # no two detectors are alike
    mean = expected_counts(two_theta, l2, lattice) * efficiency[:, None] * (proton_charge / 22.5)
    counts = rng.poisson(mean).astype(np.int32)
    bump = np.exp(-0.5 * ((EDGES[:-1] - 24_000.0) / 6_000.0) ** 2)
    monitor = rng.poisson(4_000.0 * proton_charge / 22.5 * bump).astype(np.int32)
    frames = round(841.3 * proton_charge)

    def one(group: h5py.Group, name: str, value: str | float, dtype: Any = None, **attributes: str) -> None:
        """Stores a single value the way ISIS does: an array of length one, text as fixed-length bytes."""
        data = np.array([value.encode()]) if isinstance(value, str) else np.array([value], dtype=dtype)
        item = group.create_dataset(name, data=data)
        for key, text in attributes.items():
            item.attrs[key] = np.bytes_(text)

    def group(parent: h5py.Group, name: str, nx_class: str) -> h5py.Group:
        made = parent.create_group(name)
        made.attrs["NX_class"] = np.bytes_(nx_class)
        return made

    with h5py.File(path, "w") as file:
        file.attrs["file_name"] = np.bytes_(os.path.basename(path))
        file.attrs["NeXus_version"] = np.bytes_("4.3.0")
        entry = group(file, "raw_data_1", "NXentry")
        one(entry, "definition", "TOFRAW", version="1.0")
        one(entry, "program_name", "simulate.py")
        one(entry, "name", instrument)
        one(entry, "beamline", instrument)
        one(entry, "title", title)
        one(entry, "run_number", run, np.int32)
        one(entry, "run_cycle", cycle)
        one(entry, "experiment_identifier", rb)
        one(entry, "start_time", "2015-07-01T15:29:17", units="ISO8601")
        one(entry, "end_time", "2015-07-01T15:53:16", units="ISO8601")
        one(entry, "duration", 1439.0, np.float32, units="second")
        one(entry, "proton_charge", proton_charge, np.float32, units="uAh")
        one(entry, "good_frames", frames, np.int32)
        one(entry, "raw_frames", round(frames * 1.25), np.int32)

        periods = group(entry, "periods", "IXperiods")
        one(periods, "number", 1, np.int32)
        one(periods, "labels", "Period 1")
        one(periods, "proton_charge", proton_charge, np.float32, units="uAh")
        one(periods, "good_frames", frames, np.int32)

        device = group(entry, "instrument", "NXinstrument")
        one(device, "name", instrument)
        source = group(device, "source", "NXsource")
        one(source, "name", "ISIS")
        one(source, "probe", "neutrons")
        one(source, "type", "Pulsed Neutron Source")
        one(group(device, "moderator", "NXmoderator"), "distance", -L1, np.float32, units="metre")

        detector = group(device, "detector_1", "NXdetector")
        spectra = np.arange(1, 2 * PER_BANK + 1, dtype=np.int32)
        detector.create_dataset("distance", data=l2.astype(np.float32)).attrs["units"] = np.bytes_("metre")
        detector.create_dataset("polar_angle", data=two_theta.astype(np.float32)).attrs["units"] = np.bytes_("degree")
        detector.create_dataset("spectrum_index", data=spectra)
        item = detector.create_dataset("counts", data=counts[None], chunks=(1, 8, counts.shape[1]), compression=6)
        item.attrs["units"] = np.bytes_("counts")
        item.attrs["signal"] = 1
        item.attrs["axes"] = np.bytes_("period_index,spectrum_index,time_of_flight")
        detector.create_dataset("time_of_flight", data=EDGES).attrs["units"] = np.bytes_("microsecond")

        data = group(entry, "detector_1", "NXdata")
        for name in ("counts", "time_of_flight", "spectrum_index"):
            data[name] = detector[name]  # the same data set under a second name
        data.create_dataset("period_index", data=np.array([1], dtype=np.int32))

        beam = group(entry, "monitor_1", "NXmonitor")
        one(beam, "monitor_number", 1, np.int32)
        beam.create_dataset("data", data=monitor[None, None]).attrs["units"] = np.bytes_("counts")
        beam.create_dataset("time_of_flight", data=EDGES).attrs["units"] = np.bytes_("microsecond")
        group(entry, "sample", "NXsample")
    return path


def main() -> None:
    """Reads the command line and writes one run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", metavar="OUT.nxs", help="file to write; INSTRUMENT and RUN are read off its name")
    parser.add_argument("--run", type=int, help="run number (default: the digits of the file name, else 101)")
    parser.add_argument("--seed", type=int, default=2016, help="seed of the counting noise (default 2016)")
    parser.add_argument("--lattice", type=float, default=LATTICE, help="lattice parameter in angstrom (default 5.4114)")
    options = parser.parse_args()
    named = re.fullmatch(r"([A-Za-z_]+?)0*(\d+)", os.path.splitext(os.path.basename(options.out))[0])
    instrument, number = (named[1].upper(), int(named[2])) if named else ("DEMO", 101)
    run = number if options.run is None else options.run
    simulate(options.out, run=run, seed=options.seed, instrument=instrument, lattice=options.lattice)
    print(f"{options.out}: {instrument} run {run}, {os.path.getsize(options.out) / 1024:.0f} kB")


if __name__ == "__main__":
    main()
