"""The contract that every source keeps, for the built-in ones."""

from hubtest import FIXTURES

from hub.testing import contract_suite

test_unified = contract_suite("unified", FIXTURES / "unified")
test_legacy = contract_suite("legacy", FIXTURES / "legacy")
test_secure = contract_suite("secure", FIXTURES / "secure")
test_onetap = contract_suite("onetap", FIXTURES / "onetap")
test_cards = contract_suite("cards", FIXTURES / "cards")
test_forms = contract_suite("forms", FIXTURES / "forms")
test_qr = contract_suite("qr", FIXTURES / "qr")
