"""Path rules: today's three names for one file, and strangers' text that may not become a path."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.paths import BadPath, Layout, place, to_linux, to_windows, under
from supervisor.pathtext import component, cycle_of, template_problem
from supervisor.settings import PathSettings

RULES = PathSettings().rules()
GEM = "/isis/NDXGEM/Instrument/data/cycle_15_1/GEM75513.nxs"
MAPPED = PathSettings.model_validate({"root_map": [{"from": "/isis", "to": "/mnt/x/archive"}]}).rules()


def placed(**facts):
    usual = {"data": GEM, "instrument": "GEM", "rb": "1510188", "run": "75513", "version": 0, "rules": RULES}
    return place(**(usual | facts))


@pytest.mark.parametrize(
    "data",
    [
        r"\\isis\inst$\NDXGEM\Instrument\data\cycle_15_1\GEM75513.nxs",
        r"\\ISIS\Inst$\NDXGEM\Instrument\data\cycle_15_1\GEM75513.nxs",
        r"\isis\inst$\NDXGEM\Instrument\data\cycle_15_1\GEM75513.nxs",
        "\\\\\\\\isis\\\\inst$\\\\NDXGEM\\\\Instrument\\\\data\\\\cycle_15_1\\\\GEM75513.nxs",
        "//isis/inst$/NDXGEM/Instrument/data/cycle_15_1/GEM75513.nxs",
        r"\isis\NDXGEM\Instrument\data\cycle_15_1\GEM75513.nxs",
        r"\ISIS\NDXGEM\Instrument\data\cycle_15_1\GEM75513.nxs",
        r"/isis/NDXGEM\Instrument/data\cycle_15_1\GEM75513.nxs",
        GEM,
        f"  {GEM} ",
        "/isis//NDXGEM/./Instrument/data/cycle_15_1/GEM75513.nxs",
    ],
)
def test_every_way_to_write_a_data_path_is_one_file(data):
    assert to_linux(data, RULES) == GEM


def test_the_second_share_of_2016_is_known():
    assert to_linux(r"\\autoreduce\data\GEM\x.nxs", RULES) == "/autoreducetmp/data/GEM/x.nxs"


def test_a_share_name_is_matched_by_whole_components():
    assert to_linux(r"\\isis\inst$old\x.nxs", RULES) == "/isis/inst$old/x.nxs"
    assert to_linux(r"\\isisold\inst$\x.nxs", RULES) == "/isisold/inst$/x.nxs"


def test_letter_case_of_a_linux_path_is_kept():
    assert to_linux("/ISIS/NDXGEM/x.nxs", RULES) == "/ISIS/NDXGEM/x.nxs"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("", "absolute"),
        ("GEM75513.nxs", "absolute"),
        (r"I:\NDXGEM\x.nxs", "absolute"),
        ("/isis/../etc/shadow", r"'\.\.'"),
        (r"\\isis\inst$\..\..\etc\shadow", r"'\.\.'"),
        ("/isis/a\0b", "control"),
        ("/isis/a\nb", "control"),
        ("/isis/\ud800", "surrogate"),
        ("/isis/" + "x" * 256, "longer"),
        ("/isis" + "/x" * 2100, "longer"),
    ],
)
def test_a_data_path_that_is_none_is_refused_by_its_key(data, why):
    with pytest.raises(BadPath, match=why) as caught:
        to_linux(data, RULES)

    assert caught.value.key == "data"
    assert str(caught.value).startswith("data: ")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("path", "windows"),
    [
        (GEM, r"\\isis\inst$\NDXGEM\Instrument\data\cycle_15_1\GEM75513.nxs"),
        ("/isis", r"\\isis\inst$"),
        ("/instrument/GEM/RBNumber/RB1/autoreduced/7", r"\instrument\GEM\RBNumber\RB1\autoreduced\7"),
        ("/instrument/LET/RBNumber/RB1/autoreduced/", "\\instrument\\LET\\RBNumber\\RB1\\autoreduced\\"),
        ("/isis/a/", "\\\\isis\\inst$\\a\\"),
        ("/isisold/x", r"\isisold\x"),
    ],
)
def test_replies_name_paths_as_today(path, windows):
    assert to_windows(path, RULES) == windows


def test_only_the_start_of_a_path_becomes_a_share():
    assert to_windows("/isis/backup/isis/x", RULES) == r"\\isis\inst$\backup\isis\x"


def test_an_archive_mounted_elsewhere_keeps_its_name_in_messages():
    local = to_linux(r"\\isis\inst$\NDXGEM\cycle_15_1\x.nxs", MAPPED)

    assert local == "/mnt/x/archive/NDXGEM/cycle_15_1/x.nxs"
    assert to_windows(local, MAPPED) == r"\\isis\inst$\NDXGEM\cycle_15_1\x.nxs"
    assert MAPPED.local_result_roots() == ("/mnt/x/archive", "/instrument")
    placement = placed(rules=MAPPED)
    assert placement.data == "/mnt/x/archive/NDXGEM/Instrument/data/cycle_15_1/GEM75513.nxs"
    assert placement.target == "/mnt/x/archive/NDXGEM/Instrument/data/cycle_15_1/autoreduced/1510188/75513"
    assert placement.reported == r"\\isis\inst$\NDXGEM\Instrument\data\cycle_15_1\autoreduced\1510188\75513"


@given(st.lists(st.from_regex(r"[A-Za-z0-9_$ -][A-Za-z0-9_.$ -]{0,20}", fullmatch=True), min_size=1, max_size=6))
def test_the_windows_name_of_a_file_leads_back_to_it(parts):
    path = "/isis/" + "/".join(part.strip() or "x" for part in parts)

    assert to_linux(to_windows(path, RULES), RULES) == path
    assert to_linux(to_windows(to_linux(path, MAPPED), MAPPED), MAPPED) == to_linux(path, MAPPED)


@pytest.mark.parametrize(
    ("path", "cycle"),
    [
        (GEM, "15_1"),
        ("/isis/NDXGEM/CYCLE_15_1/x", "15_1"),
        ("/isis/cycle_14_3/copy/cycle_15_1/x", "15_1"),
        ("/isis/cycle_15_1/cycle_bad/x", "15_1"),
        (r"\\isis\inst$\cycle_21_1\data.nxs", "21_1"),
        ("/isis/cycle_1_1/x", None),
        ("/isis/data.nxs", None),
        ("/isis/cycle_\uff11\uff15_1/x", None),
    ],
)
def test_the_last_cycle_in_a_path_counts_in_any_case(path, cycle):
    assert cycle_of(path) == cycle


def test_the_archive_layout_is_the_default():
    placement = placed()

    assert placement.target == "/isis/NDXGEM/Instrument/data/cycle_15_1/autoreduced/1510188/75513"
    assert (placement.kind, placement.layout, placement.cycle) == (Layout.ARCHIVE, "replace", "15_1")
    assert placement.log_folder == placement.target + "/reduction_log"
    assert placement.log_names.script == "RB1510188Run75513Script.out"
    assert placement.log_names.mantid == "RB1510188Run75513Mantid.log"


def test_an_attempt_without_a_result_has_log_names_of_its_own():
    names = placed(version=3).attempt_log_names(12)

    assert names.script == "RB1510188Run75513v3e12Script.out"
    assert names.mantid == "RB1510188Run75513v3e12Mantid.log"


def test_the_ceph_layout_needs_no_cycle():
    rules = PathSettings.model_validate({"ceph_instruments": ["gem"]}).rules()

    placement = placed(data=r"\\isis\inst$\data.nxs", rules=rules)

    assert placement.target == "/instrument/GEM/RBNumber/RB1510188/autoreduced/75513"
    assert (placement.kind, placement.layout, placement.cycle) == (Layout.CEPH, "replace", None)


def test_the_excitation_layout_is_shared_and_reported_with_its_trailing_separator():
    placement = placed(instrument="let")

    assert placement.target == "/instrument/LET/RBNumber/RB1510188/autoreduced"
    assert placement.reported == "\\instrument\\LET\\RBNumber\\RB1510188\\autoreduced\\"
    assert (placement.kind, placement.layout) == (Layout.EXCITATION, "merge")
    assert placement.log_folder == "/instrument/LET/RBNumber/RB1510188/autoreduced/reduction_log"


def test_the_excitation_list_wins_over_the_ceph_list():
    rules = PathSettings.model_validate({"ceph_instruments": ["LET"]}).rules()

    assert placed(instrument="LET", rules=rules).kind is Layout.EXCITATION


def test_a_missing_cycle_is_told_in_words_and_not_as_an_attribute_error():
    with pytest.raises(BadPath, match="names no cycle such as cycle_15_1") as caught:
        placed(data=r"\\isis\inst$\data.nxs")

    assert caught.value.key == "data"


@pytest.mark.parametrize(
    "text",
    ["../..", "..", ".", ".hidden", "a/b", "a\\b", "a\0b", "a\nb", "", " x", "x ", "x" * 101, "\ud800", "é" * 51],
)
@pytest.mark.parametrize(("fact", "key"), [("rb", "rb_number"), ("run", "run_number"), ("instrument", "instrument")])
def test_a_part_that_is_not_one_plain_name_is_refused_by_its_key(fact, key, text):
    with pytest.raises(BadPath) as caught:
        placed(**{fact: text})

    assert caught.value.key == key
    assert str(caught.value).isprintable()


def test_an_rb_number_may_be_any_plain_text():
    text = "INVALID RB NUMBER CALIBRATION RUN PERHAPS"

    assert placed(rb=text).target.endswith(f"/autoreduced/{text}/75513")


def test_braces_in_an_rb_number_mean_nothing():
    assert placed(rb="{cycle}{run.__class__}").target.endswith("/autoreduced/{cycle}{run.__class__}/75513")


@pytest.mark.parametrize(
    "data", ["/etc/cycle_15_1/shadow", "/isisold/cycle_15_1/x", "/", r"\\other\share\cycle_15_1\x"]
)
def test_data_outside_the_data_roots_is_refused(data):
    with pytest.raises(BadPath, match="none of the data roots"):
        placed(data=data)


def test_a_result_outside_the_result_roots_is_refused():
    rules = dataclasses.replace(RULES, result_roots=("/instrument",))

    with pytest.raises(BadPath, match="none of the result roots"):
        placed(rules=rules)


@given(rb=st.text(max_size=30), run=st.text(max_size=30), instrument=st.text(max_size=20))
def test_no_text_leads_out_of_its_folder(rb, run, instrument):
    try:
        placement = placed(rb=rb, run=run, instrument=instrument)
    except BadPath:
        return

    parts = placement.target.split("/")
    assert under(placement.target, RULES.result_roots)
    assert ".." not in parts
    assert len(parts) == len(placed().target.split("/")) or placement.kind is Layout.EXCITATION
    assert all(len(name.encode()) <= 255 for name in (*parts, placement.attempt_log_names(10**15).script))


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("/isis/x", True),
        ("/isis", True),
        ("/isis/", True),
        ("//isis/x", True),
        ("/isisx", False),
        ("/isis/../etc", False),
        ("isis/x", False),
        ("", False),
        ("/", False),
        ("/isis/\0", False),
        ("/archive/a/b", True),
    ],
)
def test_below_a_root_is_told_component_by_component(path, inside):
    assert under(path, ("/isis/", "/archive")) is inside


def test_everything_absolute_is_below_the_root_folder():
    assert under("/x", ("/",))
    assert not under("/x", ())
    assert not under("/x", ("",))


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("isis/{rb}", "absolute"),
        ("/isis/NDX%s/%s", "instead of %s"),
        ("/isis/{rbnumber}", "{rbnumber}"),
        ("/isis/{rb.__class__}", "must use only"),
        ("/isis/{rb", "brace"),
        ("/isis/../{rb}", r"\.\."),
        ("/isis/\n{rb}", "control"),
    ],
)
def test_a_template_that_cannot_be_filled_is_told_before_a_run_is(template, why):
    problem = template_problem(template)

    assert problem is not None
    assert why.replace("\\", "") in problem


def test_a_component_is_returned_unchanged():
    assert component("rb_number", "RB-1_x y") == "RB-1_x y"
