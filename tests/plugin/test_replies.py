"""What a plugin's ``reply`` may return."""

import pytest

from hub import Reply
from hub.errors import PluginError
from hub.plugin.checks import require_reply


@pytest.mark.parametrize(
    ("returned", "error"),
    [
        ("OK", r"return hub\.Reply"),
        (Reply(b"OK"), "are text"),
        (Reply("OK", content_type="text/plain\r\nX: y"), "are text"),
        (Reply("OK", status=99), "from 200 to 599"),
        (Reply("OK", status=True), "from 200 to 599"),
    ],
)
def test_a_reply_that_cannot_be_sent(returned, error):
    def reply(happened):
        raise AssertionError

    with pytest.raises(PluginError, match=error):
        require_reply(returned, reply)
