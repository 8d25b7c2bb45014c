"""Whole runs of the families whose scripts lie on disk, on an embedded store: what is read, what is chosen, what ends."""

from __future__ import annotations

import json
import os
import sys

import pytest
from embedded import Embedded
from waiting import wait_until

SHOW = """\
import json, os, sys
with open(sys.argv[2] + "seen.json", "w") as file:
    json.dump({"argv": sys.argv[1:], "name": __name__, "file": os.path.basename(__file__),
               "wrapped": os.environ.get("WRAPPED", "")}, file)
"""
BATCH = """\
import json
from reduce_vars import standard_vars

def main(input_file, output_dir):
    with open(output_dir + "seen.json", "w") as file:
        json.dump({"input": input_file, "vars": standard_vars}, file)
"""


class Site(Embedded):
    """A site with the folders of both families."""

    def __init__(self, folder, **sections) -> None:
        super().__init__(folder)
        wrapper = self.write("wrapper", f'#!/bin/sh\nexport WRAPPED="$1"\nshift\nexec "{sys.executable}" "$@"\n')
        os.chmod(wrapper, 0o755)
        paths = {
            "sns_script": self.archive + "/{facility}/{instrument}/shared/autoreduce/reduce_{instrument}.py",
            "sns_directory": self.archive + "/{facility}/{instrument}/{rb}/shared/autoreduce/",
            "script": self.archive + "/NDX{instrument}/user/scripts/autoreduction/reduce.py",
            "variables": self.archive + "/NDX{instrument}/user/scripts/autoreduction/reduce_vars.py",
        }
        self.configure(
            **{
                **sections,
                "paths": paths,
                "interpreter": {
                    "argv": [sys.executable],
                    "conda_argv": [wrapper, "{env}"],
                    **sections.get("interpreter", {}),
                },
                "retry": {"first": "200 ms", "delay": "1 s", "jitter": 0.0, **sections.get("retry", {})},
            }
        )

    def write(self, name: str, text: str) -> str:
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def sns_script(self, text: str) -> str:
        return self.write("archive/SNS/EQSANS/shared/autoreduce/reduce_EQSANS.py", text)

    def isis_script(self, text: str, name: str = "reduce.py") -> str:
        return self.write(f"archive/NDXENGINX/user/scripts/autoreduction/{name}", text)

    def sns_message(self) -> dict:
        data = self.write("data/EQSANS_30892_event.nxs", "counts")
        return {
            "facility": "SNS",
            "instrument": "EQSANS",
            "ipts": "IPTS-10674",
            "run_number": "30892",
            "data_file": data,
        }

    def seen(self, folder: str) -> dict:
        with open(self.path("archive", folder, "seen.json"), encoding="utf-8") as file:
            return json.load(file)

    def replies(self, job: str) -> dict:
        """The frozen terminal reply of a job, with its queue."""
        outcome = self.wait_final(job)
        reply = outcome.replies["done"]
        return json.loads(reply["body"]) | {"queue": reply["queue"]}


SHARED = "SNS/EQSANS/IPTS-10674/shared/autoreduce"


@pytest.fixture
def site(tmp_path):
    with Site(tmp_path) as made:
        yield made


def test_a_script_on_disk_runs_as_a_program_as_sns_scripts_do(site):
    site.sns_script(SHOW)
    site.start()

    message = site.sns_message()
    job = site.submit(message)

    assert site.wait_final(job).verdict == "completed", site.why(job)
    seen = site.seen(SHARED)
    assert seen["argv"][0] == message["data_file"]
    assert seen["argv"][1].endswith("/out/result/")
    assert (seen["name"], seen["file"], seen["wrapped"]) == ("__main__", "reduce_EQSANS.py", "")
    assert site.replies(job)["queue"] == "/queue/REDUCTION.COMPLETE"


def test_the_environment_that_a_script_names_runs_it(site):
    site.sns_script(f'CONDA_ENV = "mantid-dev"\n{SHOW}')
    site.start()

    job = site.submit(site.sns_message())

    assert site.wait_final(job).verdict == "completed", site.why(job)
    assert site.seen(SHARED)["wrapped"] == "mantid-dev"


def test_two_environments_in_one_script_are_its_own_error(site):
    site.sns_script(f'CONDA_ENV = "a"\n{SHOW}CONDA_ENV = "b"\n')
    site.start()

    outcome = site.wait_final(site.submit(site.sns_message()))

    assert outcome.verdict == "script_error"
    assert outcome.sentence.startswith("script error at line 6 of reduce_EQSANS.py: CONDA_ENV is")


def test_an_environment_that_the_site_does_not_offer_is_refused(tmp_path):
    with Site(tmp_path, interpreter={"conda_argv": []}) as site:
        site.sns_script(f'CONDA_ENV = "sans"\n{SHOW}')
        site.start()

        outcome = site.wait_final(site.submit(site.sns_message()))

        assert outcome.verdict == "refused"
        assert "write [interpreter.conda.sans] or interpreter.conda_argv" in outcome.sentence


def test_no_script_in_a_folder_that_is_there_means_switched_off(site):
    os.makedirs(os.path.dirname(site.sns_script(SHOW)), exist_ok=True)
    os.unlink(site.sns_script(SHOW))
    site.start()

    job = site.submit(site.sns_message())
    outcome = site.wait_final(job)

    assert outcome.verdict == "skipped"
    assert outcome.sentence.startswith("skipped: reduction of EQSANS is switched off: ")
    assert site.replies(job)["queue"] == "/queue/REDUCTION.DISABLED"
    assert not os.path.exists(site.place(job).started)
    assert not os.path.exists(site.path("archive", SHARED, "seen.json"))


def test_a_folder_that_is_not_mounted_is_waited_for(site):
    site.start()
    job = site.submit(site.sns_message())
    wait_until(lambda: os.path.exists(site.place(job).not_before), 60, "the first retry")

    site.sns_script(SHOW)

    assert site.wait_final(job).verdict == "completed", site.why(job)


def test_data_that_never_comes_are_told_in_the_words_of_sns(tmp_path):
    with Site(tmp_path, retry={"cap": 1}) as site:
        site.sns_script(SHOW)
        site.start()
        message = site.sns_message()
        os.unlink(message["data_file"])

        job = site.submit(message)

        assert site.wait_final(job).verdict == "unavailable"
        reply = site.replies(job)
        assert reply["queue"] == "/queue/REDUCTION.ERROR"
        assert reply["error"] == f"Data file not found: {message['data_file']}"


def test_a_null_script_is_the_instruments_own_and_a_batch_gets_lists(site):
    site.isis_script(BATCH)
    site.isis_script("standard_vars = {'bank': 1, 'vanadium': '236516'}\n", "reduce_vars.py")
    site.start()
    message = site.message(
        None,
        run_version=3,
        software={"name": "Mantid", "version": "latest"},
        reduction_arguments={"standard_vars": {"bank": 2}},
    )
    first = message["data"]
    second = site.write("data/ENGINX00075514.nxs", "counts")

    job = site.submit(message | {"run_number": [75513, 75514], "data": [first, second]})

    assert site.wait_final(job).verdict == "completed", site.why(job)
    seen = site.seen("ENGINX/1510111/batch-75513-75514/run-version-3")
    assert seen == {"input": [first, second], "vars": {"bank": 2, "vanadium": "236516"}}


def test_a_null_script_that_is_not_there_is_waited_for_and_then_told(tmp_path):
    with Site(tmp_path, retry={"cap": 2}) as site:
        site.start()

        outcome = site.wait_final(site.submit(site.message(None)))

        assert outcome.verdict == "unavailable"
        assert "reduction script cannot be used" in outcome.sentence
        assert "given up after 2 tries" in outcome.sentence


def test_software_that_is_offered_runs_the_script_and_other_is_refused(tmp_path):
    text = "import os\ndef main(input_file, output_dir):\n    open(output_dir + os.environ['WRAPPED'], 'w').close()\n"
    software = {"Mantid 6.2.0": {"argv": [os.path.join(os.path.realpath(tmp_path), "wrapper"), "six"]}}
    with Site(tmp_path, interpreter={"software": software}) as site:
        site.start()
        good = site.submit(site.message(text, software={"name": "Mantid", "version": "6.2.0"}, flat_output=True))
        other = site.submit(site.message(text, run=75514, software={"name": "Mantid", "version": "5"}))

        assert site.wait_final(good).verdict == "completed", site.why(good)
        assert os.path.exists(site.result("six"))
        assert site.wait_final(other).verdict == "refused"
        assert '[interpreter.software."Mantid 5"]' in site.wait_final(other).sentence


def test_an_instrument_whose_interpreter_fails_waits_and_runs_says_why(tmp_path):
    with Site(tmp_path, interpreter={"instrument": {"GEM": {"argv": ["/none/python"]}}}) as site:
        site.start()
        waits = site.submit(site.message(instrument="GEM"))
        good = site.submit(site.message(run=75514))

        assert site.wait_final(good).verdict == "completed"

        said = site.verb("runs").stdout
        assert "/none/python does not run scripts" in said, said
        assert "interpreter.instrument.GEM" in site.verb("status").stdout
        assert not os.path.exists(site.place(waits).final)


def test_an_instrument_with_a_floor_above_this_host_waits(tmp_path):
    with Site(tmp_path, instrument={"GEM": {"require": "hostile"}}) as site:
        site.start()
        waits = site.submit(site.message(instrument="GEM"))
        good = site.submit(site.message(run=75514))

        assert site.wait_final(good).verdict == "completed"

        assert 'isolation "hostile" is required for GEM' in site.verb("runs").stdout
        assert not os.path.exists(site.place(waits).final)


CLOSED = """
import json, os, sys
data, out = sys.argv[1], sys.argv[2]
tried = {}
for path in (data, os.path.join(os.path.dirname(data), "neighbour"), MASKS, STORE):
    try:
        with open(path) as file:
            tried[path] = file.read()
    except OSError as error:
        tried[path] = error.strerror
seen = {"tried": tried, "root": sorted(os.listdir("/")), "wrapped": os.environ.get("WRAPPED", "")}
with open(os.path.join(out, "seen.json"), "w") as file:
    json.dump(seen, file)
"""


@pytest.mark.parametrize("env", ["", "mantid-dev"])
def test_a_run_behind_walls_sees_its_data_and_what_its_instrument_declares(tmp_path, env):
    masks = str(tmp_path / "masks" / "EQSANS")
    with Site(
        tmp_path,
        isolation={"require": "contained"},
        instrument={"EQSANS": {"read_only": [str(tmp_path / "masks") + "/{instrument}"]}},
        interpreter={"bind": [sys.prefix, sys.base_prefix]},
    ) as site:
        site.write("masks/EQSANS/mask.xml", "mask")
        site.write("masks/OTHER/mask.xml", "of another instrument")
        site.write("data/neighbour", "sibling")
        mask, store = os.path.join(masks, "mask.xml"), os.path.join(site.store, "store.json")
        asked = f'CONDA_ENV = "{env}"\n' if env else ""
        site.sns_script(f"{asked}MASKS, STORE = {mask!r}, {store!r}\n{CLOSED}")
        site.start()
        message = site.sns_message()

        job = site.submit(message)

        assert site.wait_final(job).verdict == "completed", site.why(job)
        seen = site.seen(SHARED)
        assert list(seen["tried"].values()) == ["counts", "sibling", "mask", "No such file or directory"]
        assert "store" not in seen["root"]
        assert seen["wrapped"] == env
        record = site.path("archive", SHARED, "reduction_log", "EQSANS_30892_event.nxs.reduction.json")
        with open(record, encoding="utf-8") as file:
            assert json.load(file)["guards"]["level"] == "contained"
