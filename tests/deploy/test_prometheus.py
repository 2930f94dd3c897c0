"""The alert rules and the dashboard: Prometheus understands them, and the hub has what they ask for."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import STORE
from hubtest import Calls, Client

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "attendance-hub.rules.yml"
DASHBOARD = DEPLOY / "grafana" / "attendance-hub.json"

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not here")


def promtool(*arguments, folder):
    done = subprocess.run(
        ["promtool", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def expressions():
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


@needs_promtool
def test_the_rules(tmp_path):
    shutil.copy(RULES, tmp_path)
    shutil.copy(Path(__file__).parent / "alerts.test.yml", tmp_path)
    promtool("check", "rules", RULES.name, folder=tmp_path)
    assert "SUCCESS" in promtool("test", "rules", "alerts.test.yml", folder=tmp_path)


@needs_promtool
def test_the_configuration(tmp_path):
    text = (DEPLOY / "prometheus" / "attendance-hub.yml").read_text("utf-8")
    (tmp_path / "prometheus.yml").write_text(text.replace("/etc/prometheus/", ""))
    shutil.copy(RULES, tmp_path)
    promtool("check", "config", "prometheus.yml", folder=tmp_path)


@needs_promtool
def test_the_dashboard_asks_what_prometheus_understands(tmp_path):
    rules = [
        {"record": f"panel:{number}", "expr": expression.replace("$instance", "x")}
        for number, expression in enumerate(expressions())
    ]
    # JSON is YAML as well.
    groups = {"groups": [{"name": "panels", "rules": rules}]}
    (tmp_path / "panels.yml").write_text(json.dumps(groups))
    promtool("check", "rules", "panels.yml", folder=tmp_path)


def test_the_hub_has_every_metric_that_they_name(make_hub):
    hub = make_hub(enable=("eventbrite",))
    client = Client(hub)
    calls = Calls(client)
    calls.student("a1")
    page = client.request("GET", "/metrics", headers={"Host": "localhost"}, address="127.0.0.1")
    told = set(re.findall(r"^# TYPE (\S+)", page.body.decode(), re.MULTILINE))
    asked = set()
    for text in (*expressions(), RULES.read_text("utf-8")):
        asked |= set(re.findall(r"\b((?:hub|process)_[a-z_]+)", text))
    asked = {re.sub(r"_(?:bucket|sum|count)$", "", one) for one in asked}
    # Once there is a backup; and of a file.
    missing = {"hub_last_backup_timestamp_seconds"}
    if STORE != "sqlite":
        missing |= {"hub_disk_free_bytes", "hub_disk_bytes"}
    assert asked - told == missing
