"""A reduction with an honest mistake: it takes scattering angles to run from 0 to 360 degrees."""

import os

import h5py
import numpy as np


def main(input_file, output_dir):
    with h5py.File(input_file, "r") as file:
        counts = file["raw_data_1/detector_1/counts"][0]
        angle = file["raw_data_1/instrument/detector_1/polar_angle"][()]
    banks = [(angle > 0) & (angle < 180), angle >= 180]  # in the file the second bank has negative angles
    for number, chosen in enumerate(banks, start=1):
        total = counts[chosen].sum()
        print(f"bank {number}: {chosen.sum()} spectra, {total} counts")
        if total == 0:
            raise ValueError(f"no counts in bank {number}")
        np.savetxt(os.path.join(output_dir, f"bank{number}.dat"), counts[chosen].sum(axis=0), fmt="%d")
