"""An evening with invented people, posted to a running hub: for the browser's tests, and the pictures."""

import json
import random
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta

TOKEN = "0123456789abcdef0123"
FIRST = (
    *("Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Ken", "Dennis", "Radia", "Tim"),
    *("Margaret", "Linus", "Guido", "Frances", "Hedy", "John", "Niklaus", "Katherine", "Annie"),
    "Mary",
)
LAST = ("Example", "Sample", "Specimen")
PEOPLE = [(first, last) for last in LAST for first in FIRST]


def post(url, path, payload, token=None):
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url + path, json.dumps(payload).encode(), headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


class Evening:
    """Posts to the unified source of the hub at ``url``. Its meeting has the id ``meeting``."""

    def __init__(self, url):
        self.url = url
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.start = self.now - timedelta(minutes=40)
        self.meeting = 0

    def unified(self, kind, **data):
        payload = {"type": kind, "action": "create", "data": data}
        return post(self.url, "/api/webhook/unified/", payload)

    def attend(self, student, event="Weekly Meeting", at=None):
        more = {} if at is None else {"check_in_time": _text(at)}
        return self.unified(
            "attendance", student_identifier=student, event_identifier=event, **more
        )

    def hold(self):
        """Four meetings before, and that of tonight: forty came, four are not known, fifteen check-ins
        name the event wrongly, one person is there twice.
        """
        chance = random.Random(14)
        for number, (first, last) in enumerate(PEOPLE):
            self.unified(
                "student",
                student_identifier=f"A{number:08d}",
                email=f"{first}.{last}@example.edu".lower(),
                first_name=first,
                last_name=last,
            )
        self.unified(
            "student",
            student_identifier="A00000099",
            email="ada@example.edu",
            first_name="Ada",
            last_name="Example",
        )
        for week in range(4, -1, -1):
            start = self.start - timedelta(days=7 * week)
            _, told = self.unified(
                "event",
                event_name="Weekly Meeting",
                event_date=_text(start),
                event_type="meeting",
                points=5,
                location="Room 001",
            )
            self.meeting = told["event"]["id"]
            for number in chance.sample(range(45), 40 if week == 0 else 28 + week):
                minutes = chance.randint(-9, 39 if week == 0 else 60)
                self.attend(f"A{number:08d}", at=start + timedelta(minutes=minutes))
        self.unified(
            "event", event_name="Board Games", event_date=_text(self.start), event_type="social"
        )
        self.attend("A00000001", "Board Games")
        for number in range(4):
            self.attend(f"A9999999{number}")
        for number in range(45, 60):
            self.attend(f"A{number:08d}", "Weekly Meetting")
        return self


def _text(moment):
    return moment.isoformat().replace("+00:00", "Z")
