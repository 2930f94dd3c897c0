"""Settings: their layers, their origins, and one sentence for each that is wrong."""

from datetime import UTC

import pytest
from hubtest import Client

from hub.config.described import described
from hub.config.load import load, unknown_variables
from hub.config.settings import SourceSettings
from hub.errors import SettingError
from hub.store.database import parse_address


def _described(found):
    database = parse_address(found.settings.database).shown
    return described(found.settings, found.origins, database)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_defaults():
    settings = load(environment={}).settings
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.time_zone is UTC
    assert settings.database == "sqlite:///attendance-hub.db"
    assert settings.webhook_secret == ()


def test_each_layer_replaces_the_one_before(tmp_path):
    (tmp_path / "hub.toml").write_text('port = 1\nhost = "::1"\nwithout = ["onetap"]\n')
    environment = {"HUB_PORT": "2", "HUB_BODY_LIMIT": "5", "HUB_ALLOWED_ORIGINS": "https://a.b, "}
    found = load({"port": "3", "host": None, "without": ()}, environment=environment)
    settings = found.settings
    assert (settings.port, settings.host, settings.body_limit) == (3, "::1", 5)
    assert settings.without == ("onetap",)
    assert settings.allowed_origins == ("https://a.b",)
    assert found.origins["port"] == "--port"
    assert found.origins["host"] == "hub.toml"
    assert found.origins["body_limit"] == "HUB_BODY_LIMIT"


def test_another_file(tmp_path):
    (tmp_path / "other.toml").write_text('time_zone = "America/Denver"')
    assert str(load(file="other.toml", environment={}).settings.time_zone) == "America/Denver"


def test_secrets_come_from_the_environment_and_from_files(tmp_path):
    (tmp_path / "secrets").write_text("in file\n\nolder\r\n")
    (tmp_path / "own").write_text("own")
    (tmp_path / "hub.toml").write_text(
        'secret_file = "secrets"\n[sources.onetap]\nsecret_file = "own"\nsignature = "onetap"\n'
    )
    environment = {"WEBHOOK_SECRET": "It's one", "HUB_SOURCE_ONETAP_SECRETS": "a\nb"}
    found = load(environment=environment)
    assert found.settings.webhook_secret == ("It's one", "in file", "older")
    assert found.settings.sources["onetap"].secrets == ("a", "b", "own")
    lines = {name: (value, origin) for name, value, origin in _described(found)}
    assert lines["webhook_secret"] == ("3 set, not shown", "WEBHOOK_SECRET and secrets")
    assert lines["sources.onetap.secrets"][0] == "3 set, not shown"
    assert lines["sources.onetap.signature"] == ("onetap", "hub.toml")
    assert "It's one" not in str(lines)
    assert "It's one" not in repr(found)


def test_sources_from_the_environment():
    environment = {
        "HUB_SOURCE_MY_DOOR_SIGNATURE": "github",
        "HUB_SOURCE_MY_DOOR_REQUIRED": "no",
    }
    assert load(environment=environment).settings.sources == {
        "my_door": SourceSettings(signature="github", required=False)
    }


def test_a_sources_name_is_the_same_with_a_hyphen(tmp_path):
    (tmp_path / "hub.toml").write_text('[sources.my-door]\nsignature = "github"\n')
    found = load(environment={"HUB_SOURCE_MY_DOOR_SECRETS": "s"}).settings.sources
    assert found == {"my_door": SourceSettings(signature="github", secrets=("s",))}


def test_secrets_are_utf_8():
    with pytest.raises(SettingError, match="WEBHOOK_SECRET: its secrets must be UTF-8"):
        load(environment={"WEBHOOK_SECRET": "\udcff"})


def test_a_password_in_the_database_is_not_shown():
    url = "postgresql://club:hush@db.example:5432/hub?password=hush"
    lines = {line[0]: line[1] for line in _described(load({"database": url}, environment={}))}
    assert lines["database"] == "postgresql://club@db.example:5432/hub"


@pytest.mark.parametrize(
    ("toml", "environment", "sentence"),
    [
        ("port = 'x'", {}, r"port \(from hub.toml\): it must be a whole number from 0 to 65535"),
        ("port = 1.5", {}, r"port .* whole number"),
        ("secret_file = 5", {}, r"secret_file .* text, and not empty"),
        ("without = [1]", {}, r"without .* list of texts"),
        ("config = 'x'", {}, r"config in hub.toml: there is no such setting"),
        ("port = true", {}, r"port .* whole number"),
        ("port = 70000", {}, r"port .* from 0 to 65535"),
        ("host = ''", {}, r"host .* text, and not empty"),
        ("time_zone = 'Mars/Olympus'", {}, r"time_zone .* IANA time zone"),
        ("time_zone = '../etc/passwd'", {}, r"time_zone .* IANA time zone"),
        ("without = 5", {}, r"without .* list of texts"),
        ("allowed_origins = ['club.example']", {}, r"allowed_origins .* https://club.example"),
        ("log_level = 'loud'", {}, r"log_level .* one of debug, info, warning, error"),
        ("prot = 1", {}, r"prot in hub.toml: there is no such setting; did you mean port\?"),
        ("xyzzy = 1", {}, r"xyzzy in hub.toml: there is no such setting$"),
        ("port =", {}, r"config: hub.toml cannot be read as TOML"),
        ("webhook_secret = 'x'", {}, r"webhook_secret in hub.toml: secrets stay out of this file"),
        ("[sources.a]\nsecret = 'x'", {}, r"sources.a.secret in hub.toml: secrets stay out"),
        ("[sources.a]\nsignatur = 'x'", {}, r"sources.a.signatur .* did you mean signature\?"),
        ("[sources.a]\nrequired = 'x'", {}, r"sources.a.required .* true or false"),
        ("[sources.a]\nsignature = 'x'", {}, r"sources.a.signature .* one of none, webhook"),
        ("[sources]\na = 1", {}, r"sources.a in hub.toml: it must be a table"),
        ("[sources.a-b]\n[sources.a_b]", {}, r"sources.a_b in hub.toml: it is there twice"),
        ("", {"HUB_SOURCES_A_REQUIRED": "1"}, r"did you mean HUB_SOURCE_A_REQUIRED\?"),
        ("sources = 1", {}, r"sources in hub.toml: it must be a table of tables"),
        ("", {"HUB_PORT": ""}, r"port \(from HUB_PORT\)"),
        ("", {"HUB_SOURCE_X": "1"}, r"HUB_SOURCE_X: it must end in one of _SIGNATURE"),
        ("secret_file = 'none'", {}, r"secret_file: none cannot be read"),
        ("secret_file = 'hub.toml'", {}, None),
        ("port = '٨'", {}, r"port .* whole number"),
        ("port = '8_0'", {}, r"port .* whole number"),
        ("same_event_within = -1", {}, r"same_event_within .* number of hours from 0"),
        ("check_in_window = '٨'", {}, r"check_in_window .* number"),
        ("public_url = 'hub.example'", {}, r"public_url .* https://hub.example.edu"),
        ("", {"WEBHOOK_SECRET": "  "}, r"WEBHOOK_SECRET: a secret of blanks"),
        ("", {"WEBHOOK_SECRET": "a\n \nb"}, r"WEBHOOK_SECRET: a secret of blanks"),
        ("", {"WEBHOOK_SECRET": ""}, None),
        ("", {"HUB_ADMIN_TOKEN": "  "}, r"HUB_ADMIN_TOKEN: it is blank"),
        ("", {"HUB_ADMIN_TOKEN": ""}, None),
        ("secret_file = 'nul'", {}, r"secret_file: nul: a secret has a NUL byte"),
        ("[plugin.a-b]\n[plugin.a_b]", {}, r"plugin.a_b in hub.toml: it is there twice"),
        ("[sources.a]\nsecret_file = 'blank'", {}, r"sources.a.secret_file: blank has no secret"),
    ],
)
def test_a_wrong_setting_is_one_sentence_that_names_it(tmp_path, toml, environment, sentence):
    (tmp_path / "hub.toml").write_text(toml)
    (tmp_path / "blank").write_text("\n")
    (tmp_path / "nul").write_bytes(b"a\0b\n")
    if sentence is None:
        load(environment=environment)
        return
    with pytest.raises(SettingError, match=sentence) as error:
        load(environment=environment)
    assert "\n" not in str(error.value) or "TOML" in sentence


def test_a_named_file_must_be_there():
    with pytest.raises(SettingError, match="there is no file none.toml"):
        load(file="none.toml", environment={})


def test_misspelt_variables_are_told_of():
    environment = {"HUB_PROT": "1", "HUB_XYZZY": "1", "HUB_PORT": "1", "HUB_SOURCE_A_X": "1"}
    told = ["HUB_PROT is not a setting; did you mean HUB_PORT?", "HUB_XYZZY is not a setting"]
    assert list(unknown_variables(environment)) == told
    assert load(environment={"HUB_XYZZY": "1"}).warnings == (told[1],)


@pytest.mark.parametrize(
    ("source", "own", "sentence"),
    [
        ("secure", {"required": False}, "sources.secure.required: this source is always signed"),
        ("secure", {"signature": "none"}, "sources.secure.signature: this source is always"),
        ("unified", {"signature": "none", "required": True}, "none cannot be required"),
        (
            "unified",
            {"signature": "github", "signed": "timestamp.body"},
            "only the onetap signature",
        ),
        (
            "unified",
            {"signature": "standard-webhooks", "secrets": ("é",)},
            "sources.unified: a Standard Webhooks secret is Base64",
        ),
        ("unified", {"signature": "none", "secrets": ("s",)}, "none cannot be required"),
        ("unifed", {}, r"sources.unifed: no plugin declares such a source; did you mean unified\?"),
        ("nobody", {}, "sources.nobody: no plugin declares such a source$"),
        ("cards", {}, None),
    ],
)
def test_what_a_source_cannot_be_is_told_at_the_start(make_hub, source, own, sentence, caplog):
    sources = {source: SourceSettings(**own)}
    if sentence is None:
        make_hub(sources=sources)
        return
    with pytest.raises(SettingError, match=sentence):
        make_hub(sources=sources)


def test_protection_is_told_in_words(make_hub):
    hub = make_hub(
        webhook_secret=("s",),
        sources={
            "unified": SourceSettings(signature="github", required=False),
            "legacy": SourceSettings(required=False),
            "onetap": SourceSettings(signature="onetap"),
        },
    )
    assert [endpoint.protection for endpoint in hub.endpoints] == [
        "open (github checked where sent)",
        "open",
        "signed (webhook)",
        "signed (onetap)",
        "signed (token)",
        "signed (token)",
        "signed (token)",
    ]
    assert Client(hub).post("/api/webhook/unified/", {}).status == 400
