"""Real measured runs, laid out as an ISIS archive, with the message that asks for their reduction and the answers that must come."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from typing import Any

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
REDUCTIONS = os.path.join(ROOT, "tests", "acceptance", "reductions")

# name, sha256: the data folder's own README has the same table
FILES = {
    "ENGINX00241391.nxs": "5a7167342f42852c2eddf38dc20893c11130bb5bcc73bde6e828420ba1e72896",
    "HIFI00183810.nxs": "554afb9b0711027ae7070fab84d79d114d2082db17864c2c13fe51706fa6dcf7",
    "LRMECS3701.nxs": "1a30ddf85ff9731ed69429ee9460576d3a7dad1dedf48afb7c2143bbe7d43b2d",
    "PLP0016596.nx.hdf": "d30847ac0b2d69cc6e2769f3d18eb1b9f40afd2fee74fa29f75e99c4f2086bde",
    "PLP0016590.nx.hdf": "e5578a639687314ad85b16578ac65b45bd34bc7fa373205569bf4c4e8e945d4a",
}
CERIA = (1.9132, 1.6316, 1.5621, 1.3529, 1.2415, 1.2101)  # angstrom


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedRun:
    """One run in the archive.

    Attributes:
        name: Key of `lay_out`'s answer and stem of the reduction script: `enginx`, `hifi`, `lrmecs`, `platypus`.
        instrument: As the archive folder spells it, without `NDX`.
        run: The run number as the end-of-run monitor sends it: text, zero padded.
        rb: The experiment; text, for not every facility numbers its experiments.
        cycle: The cycle, such as `15_1`.
        path: Where the data file really is now.
        linux: The path a Linux producer names: `/isis/NDX...`.
        windows: The path a Windows producer names: `\\\\isis\\inst$\\NDX...`.
        script: Text of the reduction script.
        reduction_arguments: `standard_vars` and `advanced_vars` of the message.
        outputs: Names of every file that the reduction writes.
    """

    name: str
    instrument: str
    run: str
    rb: str
    cycle: str
    path: str
    linux: str
    windows: str
    script: str
    reduction_arguments: dict[str, dict[str, Any]]
    outputs: tuple[str, ...]


# instrument, run, rb, cycle, files (the run itself first), arguments, outputs. The RB numbers of ENGIN-X and HIFI and
# the proposal of Platypus stand in the files; LRMECS knew none, so its number is invented.
RUNS: dict[str, tuple[str, str, str, str, tuple[str, ...], dict[str, dict[str, Any]], tuple[str, ...]]] = {
    "enginx": (
        "ENGINX",
        "00241391",
        "1510111",
        "15_1",
        ("ENGINX00241391.nxs",),
        {
            "standard_vars": {"vanadium-run": "None", "d range": [1.0, 2.2], "bins": 2000, "lines": list(CERIA)},
            "advanced_vars": {"north": [1, 1200], "south": [1201, 2400], "spectra per read": 200},
        },
        ("ENGINX241391.nxs", "ENGINX241391_bank1.dat", "ENGINX241391_bank2.dat", "ENGINX241391_results.json"),
    ),
    "hifi": (
        "HIFI",
        "00183810",
        "2220092",
        "23_3",
        ("HIFI00183810.nxs",),
        {"standard_vars": {"alpha": 1.0, "bunch": 5, "t max": 16.0}, "advanced_vars": {}},
        ("HIFI183810.nxs", "HIFI183810_asymmetry.dat", "HIFI183810_results.json"),
    ),
    "lrmecs": (
        "LRMECS",
        "3701",
        "103701",
        "01_1",
        ("LRMECS3701.nxs",),
        {"standard_vars": {"energy": [-30.0, 110.0, 1.0], "phi range": [3, 120.0]}, "advanced_vars": {}},
        ("LRMECS3701.nxs", "LRMECS3701_energy.dat", "LRMECS3701_results.json"),
    ),
    "platypus": (
        "PLATYPUS",
        "0016596",
        "IC3515",
        "14_2",
        ("PLP0016596.nx.hdf", "PLP0016590.nx.hdf"),
        {
            "standard_vars": {"direct beam": "16590", "wavelengths": [2.8, 18.0], "bins": 50},
            "advanced_vars": {"half width": 6, "gap": 6, "background width": 12},
        },
        ("PLP0016596.nxs", "PLP0016596_reflectivity.dat", "PLP0016596_results.json"),
    ),
}


def data_folder() -> str:
    """Gives the folder of the real data files: `$AUTOREDUCE_DATA`, else `../shared/data` beside the checkout.

    Raises:
        AssertionError: The folder or one of its files is not there; the text says what to set.
    """
    named = os.environ.get("AUTOREDUCE_DATA") or os.path.join(ROOT, os.pardir, "shared", "data")
    folder = os.path.abspath(named)
    missing = [name for name in FILES if not os.path.isfile(os.path.join(folder, name))]
    if missing:
        raise AssertionError(
            f"the real data files {', '.join(missing)} are not in {folder}; "
            "set AUTOREDUCE_DATA to the folder that holds them"
        )
    return folder


def copy_unchanged(name: str, folder: str) -> str:
    """Copies the real data file `name` into `folder`, checked against its digest, and gives the copy's path."""
    source, copy = os.path.join(data_folder(), name), os.path.join(folder, name)
    shutil.copyfile(source, copy)
    with open(copy, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    assert digest == FILES[name], f"{source} is not the file that was measured: sha256 {digest}; fetch it again"
    return copy


def lay_out(archive_root: str) -> dict[str, ArchivedRun]:
    """Lays the real files out below `archive_root` as an ISIS archive, and gives the runs by name.

    `archive_root` stands for `/isis`: the files land in `<archive_root>/NDX<INST>/Instrument/data/cycle_<cycle>/`.
    """
    laid: dict[str, ArchivedRun] = {}
    for name, (instrument, run, rb, cycle, files, arguments, outputs) in RUNS.items():
        below = os.path.join(f"NDX{instrument}", "Instrument", "data", f"cycle_{cycle}")
        folder = os.path.join(archive_root, below)
        os.makedirs(folder, exist_ok=True)
        path, *_ = [copy_unchanged(file, folder) for file in files]
        with open(os.path.join(REDUCTIONS, f"{name}.py"), encoding="utf-8") as script:
            text = script.read()
        laid[name] = ArchivedRun(
            name=name,
            instrument=instrument,
            run=run,
            rb=rb,
            cycle=cycle,
            path=path,
            linux=f"/isis/{below}/{files[0]}",
            windows="\\\\isis\\inst$\\" + below.replace("/", "\\") + "\\" + files[0],
            script=text,
            reduction_arguments=arguments,
            outputs=outputs,
        )
    return laid


def message(run: ArchivedRun) -> dict[str, Any]:
    """Gives the message that asks for the run's reduction, as the web app of 2016 sends it for a new run."""
    return {
        "facility": "ISIS",
        "instrument": run.instrument,
        "rb_number": run.rb,
        "run_number": run.run,
        "run_version": 0,
        "data": run.windows,
        "reduction_script": run.script,
        "reduction_arguments": json.loads(json.dumps(run.reduction_arguments)),
    }


def check(run: ArchivedRun, result_dir: str) -> dict[str, Any]:
    """Asserts that `result_dir` holds the run's results, and the known answers in them; gives the results.

    Files beside the run's own (`reduction_log`, other runs) are no concern of this check.
    """
    for name in run.outputs:
        path = os.path.join(result_dir, name)
        assert os.path.isfile(path), f"{run.name}: {name} is not in {result_dir}"
        assert os.path.getsize(path) > 0, f"{run.name}: {name} in {result_dir} is empty"
    (results_name,) = (name for name in run.outputs if name.endswith("_results.json"))
    with open(os.path.join(result_dir, results_name), encoding="utf-8") as file:
        results: dict[str, Any] = json.load(file)
    assert (results["instrument"], results["run"]) == (run.instrument, int(run.run))
    {"enginx": _enginx, "hifi": _hifi, "lrmecs": _lrmecs, "platypus": _platypus}[run.name](results)
    return results


def _close(found: float, known: float, tolerance: float, what: str) -> None:
    assert abs(found - known) <= tolerance, f"{what}: found {found}, known {known} within {tolerance}"


def _enginx(results: dict[str, Any]) -> None:
    assert results["total_counts"] == 112_203_061
    _close(results["proton_charge"], 22.57, 0.005, "proton charge in uAh")
    # known to 0.15 % (north, bank 1) and 0.02 % (south, bank 2), each to its last digit
    for bank, part in (("1", 0.00155), ("2", 0.00025)):
        for found, known in zip(results["banks"][bank], CERIA, strict=True):
            _close(found, known, part * known, f"CeO2 line of bank {bank} in angstrom")


def _hifi(results: dict[str, Any]) -> None:
    assert results["total_counts"] == 10_060_174
    assert results["good_frames"] == 40_969
    assert results["normalised_to"] == "good_frames", "the run has no proton charge"
    assert results["periods_named"] == 3
    _close(results["time_zero"], 0.03745, 1e-5, "time zero in us")
    assert [period["label"] for period in results["periods"]] == ["Laser on", "Laser off"]
    # the file keeps the periods' own totals, in millions: 5.03364 and 5.026534
    assert [period["counts"] for period in results["periods"]] == [5_033_640, 5_026_534]
    for period in results["periods"]:
        _close(period["muon_lifetime"], 2.197, 0.011, "lifetime of the muon in us")  # 0.5 %
    on, off = (period["mean_asymmetry"] for period in results["periods"])
    assert 0.15 < off < on < 0.30, f"the laser slows the relaxation: {on} with it, {off} without"


def _lrmecs(results: dict[str, Any]) -> None:
    assert results["total_counts"] == 2_666_912
    for found, known in zip(results["monitor_times"], (1427.5, 2176.9), strict=True):
        _close(found, known, 1.0, "monitor peak in us")  # half a channel of the second monitor
    _close(results["incident_energy"], 129.66, 0.1, "incident energy in meV")
    _close(results["elastic_time"], 2026.0, 2.0, "elastic line in us")  # one channel
    _close(results["elastic_time_predicted"], 2026.0, 2.0, "elastic line from the monitors in us")
    _close(results["elastic_energy"], 0.0, 2.0, "elastic line in meV")


def _platypus(results: dict[str, Any]) -> None:
    assert (results["total_counts"], results["direct_total_counts"]) == (97_274, 821_732)
    assert (results["direct_run"], results["peak_pixel"], results["direct_peak_pixel"]) == (16_590, 114, 113)
    _close(results["omega"], 1.6, 1e-4, "omega in degrees")
    _close(results["theta"], 1.6, 0.032, "angle of incidence seen by the detector in degrees")  # 2 %
    # well above the critical edge of D2O (0.0147 1/A) the reflectivity is a few per cent, and falls by decades
    assert 0.01 < results["reflectivity_lowest_q"] < 0.1
    assert 0.0 < results["reflectivity_highest_q"] < 5e-4
