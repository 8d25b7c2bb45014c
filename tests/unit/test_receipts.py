from __future__ import annotations

from supervisor.broker import AckLost, Refused, Unknown
from supervisor.receipts import WINDOW, Doubts, Kind, Operation, Receipts, settle


def send(key):
    return Operation(kind=Kind.SEND, key=key, target="/queue/q")


def ack(key):
    return Operation(kind=Kind.ACK, key=key, target="ID:1")


def test_receipt_ids_are_unique_over_operations_and_connections():
    doubts = Doubts()
    ids = {Receipts(gen, doubts).begin(send(key), 0.0) for gen in (1, 2) for key in range(3)}
    first = Receipts(3, doubts)
    ids |= {first.begin(send(0), 0.0), first.begin(send(1), 0.0), first.begin(ack(0), 0.0)}

    assert len(ids) == 5  # three of one connection, and the first of two others


def test_the_window_bounds_sends_but_never_holds_back_an_ack():
    receipts = Receipts(1, Doubts())
    for number in range(WINDOW):
        assert receipts.may_write(send(number))
        receipts.begin(send(number), 0.0)

    assert not receipts.may_write(send("one more"))
    assert receipts.may_write(ack("any"))


def test_a_receipt_is_answered_once_and_a_strange_one_never():
    receipts = Receipts(1, Doubts())
    receipt = receipts.begin(send("a"), 0.0)

    assert receipts.answer("send-9-9") is None
    assert receipts.answer(receipt) == send("a")
    assert receipts.answer(receipt) is None
    assert receipts.oldest() is None


def test_the_oldest_operation_is_the_one_that_began_first():
    receipts = Receipts(1, Doubts())
    first = receipts.begin(send("a"), 5.0)
    receipts.begin(ack("b"), 6.0)

    assert receipts.oldest() == (send("a"), 5.0)
    receipts.answer(first)
    assert receipts.oldest() == (ack("b"), 6.0)


def test_sends_that_were_lost_together_go_out_one_at_a_time_until_each_is_answered():
    doubts = Doubts()
    lost = Receipts(1, doubts)
    for key in ("a", "b"):
        lost.begin(send(key), 0.0)
    lost.abandon()
    receipts = Receipts(2, doubts)

    # Given an innocent one under way, a doubtful one waits; and once it is out, everything else waits for it.
    innocent = receipts.begin(send("new"), 0.0)
    assert not receipts.may_write(send("a"))
    receipts.answer(innocent)
    assert receipts.may_write(send("a"))
    doubtful = receipts.begin(send("a"), 0.0)
    assert not receipts.may_write(send("new too"))
    assert not receipts.may_write(send("b"))
    assert receipts.may_write(ack("any"))

    receipts.answer(doubtful)
    assert "a" not in doubts
    assert "b" in doubts
    assert receipts.may_write(send("new too"))


def test_doubts_forget_the_oldest_rather_than_grow_for_ever():
    doubts = Doubts()
    doubts.add(range(5000))

    assert 0 not in doubts
    assert 4999 in doubts


def test_the_only_send_under_way_is_the_suspect_when_the_broker_ended_it():
    events = settle([ack("k"), send("a")], [send("b"), ack("l")], why="closed", blame_a_send=True)

    assert events == (
        AckLost(key="k", why="closed"),
        Refused(key="a", why="closed", suspect=True),
        Unknown(key="b", why="not sent: closed", written=False),
        AckLost(key="l", why="not sent: closed"),
    )


def test_of_two_sends_under_way_none_is_the_suspect():
    events = settle([send("a"), send("b")], [], why="closed", blame_a_send=True)

    assert events == tuple(Unknown(key=key, why="closed", written=True) for key in ("a", "b"))


def test_a_send_is_no_suspect_when_the_network_ended_it():
    assert settle([send("a")], [], why="silent", blame_a_send=False) == (Unknown(key="a", why="silent", written=True),)
