"""All that the hub knows of one person, in one file."""

from hubtest import ONETAP, UNIFIED, Calls, Client, fixture

PLUGIN = """
from hub import OPEN, CheckIn, Source, hookimpl


def normalize(payload):
    return [CheckIn(student=one, event="Weekly Meeting", repeatable=True) for one in payload["all"]]


@hookimpl
def register_sources():
    return [Source(name="many", path="many", authenticate=OPEN, schema={}, normalize=normalize)]
"""


def test_it_has_the_person_the_attendances_and_the_deliveries(make_hub, tmp_path):
    (tmp_path / "many.py").write_text(PLUGIN)
    hub = make_hub(admin_token="0123456789abcdef-admin", plugins=str(tmp_path))
    calls = Calls(Client(hub))
    calls.student("a1", first_name="Grace", about={"shoe": 38})
    calls.student("a2", first_name="Else")
    calls.event()
    calls.attend("a1", about={"door": "B"})
    calls.attend("a1")
    together = calls.client.post("/api/webhook/many/", {"all": ["a1", "a2"], "note": "of both"})
    assert together.status == 201, together.body
    calls.client.post(UNIFIED, {"type": "attendance", "data": {"student_identifier": "a1"}})
    calls.client.post(ONETAP, fixture("onetap/participant.checkin__seen"))
    calls.unified("student", "update", student_identifier="a1", last_name="Renamed")

    def everything(student):
        return calls.client.request(
            "GET",
            f"/api/students/{student}/everything.json",
            headers={"Authorization": "Bearer 0123456789abcdef-admin"},
        )

    reply = everything(1)
    assert reply.headers["content-disposition"] == 'attachment; filename="everything-a1.json"'
    told = reply.json
    assert (told["student"]["name"], told["student"]["metadata"]) == ("Grace Renamed", {"shoe": 38})
    (attendance,) = told["attendances"]
    assert (len(attendance["evidence"]), attendance["metadata"]) == (3, {"door": "B"})
    kinds = [(one["status"], one.get("about_others", False)) for one in told["deliveries"]]
    assert kinds == [(201, False), (201, False), (400, False), (201, True), (200, False)]
    assert "of both" not in reply.body.decode()
    assert "Else" not in reply.body.decode()
    assert everything(9).status == 404


def test_what_waited_with_others_is_not_shown(make_hub, tmp_path):
    (tmp_path / "many.py").write_text(PLUGIN)
    hub = make_hub(admin_token="0123456789abcdef-admin", plugins=str(tmp_path))
    calls = Calls(Client(hub))
    calls.event()
    reply = calls.client.post("/api/webhook/many/", {"all": ["a1", "a2"], "names": "Bo Secret"})
    assert reply.status == 404
    calls.student("a1")
    told = calls.client.request(
        "GET",
        "/api/students/1/everything.json",
        headers={"Authorization": "Bearer 0123456789abcdef-admin"},
    )
    assert [one.get("about_others", False) for one in told.json["deliveries"]] == [True, False]
    assert "Bo Secret" not in told.body.decode()
