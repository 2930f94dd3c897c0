"""The contract that every source keeps, for the built-in ones."""

import os

import pytest
from hubtest import FIXTURES

from hub.testing import contract_suite

pytestmark = pytest.mark.skipif(
    os.environ.get("HUB_TEST_STORE") == "postgres", reason="it is in memory whatever the store is"
)

test_unified = contract_suite("unified", FIXTURES / "unified")
test_legacy = contract_suite("legacy", FIXTURES / "legacy")
test_secure = contract_suite("secure", FIXTURES / "secure")
test_onetap = contract_suite("onetap", FIXTURES / "onetap")
test_cards = contract_suite("cards", FIXTURES / "cards")
test_forms = contract_suite("forms", FIXTURES / "forms")
test_qr = contract_suite("qr", FIXTURES / "qr")
