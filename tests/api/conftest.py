"""A record to read, over the whole line."""

from urllib.parse import urlencode

import pytest
from hubtest import Client

TOKEN = "0123456789abcdef-admin"


class Api:
    """Asks the API, with the admin token unless another is given."""

    def __init__(self, hub):
        self.client = Client(hub)

    def __call__(self, path, token=TOKEN, method="GET", headers=(), **query):
        query = {name.rstrip("_"): value for name, value in query.items()}
        sent = dict(headers)
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        return self.client.request(method, path, headers=sent, query=urlencode(query))

    def pages(self, path, plural, **query):
        """All rows of a listing, a page at a time."""
        cursor, rows = None, []
        while True:
            more = {} if cursor is None else {"cursor": cursor}
            reply = self(path, **query, **more)
            assert reply.status == 200, reply.body
            rows += reply.json[plural]
            cursor = reply.json["next"]
            assert ("link" in reply.headers) is (cursor is not None)
            if cursor is None:
                return rows


@pytest.fixture
def hub(make_hub):
    return make_hub(admin_token=TOKEN)


@pytest.fixture
def api(hub):
    return Api(hub)
