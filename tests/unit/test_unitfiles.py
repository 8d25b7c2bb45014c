"""The units and the profile that are shipped: what DESIGN needs of them, and that they fit each other and the command."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from sandbox.limits import Limits, parse_duration
from supervisor.settings import Settings
from supervisor.verbs import nursery, serve

ETC = Path(__file__).resolve().parents[2] / "etc"
SUPERVISOR = "autoreduce-supervisor.service"
NURSERY = "autoreduce-nursery@.service"
SHARED = ("User", "RuntimeDirectory", "RuntimeDirectoryMode", "RuntimeDirectoryPreserve", "StateDirectory", "Type")


def unit(name):
    """The directives of a unit by section, each once; systemd.syntax(7)."""
    found = {}
    for line in (ETC / "systemd" / name).read_text().splitlines():
        if match := re.fullmatch(r"\[(\w+)\]", line):
            section = found.setdefault(match[1], {})
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            assert key not in section, f"{name}: {key} stands twice"
            section[key] = value
    return found


@pytest.mark.parametrize("key", SHARED)
def test_both_units_are_one_identity_with_one_run_directory(key):
    assert unit(SUPERVISOR)["Service"][key] == unit(NURSERY)["Service"][key]


def test_the_run_directory_is_that_of_the_defaults_and_outlives_each_unit():
    service = unit(SUPERVISOR)["Service"]
    assert Settings().service.run_dir == f"/run/{service['RuntimeDirectory']}"
    assert Settings().store.path.startswith(f"/var/lib/{service['StateDirectory']}/")
    assert service["RuntimeDirectoryPreserve"] == "yes"


def test_the_nursery_keeps_its_runs_as_long_as_they_need():
    service = unit(NURSERY)["Service"]
    wanted = {"Delegate": "yes", "KillMode": "mixed", "Restart": "on-failure", "OOMPolicy": "continue"}
    assert wanted.items() <= service.items()
    assert float(service["TimeoutStopSec"]) > Limits().grace + 30
    assert "remote-fs.target" in unit(NURSERY)["Unit"]["After"]


def test_a_box_that_the_kernel_ends_for_its_memory_ends_no_unit():
    for name in (SUPERVISOR, NURSERY):
        service = unit(name)["Service"]
        assert (service["Delegate"], service["OOMPolicy"]) == ("yes", "continue")


def test_the_supervisor_wants_the_nursery_of_its_version_and_neither_ends_the_other():
    assert unit(NURSERY)["Install"] == {"WantedBy": SUPERVISOR}
    assert unit(NURSERY)["Unit"]["Before"] == SUPERVISOR
    for name in (SUPERVISOR, NURSERY):
        assert not {"Requires", "BindsTo", "PartOf", "Requisite"} & unit(name)["Unit"].keys()


@pytest.mark.parametrize(
    ("name", "verb", "module", "version"),
    [(SUPERVISOR, "serve", serve, "current"), (NURSERY, "nursery", nursery, "%i")],
)
def test_what_a_unit_starts_is_a_command_of_ours(name, verb, module, version):
    program, word, *words = unit(name)["Service"]["ExecStart"].split()
    assert (program, word) == (f"/opt/autoreduce-supervisor/{version}/bin/autoreduce-supervisor", verb)
    parser = argparse.ArgumentParser(exit_on_error=False)
    module.arguments(parser)
    options = parser.parse_args(words)
    assert options.config == "/etc/autoreduce/supervisor.toml"
    assert getattr(options, "nursery_unit", True) is True


def test_a_stop_of_the_supervisor_is_not_cut_short():
    from supervisor import service

    assert parse_duration(unit(SUPERVISOR)["Service"]["TimeoutStopSec"] + " s") > 2 * service._GOODBYE


def test_every_directive_of_a_service_has_its_reason_above_it_or_above_its_group():
    for name in (SUPERVISOR, NURSERY):
        text = (ETC / "systemd" / name).read_text()
        service = text[text.index("[Service]") : text.index("[Install]")]
        assert service.count("\n# ") >= 8


#: What would keep a box from being built, or both units from meeting in one file system.
NEVER = (
    "MemoryDenyWriteExecute", "PrivateDevices", "PrivateTmp", "PrivateUsers", "ProcSubset", "ProtectControlGroups",
    "ProtectHostname", "ProtectKernelLogs", "ProtectKernelTunables", "ProtectProc", "RestrictNamespaces", "RestrictSUIDSGID",
)  # fmt: skip
ONLY_THE_SUPERVISOR = {"LimitCORE", "WatchdogSec"}


def hardening(name):
    text = (ETC / "systemd" / name).read_text()
    return text[text.index("# What follows closes") :]


@pytest.mark.parametrize("name", [SUPERVISOR, NURSERY])
@pytest.mark.parametrize("directive", NEVER)
def test_what_boxes_do_not_bear_is_left_out_and_said(name, directive):
    assert directive not in unit(name)["Service"]
    assert directive in hardening(name)


def test_both_units_are_closed_alike_but_for_what_a_script_would_feel():
    common, own = ({k: v for k, v in unit(n)["Service"].items() if k in hardening(n)} for n in (NURSERY, SUPERVISOR))
    assert common["NoNewPrivileges"] == "yes"
    assert common["CapabilityBoundingSet"] == ""
    shared = {key: value for key, value in own.items() if key not in ONLY_THE_SUPERVISOR}
    assert {k: common[k] for k in shared if k in common} == {k: v for k, v in shared.items() if k in common}
    assert not ONLY_THE_SUPERVISOR & unit(NURSERY)["Service"].keys()
    assert unit(SUPERVISOR)["Service"].keys() >= ONLY_THE_SUPERVISOR


def test_the_watchdog_waits_longer_than_a_turn_of_the_loop_and_a_goodbye():
    from supervisor import loop, service

    seconds = float(unit(SUPERVISOR)["Service"]["WatchdogSec"])
    assert seconds / 2 > 10 * loop._TURN
    assert seconds > 2 * service._GOODBYE


def test_the_profile_allows_user_namespaces_and_bears_the_name_that_the_units_give():
    profile = (ETC / "apparmor.d" / "autoreduce-supervisor").read_text()
    rules = [line.strip() for line in profile.splitlines() if line.strip() and not line.startswith("#")]
    assert "userns," in rules
    for name in (SUPERVISOR, NURSERY):
        label = unit(name)["Service"]["AppArmorProfile"].removeprefix("-")
        assert any(rule.startswith(f"profile {label} ") for rule in rules)
