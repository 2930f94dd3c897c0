"""How much space a store takes."""

from hub.store.database import MEMORY_URL, parse_address
from hub.store.space import Space, _of_file, space
from hub.store.store import Store


def test_a_store(make_hub):
    hub = make_hub()
    found = space(hub.store)
    assert found.taken > 10_000
    if hub.store.address.in_file:
        assert 0 < found.free <= found.disk


def test_a_file_without_a_log_beside_it(tmp_path):
    file = tmp_path / "hub.db"
    file.write_bytes(b"x" * 100)
    assert _of_file(parse_address(f"sqlite:///{file}")).taken == 100


def test_a_store_in_memory():
    store = Store.open(MEMORY_URL)
    assert space(store) == Space()
    store.close()
