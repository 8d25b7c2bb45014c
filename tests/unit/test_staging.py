from __future__ import annotations

import errno
import os
from dataclasses import replace

import pytest
from storemaking import make_store

from sandbox.copyout import OutputRejected, inspect
from sandbox.limits import Limits
from supervisor import archive, durable, records
from supervisor.provenance import Papers
from supervisor.runplan import RunPlan
from supervisor.staging import ForeignTarget, SiteTrouble, Staging, remove_staging, sweep

LOGS = {"script.log": b"out", "framework.log": b"err"}


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


class Site:
    """A plan for one run with an archive, and an output folder with two files."""

    def __init__(self, root):
        self.layout = make_store(root)
        self.archive = root / "archive"
        self.home = str(self.archive / "RB1" / "9")
        self.place = self.layout.job("j")
        out = root / "out"
        (out / "sub").mkdir(parents=True)
        (out / "a.nxs").write_text("a", encoding="ascii")
        (out / "sub" / "b.png").write_text("b", encoding="ascii")
        self.out = out

    def staging(self, n=1, layout="replace", rb="1"):
        plan = RunPlan(
            errand="run",
            store=self.layout.root,
            rb=rb,
            n=n,
            job="j",
            host="h",
            boot="b",
            hostname="h",
            code_version="1",
            instrument="ENGINX",
            run="9",
            version=2,
            target={"path": self.home, "layout": layout},
        )
        durable.make_folder(self.place.attempt(n), "attempt")
        return Staging(plan, self.place)

    def fill(self, staging, moved=lambda count: None):
        fd = durable.open_folder(str(self.out))
        try:
            return staging.fill(inspect(fd, Limits()), fd, LOGS, moved)
        finally:
            os.close(fd)


def names_below(folder):
    return sorted(
        os.path.relpath(os.path.join(root, name), folder) for root, _, names in os.walk(folder) for name in names
    )


def test_staging_stands_beside_its_target_and_says_whose_it_is(site):
    staging = site.staging()
    staging.open_archive()
    folder = staging.folder(staging.targets[0])
    assert os.path.dirname(folder) == os.path.dirname(site.home)
    assert os.path.basename(folder).startswith(".autoreduce-j-")
    assert not os.path.exists(site.home)
    content = archive.look(folder)
    assert (content.rb, content.job, content.epoch, content.run) == ("1", "j", 1, "9")


def test_outputs_and_logs_are_copied_and_named_in_the_run_file(site):
    staging = site.staging()
    staging.open_archive()
    outputs = site.fill(staging)
    folder = staging.folder(staging.targets[0])
    assert names_below(folder) == [
        ".run",
        "a.nxs",
        "reduction_log/framework.log",
        "reduction_log/script.log",
        "sub/b.png",
    ]
    assert sorted(output.path for output in outputs) == ["a.nxs", "sub/b.png"]
    assert archive.look(folder).files == {"a.nxs", "sub/b.png"}


def test_the_plan_names_every_staging_folder_and_a_sweep_finds_them_by_it(site):
    staging = site.staging()
    staging.open_archive()
    staging.open_extra(str(site.archive / "extra" / "9"))
    staging.write_plan()
    folders = [staging.folder(target) for target in staging.targets]
    assert all(os.path.isdir(folder) for folder in folders)
    assert [target.path for target in staging.targets] == [str(site.archive / "extra" / "9"), site.home]
    sweep(site.place, [1, 2])
    assert not any(os.path.exists(folder) for folder in folders)


def test_a_sweep_of_one_epoch_leaves_the_staging_of_another(site):
    first, eleventh = site.staging(1), site.staging(11)
    for staging in (first, eleventh):
        staging.open_archive()
    remove_staging(first.targets[0], 1)
    assert not os.path.exists(first.folder(first.targets[0]))
    assert os.path.exists(eleventh.folder(eleventh.targets[0]))


def test_the_result_of_another_rb_is_never_a_target(site):
    archive.make_folder(os.path.dirname(site.home))
    archive.make_staging(site.home, {"rb": "2", "job": "x", "epoch": 9})
    with pytest.raises(ForeignTarget, match="RB 2, not of RB 1"):
        site.staging().open_archive()


def test_an_archive_that_cannot_be_written_is_a_condition_of_the_site(site, monkeypatch):
    def fail(path, mode=0o777):
        raise OSError(errno.EROFS, "Read-only file system")

    staging = site.staging(2)
    monkeypatch.setattr(os, "mkdir", fail)
    with pytest.raises(SiteTrouble, match="Read-only") as caught:
        staging.open_archive()
    assert caught.value.what == "archive"


def test_a_returned_folder_of_others_is_merged_and_one_of_this_run_replaced(site):
    staging = site.staging()
    staging.open_archive()
    mine, theirs, new = (str(site.archive / name) for name in ("mine", "theirs", "new"))
    archive.make_staging(mine, {"rb": "1", "job": "x", "epoch": 1, "run": "9"})
    archive.make_staging(theirs, {"rb": "1", "job": "x", "epoch": 1, "run": "8"})
    for path in (mine, theirs, new):
        assert staging.open_extra(path) is None
    assert [target.mode for target in staging.targets] == ["replace", "merge", "replace", "replace"]
    assert staging.targets[1].suffix == ".run9v2"
    assert not staging.targets[1].overwrite


def test_a_returned_folder_that_is_the_result_folder_or_lies_in_it_is_no_further_target(site):
    staging = site.staging()
    staging.open_archive()
    assert staging.open_extra(site.home) is None
    assert "lies inside" in staging.open_extra(site.home + "/deeper")
    assert staging.open_extra(str(site.archive / "e")) is None
    assert staging.open_extra(str(site.archive / "e")) is None
    assert len(staging.targets) == 2


def test_a_run_that_did_not_complete_stages_its_logs_alone(site):
    staging = site.staging()
    staging.open_archive()
    staging.open_extra(str(site.archive / "extra"))
    extra = staging.folder(staging.targets[0])
    site.fill(staging)
    staging.keep_logs_only(LOGS)
    assert not os.path.exists(extra)
    (target,) = staging.targets
    assert (target.mode, target.path) == ("logs", site.home)
    assert sorted(target.files) == ["reduction_log/framework.log", "reduction_log/script.log"]
    assert names_below(staging.folder(target)) == [".run", "reduction_log/framework.log", "reduction_log/script.log"]
    plan = records.unpack("plan", durable.read(site.place.plan(1)))
    assert [record["mode"] for record in plan["targets"]] == ["logs"]


def test_dropping_leaves_nothing(site):
    staging = site.staging()
    staging.open_archive()
    staging.open_extra(str(site.archive / "extra"))
    site.fill(staging)
    staging.drop()
    assert names_below(site.archive) == []


def test_copying_tells_how_far_it_is(site):
    staging = site.staging()
    staging.open_archive()
    moved = []
    site.fill(staging, moved.append)
    assert moved


def papers(outputs):
    return {"reduction.json": ",".join(output.path for output in outputs).encode(), "reduce.py": b"script"}


PAPERS = Papers(("reduction.json", "reduce.py"), papers)


def fill_with_papers(site, staging):
    fd = durable.open_folder(str(site.out))
    try:
        return staging.fill(inspect(fd, Limits()), fd, LOGS, lambda count: None, PAPERS)
    finally:
        os.close(fd)


@pytest.mark.parametrize(("layout", "stem"), [("replace", ""), ("merge", "RB1Run9")])
def test_the_record_stands_beside_the_logs_and_has_their_stem_where_runs_share_the_folder(site, layout, stem):
    staging = site.staging(layout=layout)
    staging._plan = replace(staging._plan, log_names=["RB1Run9Script.out", "RB1Run9Mantid.log"])
    staging.open_archive()
    (site.out / "reduction_log").mkdir()
    (site.out / "reduction_log" / f"{stem}reduce.py").write_text("forged", encoding="ascii")
    outputs = fill_with_papers(site, staging)
    assert [output.path for output in outputs] == ["a.nxs", "sub/b.png"]
    (target,) = staging.targets
    logs = os.path.join(staging.folder(target), "reduction_log")
    assert sorted(os.listdir(logs)) == sorted([*LOGS, f"{stem}reduction.json", f"{stem}reduce.py"])
    with open(os.path.join(logs, f"{stem}reduction.json"), "rb") as file:
        assert file.read() == b"a.nxs,sub/b.png"
    with open(os.path.join(logs, f"{stem}reduce.py"), "rb") as file:
        assert file.read() == b"script"
    assert sorted(target.files) == sorted(f"reduction_log/{name}" for name in os.listdir(logs))


def test_the_record_of_a_run_that_did_not_complete_never_bears_the_name_of_a_good_one(site):
    staging = site.staging(n=7)
    staging.open_archive()
    staging.keep_logs_only(LOGS, papers(()))
    (target,) = staging.targets
    assert set(target.files) == {f"reduction_log/{name}" for name in (*LOGS, "e7-reduction.json", "e7-reduce.py")}


def test_an_output_that_is_a_file_where_the_logs_belong_is_rejected(site):
    staging = site.staging()
    staging.open_archive()
    (site.out / "reduction_log").write_text("mine", encoding="ascii")
    with pytest.raises(OutputRejected, match="that name is the folder of the logs"):
        site.fill(staging)


@pytest.mark.parametrize("name", [next(iter(LOGS)), "reduction.json"])
def test_an_output_that_is_a_folder_where_a_file_of_the_logs_belongs_is_rejected(site, name):
    staging = site.staging()
    staging.open_archive()
    (site.out / "reduction_log" / name / "deep").mkdir(parents=True)
    with pytest.raises(OutputRejected, match=f"output 'reduction_log/{name}' is a folder; that name is a file of the"):
        fill_with_papers(site, staging)
