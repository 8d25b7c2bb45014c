"""The examples do what the tutorial says of them: a run is simulated, reduced, and three mistakes are mistakes."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import h5py
import numpy as np
import psutil
import pytest
from waiting import wait_until

EXAMPLES = os.path.join(os.path.dirname(__file__), os.pardir, os.pardir, "examples")
CERIA = [0.9566, 1.0414, 1.1046, 1.2100, 1.2415, 1.3529, 1.5621, 1.6316, 1.9132]  # angstrom, in the range of reduce.py
CALL_MAIN = "import sys; sys.path.insert(0, sys.argv[1]); __import__(sys.argv[2]).main(sys.argv[3], sys.argv[4])"


@pytest.fixture(scope="module")
def simulate():
    spec = importlib.util.spec_from_file_location("simulate", os.path.join(EXAMPLES, "simulate.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def data(simulate, tmp_path_factory):
    return simulate.simulate(str(tmp_path_factory.mktemp("data") / "DEMO00000101.nxs"), run=101)


def python(*arguments, home):
    return [sys.executable, "-B", "-W", "error", *arguments], {"PATH": os.defpath, "HOME": str(home)}


def finish(*arguments, home):
    command, environment = python(*arguments, home=home)
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)


def reduce_bare(data, folder):
    ended = finish(os.path.join(EXAMPLES, "reduce.py"), data, str(folder), home=folder.parent)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def start_main(script, data, folder):
    """Starts `main` of an example and gives the process, with its standard output to read progress from."""
    command, environment = python("-c", CALL_MAIN, EXAMPLES, script, data, str(folder), home=folder)
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def test_the_same_seed_writes_the_same_bytes_and_another_seed_another_run(simulate, data, tmp_path):
    same = simulate.simulate(str(tmp_path / "DEMO00000101.nxs"), run=101)
    with open(data, "rb") as first, open(same, "rb") as second:
        assert first.read() == second.read()
    other = simulate.simulate(str(tmp_path / "other.nxs"), run=101, seed=7)
    with h5py.File(data) as first, h5py.File(other) as second:
        name = "raw_data_1/detector_1/counts"
        assert not np.array_equal(first[name][()], second[name][()])


def test_a_simulated_run_is_laid_out_like_a_file_of_the_acquisition_system(data):
    assert os.path.getsize(data) < 300_000
    with h5py.File(data) as file:
        entry = file["raw_data_1"]
        assert entry.attrs["NX_class"] == b"NXentry"
        assert entry["definition"][0] == b"TOFRAW"
        assert entry["run_number"][0] == 101
        assert (entry["run_cycle"][0], entry["beamline"][0]) == (b"15_1", b"DEMO")
        counts = entry["detector_1/counts"]
        periods, spectra, channels = counts.shape
        assert counts.dtype == np.int32
        assert periods == entry["periods/number"][0]
        assert entry["detector_1/time_of_flight"].shape == (channels + 1,)
        for name in ("distance", "polar_angle", "spectrum_index"):
            assert entry["instrument/detector_1"][name].shape == (spectra,)
        assert entry["monitor_1/data"].shape == (1, 1, channels)


def test_the_command_line_reads_instrument_and_run_off_the_file_name(tmp_path):
    path = str(tmp_path / "ENGINX00000042.nxs")
    ended = finish(os.path.join(EXAMPLES, "simulate.py"), path, "--seed", "3", home=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    with h5py.File(path) as file:
        assert file["raw_data_1/instrument/name"][0] == b"ENGINX"
        assert file["raw_data_1/run_number"][0] == 42


def test_reducing_the_simulated_run_finds_every_line_of_ceria_in_both_banks(data, tmp_path):
    reduce_bare(data, tmp_path / "out")
    names = ["DEMO101.png", "DEMO101_bank1.dat", "DEMO101_bank2.dat", "DEMO101_peaks.dat", "DEMO101_reduced.nxs"]
    assert sorted(os.listdir(tmp_path / "out")) == names
    peaks = np.loadtxt(tmp_path / "out" / "DEMO101_peaks.dat")
    for bank in (1, 2):
        found = peaks[peaks[:, 0] == bank][:, 2]
        np.testing.assert_allclose(found, CERIA, rtol=0.002)
    with h5py.File(tmp_path / "out" / "DEMO101_reduced.nxs") as file:
        np.testing.assert_allclose(file["reduced/bank1/peaks"][:, 0], CERIA, rtol=0.002)


def test_a_strained_sample_is_seen_as_strained(simulate, tmp_path):
    data = simulate.simulate(str(tmp_path / "DEMO00000102.nxs"), run=102, lattice=5.4114 * 1.002)
    reduce_bare(data, tmp_path / "out")
    peaks = np.loadtxt(tmp_path / "out" / "DEMO102_peaks.dat")
    np.testing.assert_allclose(peaks[peaks[:, 0] == 1][:, 2] / CERIA, 1.002, atol=0.0005)


def test_a_run_without_proton_charge_is_normalised_to_its_frames(simulate, tmp_path):
    data = simulate.simulate(str(tmp_path / "DEMO00000103.nxs"), run=103)
    with h5py.File(data, "r+") as file:
        file["raw_data_1/proton_charge"][0] = 0.0
    assert "normalised to 18929 frame" in reduce_bare(data, tmp_path / "out")
    assert np.isfinite(np.loadtxt(tmp_path / "out" / "DEMO103_bank1.dat")).all()


def test_reducing_twice_gives_the_same_bytes(data, tmp_path):
    for part in ("once", "again"):
        reduce_bare(data, tmp_path / part)
    for name in os.listdir(tmp_path / "once"):
        assert (tmp_path / "once" / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_the_bad_script_fails_at_its_own_line_after_some_work(data, tmp_path):
    ended = finish("-c", CALL_MAIN, EXAMPLES, "bad_script", data, str(tmp_path), home=tmp_path)
    assert ended.returncode == 1
    assert ended.stdout.startswith("bank 1: 20 spectra, ")
    with open(os.path.join(EXAMPLES, "bad_script.py"), encoding="utf-8") as script:
        line = next(n for n, text in enumerate(script, start=1) if "raise ValueError" in text)
    assert f'bad_script.py", line {line}, in main' in ended.stderr
    assert ended.stderr.endswith("ValueError: no counts in bank 2\n")


def test_the_memory_hog_grows_step_by_step_until_it_is_stopped(data, tmp_path):
    with start_main("memory_hog", data, tmp_path) as process:
        try:
            told = [process.stdout.readline() for _ in range(3)]
            resident = psutil.Process(process.pid).memory_info().rss
        finally:
            process.kill()
    assert [line.split()[0] for line in told] == ["resampled"] * 3
    assert resident > 192 * 1024**2, "three steps of 64 MiB are touched, not only reserved"


def test_the_endless_script_waits_for_a_file_that_it_names(data, tmp_path):
    with start_main("endless", data, tmp_path) as process:
        try:
            told = [process.stdout.readline() for _ in range(2)]
            wait_until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_SLEEPING, why="it sleeps")
        finally:
            process.kill()
    assert told == [f"waiting for DEMO00000101_detectors.dat, {n} s so far\n" for n in (0, 1)]
