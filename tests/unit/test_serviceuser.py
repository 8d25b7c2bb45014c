"""Who may be `service.user`, and what is said where nobody can serve as the one who is named."""

from __future__ import annotations

import grp
import os
import pwd

import pytest
from embedded import Embedded

from supervisor import cli, serviceuser


@pytest.fixture
def accounts(monkeypatch):
    """Accounts that no host has: `accounts(name=(uid, gid))`; every gid below 100 exists."""
    known = {}

    def look_up(name):
        uid, gid = known[name]
        return pwd.struct_passwd((name, "x", uid, gid, "", f"/home/{name}", "/bin/false"))

    def group(gid):
        if gid >= 100:
            raise KeyError(gid)
        return grp.struct_group((f"g{gid}", "x", gid, []))

    monkeypatch.setattr(pwd, "getpwnam", look_up)
    monkeypatch.setattr(grp, "getgrgid", group)
    return lambda **added: known.update(added)


def test_a_user_is_found_with_no_group_but_its_own(accounts, tmp_path, monkeypatch):
    accounts(svc=(70, 71))
    monkeypatch.setattr(os, "getgrouplist", lambda name, gid: [gid, 5, 6])
    who = serviceuser.look_up("svc", str(tmp_path / "not made yet"))
    assert (who.uid, who.gid, who.groups, who.home) == (70, 71, (), "/home/svc")


@pytest.mark.parametrize(("member_of", "kept"), [([5, 4242], (4242,)), ([5, 6], ())])
def test_the_group_of_the_store_is_kept_by_its_members_alone(accounts, tmp_path, monkeypatch, member_of, kept):
    accounts(svc=(70, 71))
    monkeypatch.setattr(os, "getgrouplist", lambda name, gid: [gid, *member_of])
    monkeypatch.setattr(os, "stat", lambda path: os.stat_result((0o40770, 1, 1, 1, 0, 4242, 0, 0, 0, 0)))
    assert serviceuser.look_up("svc", str(tmp_path)).groups == kept


@pytest.mark.parametrize(
    ("account", "says"),
    [
        ({}, ["no user", "useradd --system"]),
        ({"svc": (0, 71)}, ["is root", "leave the key empty"]),
        ({"svc": (70, 0)}, ["primary group", "root", "usermod -g"]),
        ({"svc": (70, 4711)}, ["primary group 4711", "does not exist", "groupadd -g 4711"]),
    ],
)
def test_what_keeps_a_user_from_serving_is_one_sentence_with_its_remedy(accounts, account, says):
    accounts(**account)
    with pytest.raises(serviceuser.BadUser) as bad:
        serviceuser.look_up("svc")
    assert str(bad.value).startswith("service.user: ")
    for words in says:
        assert words in str(bad.value)


@pytest.mark.parametrize(("user", "says"), [("nobody-of-this-name", "no user"), ("root", "is root")])
@pytest.mark.parametrize("verb", ["check-config", "serve", "start", "nursery"])
def test_a_user_that_cannot_serve_is_a_wrong_configuration(tmp_path, capsys, monkeypatch, user, says, verb):
    monkeypatch.setattr(cli.sys, "path", list(cli.sys.path))
    site = Embedded(tmp_path, service={"user": user})
    assert cli.main([verb, "--config", site.config]) == 78
    [line] = capsys.readouterr().err.splitlines()
    assert says in line
    assert not os.path.exists(site.run_dir)


def test_whoever_is_neither_root_nor_the_user_is_told_so(accounts, tmp_path, monkeypatch):
    accounts(svc=(70, 71))
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    settings = Embedded(tmp_path, service={"user": "svc"}).settings()
    with pytest.raises(serviceuser.BadUser, match="start it as root or as svc"):
        serviceuser.assume(settings)


def test_the_user_itself_needs_nothing_made(accounts, tmp_path, monkeypatch):
    accounts(svc=(4242, 71))
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    site = Embedded(tmp_path, service={"user": "svc"})
    assert serviceuser.assume(site.settings()) == []
    assert not os.path.exists(site.run_dir)


def test_root_without_a_user_is_cautioned(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    [note] = serviceuser.assume(Embedded(tmp_path).settings())
    assert note.startswith("CAUTION")
    assert "uid 0 inside a user namespace" in note
