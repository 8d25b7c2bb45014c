"""HIFI: group the positron counts of each period, correct for dead time, and form the asymmetry against time."""

import json
import os
import sys

import h5py
import numpy as np

sys.path.append("/isis/NDXMUSR/user/scripts/autoreduction")  # copied from MUSR, as so much
import reduce_vars as web_var


def muon_lifetime(t, y, t_from, t_to):
    """slope of log(counts), weighted by the counts"""
    good = (t > t_from) & (t < t_to) & (y > 0)
    slope = np.polyfit(t[good], np.log(y[good]), 1, w=np.sqrt(y[good]))[0]
    return -1.0 / slope


def bunch(y, n):
    usable = len(y) // n * n
    return y[:usable].reshape(-1, n).sum(axis=1)


def main(input_file, output_dir):
    with h5py.File(input_file, "r") as f:
        entry = f["raw_data_1"]
        detector = entry["instrument/detector_1"]
        run = int(entry["run_number"][0])
        counts = detector["counts"][()].astype(float)
        first_good = int(detector["counts"].attrs["first_good_bin"])
        time = detector["corrected_time"][()].astype(float)
        width = float(np.diff(detector["raw_time"][:2])[0])
        n_periods, n_spectra, _ = counts.shape
        dead_time = detector["dead_time"][()].astype(float).reshape(n_periods, n_spectra)
        grouping = detector["grouping"][()].reshape(n_periods, n_spectra)
        time_zero = float(detector["time_zero"][0])
        frames = entry["periods/good_frames"][()]
        labels = entry["periods/labels"][0].decode().split(";")
        total_frames = int(entry["good_frames"][0])
        charge = float(entry["proton_charge"][0])
        named = int(entry["periods/number"][0])

    # the file names three periods (the third is dwell) and holds the counts of two
    print(f"HIFI {run}: {n_periods} periods measured of {named} named: {labels[:n_periods]}")
    dead = [int(s) + 1 for s in np.flatnonzero(counts.sum(axis=(0, 2)) == 0)]
    print("spectra without a count:", dead)

    # muon runs have no proton charge, or 0: then the frames are the norm
    norm = "proton_charge" if charge > 0 else "good_frames"
    alpha, n = float(web_var.standard_vars["alpha"]), int(web_var.standard_vars["bunch"])
    t_max = float(web_var.standard_vars["t max"])
    keep = slice(first_good, int(np.searchsorted(time, t_max)))
    t = bunch(time[keep], n) / n

    results = {
        "instrument": "HIFI",
        "run": run,
        "total_counts": int(counts.sum()),
        "good_frames": total_frames,
        "time_zero": round(time_zero, 5),
        "normalised_to": norm,
        "periods_named": named,
        "dead_spectra": dead,
        "periods": [],
    }
    columns, asymmetries = [t], []
    for period in range(n_periods):
        if frames[period] == 0:
            raise ValueError(f"period {period + 1} ({labels[period]}) has no good frame")
        observed = counts[period]
        loss = observed * dead_time[period][:, None] / (width * frames[period])
        true = observed / (1.0 - loss)
        scale = 1.0 / (charge if charge > 0 else frames[period])
        forward = bunch(true[grouping[period] == 1].sum(axis=0)[keep], n)
        backward = bunch(true[grouping[period] == 2].sum(axis=0)[keep], n)
        both = forward + alpha * backward
        asymmetry = np.divide(forward - alpha * backward, both, out=np.zeros_like(both), where=both > 0)
        error = 2 * alpha * np.sqrt(forward * backward / np.maximum(both, 1.0) ** 3)
        early = (t > 0.2) & (t < 8.0)
        mean = float(np.average(asymmetry[early], weights=1.0 / np.maximum(error[early], 1e-6) ** 2))
        tau = float(muon_lifetime(t, forward + backward, 0.5, 10.0))
        print(f"period {period + 1} ({labels[period]}): mean asymmetry {mean:.4f}, muon lifetime {tau:.4f} us")
        columns += [asymmetry, error, forward * scale, backward * scale]
        asymmetries.append(asymmetry)
        results["periods"].append(
            {
                "label": labels[period],
                "counts": int(observed.sum()),
                "good_frames": int(frames[period]),
                "largest_loss": round(float(loss.max()), 4),
                "mean_asymmetry": round(mean, 5),
                "muon_lifetime": round(tau, 4),
            }
        )

    out = os.path.join(output_dir, f"HIFI{run}")
    head = f"alpha {alpha}, counts per {norm}\ntime(us)" + "".join(
        f"  A{p} eA{p} forward{p} backward{p}" for p in range(1, n_periods + 1)
    )
    np.savetxt(out + "_asymmetry.dat", np.column_stack(columns), fmt="%.8g", header=head)
    with h5py.File(out + ".nxs", "w") as f:
        data = f.create_group("entry/asymmetry")
        f["entry"].attrs["NX_class"], data.attrs["NX_class"] = "NXentry", "NXdata"
        data.attrs["signal"], data.attrs["axes"] = "asymmetry", ["period", "time"]
        data["time"], data["asymmetry"] = t, np.array(asymmetries)
        data["period"] = np.arange(1, n_periods + 1)
    with open(out + "_results.json", "w", encoding="utf-8") as f:
        json.dump(results, f, indent=1, sort_keys=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
