"""Path rules: today's three names for one file, and strangers' text that may not become a path."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.family import Family
from supervisor.paths import BadPath, Layout, place, to_linux, to_windows, under
from supervisor.pathtext import (
    SCRIPT_PLACEHOLDERS,
    VERSION_PLACEHOLDERS,
    component,
    cycle_of,
    fixed_part,
    name_problem,
    template_problem,
)
from supervisor.settings import PathSettings

RULES = PathSettings().rules()
GEM = "/isis/NDXGEM/Instrument/data/cycle_15_1/GEM75513.nxs"
MAPPED = PathSettings.model_validate({"root_map": [{"from": "/isis", "to": "/mnt/x/archive"}]}).rules()


def placed(**facts):
    usual = {
        "data": GEM,
        "instrument": "GEM",
        "rb": "1510188",
        "run": "75513",
        "version": 0,
        "rules": RULES,
        "family": Family.ISIS2016,
        "facility": "ISIS",
    }
    given = usual | facts
    given["data"] = (given["data"],) if isinstance(given["data"], str) else given["data"]
    return place(**given)


EQSANS = "/SNS/EQSANS/IPTS-10674/0/30892/NeXus/EQSANS_30892_event.nxs"


def placed_sns(**facts):
    usual = {"data": EQSANS, "instrument": "EQSANS", "rb": "IPTS-10674", "run": "30892", "facility": "SNS"}
    return placed(**({"family": Family.SNS} | usual | facts))


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
    assert MAPPED.local_result_roots() == ("/mnt/x/archive", "/instrument", "/SNS", "/HFIR")
    placement = placed(rules=MAPPED)
    assert placement.data == ("/mnt/x/archive/NDXGEM/Instrument/data/cycle_15_1/GEM75513.nxs",)
    assert placement.script == "/mnt/x/archive/NDXGEM/user/scripts/autoreduction/reduce.py"
    assert placement.default_vars == "/mnt/x/archive/NDXGEM/user/scripts/autoreduction/reduce_vars.py"
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


# Later families


@pytest.mark.parametrize(
    ("settings", "facts", "folder"),
    [
        ({}, {}, "/isis/NDXGEM/Instrument/data/cycle_15_1/autoreduced/1510188/75513/run-version-2"),
        ({}, {"flat": True}, "/isis/NDXGEM/Instrument/data/cycle_15_1/autoreduced/1510188/75513"),
        ({"ceph_instruments": ["GEM"]}, {}, "/instrument/GEM/RBNumber/RB1510188/autoreduced/75513/run-version-2"),
        ({"excitation_instruments": ["GEM"]}, {}, "/instrument/GEM/RBNumber/RB1510188/autoreduced"),
        ({"version_directory": ""}, {}, "/isis/NDXGEM/Instrument/data/cycle_15_1/autoreduced/1510188/75513"),
        (
            {"version_directory": "v{version}"},
            {},
            "/isis/NDXGEM/Instrument/data/cycle_15_1/autoreduced/1510188/75513/v2",
        ),
    ],
)
def test_a_run_of_2018_has_a_folder_for_each_version_unless_it_is_flat_or_shared(settings, facts, folder):
    rules = PathSettings.model_validate(settings).rules()

    placement = placed(family=Family.ISIS2018, version=2, rules=rules, **facts)

    assert placement.target == folder
    assert placement.log_folder == f"{folder}/reduction_log"
    assert placed(family=Family.ISIS2016, version=2, rules=rules).target == folder.removesuffix(
        "/run-version-2"
    ).removesuffix("/v2")


def test_a_template_may_name_facility_and_version():
    rules = PathSettings.model_validate({"archive_directory": "/isis/{facility}/{rb}/{run}/{version}"}).rules()

    assert placed(rules=rules, version=3, facility="isis").target == "/isis/ISIS/1510188/75513/3"
    with pytest.raises(BadPath, match="separator") as caught:
        placed(rules=rules, facility="../x")
    assert caught.value.key == "facility"


def test_a_facility_that_names_no_folder_is_not_judged():
    assert placed(facility="../x").target == placed().target


def test_all_files_of_a_batch_are_translated_and_the_first_names_the_cycle():
    other = r"\\isis\inst$\NDXGEM\Instrument\data\cycle_16_2\GEM75514.nxs"

    placement = placed(family=Family.ISIS2018, data=(GEM, other), run="batch-75513-75514")

    assert placement.data == (GEM, "/isis/NDXGEM/Instrument/data/cycle_16_2/GEM75514.nxs")
    assert placement.cycle == "15_1"
    assert placement.target.endswith("/cycle_15_1/autoreduced/1510188/batch-75513-75514/run-version-0")
    assert placement.log_names.script == "RB1510188Runbatch-75513-75514Script.out"


@pytest.mark.parametrize(
    ("data", "why"),
    [((), "names no file"), ((GEM, "x.nxs"), "no absolute path"), ((GEM, "/etc/passwd"), "'/etc/passwd'")],
)
def test_every_file_of_a_batch_is_judged(data, why):
    with pytest.raises(BadPath, match=why) as caught:
        placed(family=Family.ISIS2018, data=data)

    assert caught.value.key == "data"


def test_a_run_of_sns_shares_the_folder_of_its_experiment_under_its_linux_name():
    placement = placed_sns()

    assert placement.data == (EQSANS,)
    assert placement.target == "/SNS/EQSANS/IPTS-10674/shared/autoreduce"
    assert placement.reported == "/SNS/EQSANS/IPTS-10674/shared/autoreduce/"
    assert (placement.kind, placement.layout) == (Layout.SNS, "merge")
    assert (placement.script, placement.default_vars) == ("/SNS/EQSANS/shared/autoreduce/reduce_EQSANS.py", "")


def test_logs_of_sns_are_named_after_the_data_file():
    placement = placed_sns()

    assert (placement.log_names.script, placement.log_names.mantid) == (
        "EQSANS_30892_event.nxs.log",
        "EQSANS_30892_event.nxs.err",
    )
    attempt = placement.attempt_log_names(12)
    assert (attempt.script, attempt.mantid) == ("EQSANS_30892_event.nxs.e12.log", "EQSANS_30892_event.nxs.e12.err")


def test_a_site_may_mount_sns_elsewhere_and_still_report_its_name():
    rules = PathSettings.model_validate({"root_map": [{"from": "/SNS", "to": "/mnt/sns"}]}).rules()

    placement = placed_sns(rules=rules)

    assert placement.target == "/mnt/sns/EQSANS/IPTS-10674/shared/autoreduce"
    assert placement.script == "/mnt/sns/EQSANS/shared/autoreduce/reduce_EQSANS.py"
    assert placement.reported == "/SNS/EQSANS/IPTS-10674/shared/autoreduce/"


def test_an_instrument_of_sns_keeps_its_layout_whatever_the_lists_of_isis_say():
    rules = PathSettings.model_validate({"excitation_instruments": ["EQSANS"]}).rules()

    assert placed_sns(rules=rules).kind is Layout.SNS


@pytest.mark.parametrize(
    ("facts", "key", "why"),
    [
        ({"data": "EQSANS.nxs"}, "data_file", "no absolute path"),
        ({"data": "/etc/x.nxs"}, "data_file", "none of the data roots"),
        ({"data": "/SNS/" + "x" * 201}, "data_file", "more than 200 bytes"),
        ({"rb": "a/b"}, "ipts", "separator"),
        ({"facility": "a/b"}, "facility", "separator"),
        ({"facility": "ELSEWHERE"}, "ipts", "none of the result roots"),
    ],
)
def test_what_is_wrong_with_a_run_of_sns_is_told_by_the_key_of_its_message(facts, key, why):
    with pytest.raises(BadPath, match=why) as caught:
        placed_sns(**facts)

    assert caught.value.key == key
    assert str(caught.value).startswith(f"{key}: ")


@given(
    rb=st.text(max_size=30), run=st.text(max_size=30), instrument=st.text(max_size=20), facility=st.text(max_size=20)
)
def test_no_text_of_a_later_message_leads_out_of_its_folder(rb, run, instrument, facility):
    for family in (Family.ISIS2018, Family.SNS):
        data = EQSANS if family is Family.SNS else GEM
        try:
            placement = placed(data=data, family=family, rb=rb, run=run, instrument=instrument, facility=facility)
        except BadPath:
            continue
        assert under(placement.target, RULES.result_roots)
        assert ".." not in placement.target.split("/")
        assert ".." not in placement.script.split("/")
        assert all(len(name.encode()) <= 255 for name in (*placement.target.split("/"), *placement.script.split("/")))
        assert len(placement.attempt_log_names(10**15).mantid.encode()) <= 255


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("/x/{rb}/reduce.py", "{instrument} {facility}, not {rb}"),
        ("/x/%s", "write {instrument} and {facility}"),
        ("x", "absolute"),
    ],
)
def test_a_script_is_named_by_instrument_and_facility_only(template, why):
    assert why in template_problem(template, SCRIPT_PLACEHOLDERS)


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("a/{version}", "one folder"),
        (".v{version}", "one folder"),
        ("{run}", "only {version}"),
        ("v%s", "write {version}"),
    ],
)
def test_a_version_is_one_folder(template, why):
    assert why in name_problem(template, VERSION_PLACEHOLDERS)
    assert name_problem("run-version-{version}", VERSION_PLACEHOLDERS) is None


@pytest.mark.parametrize(
    ("template", "folder"), [("/a/b{rb}/c", "/a"), ("/a/{rb}", "/a"), ("/{facility}/x", "/"), ("/a/b", "/a")]
)
def test_what_a_template_fixes_is_told(template, folder):
    assert fixed_part(template) == folder


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"sns_directory": "/data/{instrument}/{rb}"}, "sns_directory lies below none of result_roots"),
        ({"sns_directory": "/data/{facility}/{instrument}/{rb}"}, "sns_directory lies below none of result_roots"),
        ({"sns_directory": "/SNS/{rb}"}, "sns_directory must contain {instrument} and {rb}"),
        ({"version_directory": "v"}, "version_directory must contain {version}"),
        ({"script": "/x/{instrument}", "variables": "/x/{instrument}"}, "the same file"),
    ],
)
def test_templates_that_cannot_stand_together_are_refused(settings, why):
    with pytest.raises(ValueError, match=why.replace("{", "[{]")):
        PathSettings.model_validate(settings)


def test_a_site_without_sns_needs_no_root_for_it():
    own = {"archive_directory": "/a/{rb}/{run}", "ceph_directory": "/a/{rb}/{run}", "excitation_directory": "/a/{rb}"}

    assert PathSettings.model_validate(own | {"result_roots": ["/a"]}).result_roots == ("/a",)


@pytest.mark.parametrize(
    "facts", [{"facility": "\uefff"}, {"data": "/other/\uefff"}, {"data": "/SNS/\uefff/" + "x" * 300}]
)
def test_a_sentence_about_a_path_is_one_printable_line(facts):
    with pytest.raises(BadPath) as caught:
        placed_sns(**facts)

    assert str(caught.value).isprintable()
