"""The bench: what it counts, and where it will not post to."""

from collections import Counter

import pytest
from click.testing import CliRunner
from hubtest import Rows
from serving import Server

from hub.cli import bench, main
from hub.config.settings import Settings
from hub.hub import Hub


def test_a_throw_away_hub_is_measured():
    result = CliRunner().invoke(main, ["bench", "--connections", "4", "--seconds", "0.5"])
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert "check-ins a second" in lines[0]
    assert lines[1].startswith("latency: p50 ")
    assert lines[2] == "errors: 0 without an answer"
    assert "#" in lines[3]


def test_every_201_is_a_check_in_of_a_running_hub(url, tmp_path):
    server = Server(url, cwd=tmp_path)
    try:
        measured = bench.run(server.url, 4, 0.5)
    finally:
        server.stop()
    hub = Hub(Settings(database=url))
    assert Rows(hub).count("Attendance") == measured.statuses[201] > 0
    assert len(measured.latencies) == sum(measured.statuses.values())
    hub.close()


def test_a_hub_that_is_not_there_is_one_line():
    result = CliRunner().invoke(main, ["bench", "http://127.0.0.1:9"])
    assert (result.exit_code, result.output.count("\n")) == (2, 1)
    assert "no hub answers at 127.0.0.1:9" in result.output


@pytest.mark.parametrize("url", ["http://192.0.2.1:8000", "hub.example", "https://localhost", "["])
def test_it_posts_to_this_machine_only(url):
    result = CliRunner().invoke(main, ["bench", url])
    assert (result.exit_code, result.output.count("\n")) == (2, 1)


def test_a_hub_that_refuses_is_told(url, tmp_path):
    server = Server(url, "--without", "unified", cwd=tmp_path)
    try:
        result = CliRunner().invoke(main, ["bench", server.url])
    finally:
        server.stop()
    assert "the hub answered 404 to a new student" in result.output


def test_the_report():
    latencies = sorted([0.0005, 0.003, 0.0031, 0.09, 9.0])
    measured = bench.Measured(2.0, Counter({201: 4, 503: 1}), 2, latencies)
    assert list(bench.report(measured)) == [
        "2 check-ins a second, for 2.0 s",
        "latency: p50 3.1 ms, p90 9000.0 ms, p99 9000.0 ms",
        "errors: 2 without an answer, 1 x 503",
        "<=     1 ms        1 " + "#" * 20,
        "<=     2 ms        0 ",
        "<=     4 ms        2 " + "#" * 40,
        "<=     8 ms        0 ",
        "<=    16 ms        0 ",
        "<=    32 ms        0 ",
        "<=    64 ms        0 ",
        "<=   128 ms        1 " + "#" * 20,
        "<=   256 ms        0 ",
        "<=   512 ms        0 ",
        "<=  1024 ms        0 ",
        ">   2048 ms        1 " + "#" * 20,
    ]
    nothing = bench.Measured(1.0, Counter(), 3, [])
    assert "nan" in "".join(bench.report(nothing))
