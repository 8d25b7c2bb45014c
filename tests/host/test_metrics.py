"""Scrapes of a real `serve` over loopback: numbers of a run, slow clients, and a port that is in use."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
import urllib.request

import pytest
from embedded import PATIENCE, Embedded
from prometheus_client.parser import text_string_to_metric_families
from waiting import wait_until

from supervisor import metricsserver
from supervisor.metricslisten import CannotListen, parse_listen
from supervisor.metricsserver import MetricsServer


def free_port():
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return asked.getsockname()[1]


def scrape(port):
    def whole():
        """A busy machine may not answer in time: a scraper sees that it was cut off, and comes again."""
        url = f"http://127.0.0.1:{port}/metrics"
        with (
            contextlib.suppress(http.client.HTTPException, ConnectionResetError),
            urllib.request.urlopen(url, timeout=PATIENCE) as answer,
        ):
            return answer.read().decode()

    text = wait_until(whole, PATIENCE, "a whole scrape")
    return {
        (sample.name.removeprefix("autoreduce_"), *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_scrape_tells_of_the_runs_of_a_service(tmp_path):
    port = free_port()
    with Embedded(tmp_path, metrics={"listen": f"127.0.0.1:{port}"}) as site:
        site.start()
        assert scrape(port)["run_wall_seconds_count",] == 0
        done = site.submit(site.message())
        bad = site.submit(site.message("raise ValueError('no')\n", run=75514))
        for job in (done, bad):
            site.wait_published(job)
        wait_until(lambda: scrape(port)["run_wall_seconds_count",] == 2, PATIENCE, "both runs to be counted")
        numbers = scrape(port)
        assert numbers["runs_begun_total", "ENGINX"] == 2
        assert numbers["runs_ended_total", "ENGINX", "completed"] == 1
        assert numbers["runs_ended_total", "ENGINX", "script_error"] == 1
        assert numbers["queue_wait_seconds_count",] == 2
        assert numbers["slots",] == 2
        assert numbers["store_trouble",] == 0
        assert numbers["broker_connected",] == 0  # this site has none
        assert 0 <= time.time() - numbers["start_time_seconds",] < PATIENCE
        assert not [name for name in numbers if name[0].startswith(("python_", "process_")) or "_created" in name[0]]
        assert site.stop() == 0
        with pytest.raises(OSError, match="refused"):
            scrape(port)


def test_a_service_without_the_key_listens_nowhere_and_one_with_a_port_in_use_says_so(tmp_path):
    with socket.socket() as holder, Embedded(tmp_path) as site:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        site.configure(metrics={"listen": f"127.0.0.1:{port}"})
        said = site.verb("serve")
        assert said.returncode == 78
        assert f'metrics.listen = "127.0.0.1:{port}"' in said.stderr
        assert "in use" in said.stderr
        assert "write another one" in said.stderr
        site.configure()
        site.start()
        assert site.stop() == 0
        assert "Prometheus" not in site.log_text()


def answering(accept):
    return "text/plain", b"well"


@pytest.fixture
def server():
    made = MetricsServer(parse_listen(f"127.0.0.1:{free_port()}"), answering)
    made.start()
    yield made
    made.stop()


def ask(server):
    with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/", timeout=PATIENCE) as answer:
        return answer.read()


def mute(server, stack):
    return stack.enter_context(socket.create_connection(("127.0.0.1", server.server_port)))


def test_a_slow_client_does_not_hinder_another_scrape(server):
    with contextlib.ExitStack() as stack:
        slow = mute(server, stack)
        slow.sendall(b"GET / HT")
        before = time.monotonic()
        assert ask(server) == b"well"
        assert time.monotonic() - before < metricsserver.PATIENCE
        wait_until(lambda: len(server._open) == 1, PATIENCE, "the slow one to be all that is open")


def test_clients_that_hold_every_place_are_ended_and_the_next_is_answered(server):
    with contextlib.ExitStack() as stack:
        began = time.monotonic()
        silent = [mute(server, stack) for _ in range(metricsserver.PLACES)]
        wait_until(lambda: len(server._open) == metricsserver.PLACES, PATIENCE, "every place to be held")
        most = []
        stop = threading.Event()

        def drip():
            """Send a byte now and then: each is in time, the whole is not."""
            while not stop.wait(0.5):
                with contextlib.suppress(OSError):
                    silent[0].sendall(b"G")
                most.append(len(server._open))

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            assert ask(server) == b"well"
            assert time.monotonic() - began >= metricsserver.PATIENCE - 1  # it waited for a place
            wait_until(lambda: not server._open, PATIENCE, "the slow ones to be ended, the dripping one too")
        finally:
            stop.set()
            dripping.join()
        assert max(most) <= metricsserver.PLACES
        assert ask(server) == b"well"


def test_an_address_that_is_in_use_is_named_with_a_remedy(server):
    with pytest.raises(CannotListen, match=r'metrics\.listen = "127\.0\.0\.1:\d+": .*in use.*write another one'):
        MetricsServer(parse_listen(f"127.0.0.1:{server.server_port}"), answering)
