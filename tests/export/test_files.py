"""Tables as files: what is in them is what other programs read, whatever a student is called."""

import csv
import io
import json
import shutil
import subprocess
import zipfile
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from hub.export import csv as csv_files
from hub.export import jsonl, xlsx
from hub.export.table import Table, columns

NASTY = (
    '=HYPERLINK("http://evil.example","x")', "+4917012345", "+4917012345 Ruiz", "-5", "@SUM(A1)",
    "00123", "two\nlines", "carriage\rreturn", 'a "quote", and a comma', "\u202eleft", "tab\there",
    "_x0041_", "_x0041_x0042_", "a_x005F_x0041_", "\x01\x7f", "<&>", "ünï☃🎉", "", " blanks ",
    "x" * 40_000, "'quoted", "\ufffe", "=1+1", "\n=1+1", "＝1+1",
)  # fmt: skip
DENVER = ZoneInfo("America/Denver")


def table(rows, names=("id", "name", "at", "flag", "rate"), size=7):
    pages = [rows[start : start + size] for start in range(0, len(rows), size)]
    return Table("sheet: of/one", columns(names, ("at",), DENVER), pages)


def row(number, name, **more):
    return {
        "id": number,
        "name": name,
        "at": "2026-11-12T18:00:00.153Z",
        "flag": True,
        "rate": 0.5,
        **more,
    }


ROWS = [row(number, name) for number, name in enumerate(NASTY, start=1)]


def test_csv_is_exact():
    text = b"".join(csv_files.chunks(table(ROWS))).decode()
    found = list(csv.reader(io.StringIO(text, newline="")))
    assert found[0] == ["id", "name", "at", "at (America/Denver)", "flag", "rate"]
    assert [one[1] for one in found[1:]] == list(NASTY)
    assert found[1][2:] == ["2026-11-12T18:00:00.153Z", "2026-11-12 11:00:00.153000", "true", "0.5"]


def test_csv_for_excel_is_guarded_where_it_is_no_number():
    raw = b"".join(csv_files.chunks(table(ROWS), for_excel=True))
    assert raw.startswith(b"\xef\xbb\xbf")
    found = list(csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline="")))
    guarded = [one[1][1:] for one in found[1:] if one[1] != NASTY[int(one[0]) - 1]]
    assert guarded == [
        '=HYPERLINK("http://evil.example","x")', "+4917012345 Ruiz", "@SUM(A1)", "=1+1",
        "\n=1+1", "＝1+1",
    ]  # fmt: skip


def test_a_file_of_nothing_has_its_heading():
    assert b"".join(csv_files.chunks(table([]))) == b"id,name,at,at (America/Denver),flag,rate\r\n"
    assert b"".join(jsonl.chunks(table([]))) == b""


def test_json_lines_have_the_objects_as_they_are():
    lines = b"".join(jsonl.chunks(table(ROWS))).decode().split("\n")
    assert [json.loads(line) for line in lines[:-1]] == ROWS


def test_members_of_members_and_lists_are_flat():
    rows = [{"a": {"b": 1}, "c": [{"kind": "é"}]}, {"a": None, "c": []}]
    shown = columns(("a.b", "c"), (), DENVER)
    text = b"".join(csv_files.chunks(Table("t", shown, [rows]))).decode()
    assert text.splitlines() == ["a.b,c", '1,"[{""kind"": ""é""}]"', ",[]"]


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", None])
def test_the_ends_of_the_calendar_have_a_local_time(at):
    rows = [row(1, "x", at=at)]
    assert b"".join(csv_files.chunks(table(rows)))
    assert b"".join(xlsx.chunks(table(rows)))


def written(tmp_path, rows, **more):
    file = tmp_path / "sheet.xlsx"
    file.write_bytes(b"".join(xlsx.chunks(table(rows, **more))))
    return file


def expected(name):
    """A name as a cell can have it."""
    return name if len(name) <= xlsx.LONGEST else f"{name[: xlsx.LONGEST - 1]}…"


def test_openpyxl_reads_what_was_written(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.load_workbook(written(tmp_path, ROWS))
    (sheet,) = book.worksheets
    assert sheet.freeze_panes == "A2"
    assert sheet["A1"].font.b
    assert [cell.value for cell in sheet[1]] == [
        "id", "name", "at", "at (America/Denver)", "flag", "rate",
    ]  # fmt: skip
    names = [cell.value for cell in sheet["B"]][1:]
    unescape = pytest.importorskip("openpyxl.utils.escape").unescape
    assert [unescape(name) for name in names] == [expected(name) for name in NASTY]
    assert sheet["D2"].value == datetime(2026, 11, 12, 11, 0, 0, 153000)
    assert (sheet["A2"].value, sheet["E2"].value, sheet["F2"].value) == (1, True, 0.5)
    assert all(cell.data_type != "f" for row in sheet for cell in row)


def test_calamine_reads_what_was_written(tmp_path):
    calamine = pytest.importorskip("python_calamine")
    book = calamine.CalamineWorkbook.from_path(str(written(tmp_path, ROWS)))
    found = book.get_sheet_by_index(0).to_python()
    assert [one[0] for one in found[1:]] == [float(number) for number in range(1, len(NASTY) + 1)]
    assert found[1][3].replace(microsecond=0) == datetime(2026, 11, 12, 11)
    assert found[6][1] == "00123"
    assert found[1][1] == NASTY[0]


@pytest.mark.skipif(not shutil.which("soffice"), reason="needs LibreOffice")
def test_libreoffice_opens_what_was_written(tmp_path):
    file = written(tmp_path, ROWS)
    subprocess.run(
        ["soffice", f"-env:UserInstallation=file://{tmp_path}/profile", "--headless", "--convert-to",
         "csv:Text - txt - csv (StarCalc):44,34,76", "--outdir", tmp_path, file],
        check=True, timeout=120, capture_output=True,
    )  # fmt: skip
    text = (tmp_path / "sheet.csv").read_text("utf-8")
    found = list(csv.reader(io.StringIO(text, newline="")))
    assert [one[0] for one in found[1:]] == [str(number) for number in range(1, len(NASTY) + 1)]
    for name in (
        '=HYPERLINK("http://evil.example","x")',
        "+4917012345",
        "00123",
        "two\nlines",
        "=1+1",
    ):
        assert name in [one[1] for one in found]
    assert found[1][3] == "2026-11-12 11:00:00"


def test_a_sheet_that_is_full_goes_on_in_another(tmp_path, monkeypatch):
    openpyxl = pytest.importorskip("openpyxl")
    monkeypatch.setattr(xlsx, "MOST_ROWS", 11)
    rows = [row(number, "x") for number in range(1, 26)]
    book = openpyxl.load_workbook(written(tmp_path, rows, size=4))
    assert book.sheetnames == ["sheet  of one", "sheet  of one 2", "sheet  of one 3"]
    found = [
        sheet.cell(number, 1).value for sheet in book for number in range(2, sheet.max_row + 1)
    ]
    assert found == list(range(1, 26))


def test_a_sheet_that_is_too_large_goes_on_in_another(tmp_path, monkeypatch):
    openpyxl = pytest.importorskip("openpyxl")
    monkeypatch.setattr(xlsx, "MOST_BYTES", 1000)
    rows = [row(number, "x") for number in range(1, 26)]
    book = openpyxl.load_workbook(written(tmp_path, rows, size=4))
    found = [
        sheet.cell(number, 1).value for sheet in book for number in range(2, sheet.max_row + 1)
    ]
    assert [one for one in found if one] == list(range(1, 26))
    assert len(book.sheetnames) > 2


def test_the_archive_is_whole(tmp_path):
    with zipfile.ZipFile(written(tmp_path, ROWS)) as archive:
        assert archive.testzip() is None
