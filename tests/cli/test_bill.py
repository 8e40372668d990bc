"""``vpg bill`` and ``vpg bill check``: from a run directory to invoices, CSVs and an answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from tests.support_cli import Answer, masked, matches_golden, vpg
from vpg.cli import bill_documents

if TYPE_CHECKING:
    from pathlib import Path

INPUTS = """
method = "invoice_post"
payer = "OP0000000001"

[names]
vpg_c_small = "VPG タイプC"

[[operator]]
id = "OP0000000001"
name = "大阪商店"

[[operator]]
id = "OP/2"

[[coupon]]
id = "spring"
balance_yen = 500
first_month = "202601"
last_month = "202701"

[[goods]]
operator = "OP/2"
item = "sim"
quantity = 3
price = 820
dispatched_on = 2026-04-20

[[line]]
item = "=beam"
coverage = "GL"
quantity = 1000
unit = "request"
price = 0.0009

[[rate]]
month = "202604"
label = "TTS"
yen_per_usd = 151.23

[[tag]]
thing = "gate"
name = "site"
value = "+Osaka"
"""
TABLE = """id = "mine"
[[price]]
item = "vpg_c_small"
value = 60
effective_from = 2026-04-01
source = "offer"
unit = "yen/h"
replace = true
"""


@pytest.fixture
def run(in_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the directory of a run of one hour of April 2026."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    (in_tmp / "april.toml").write_text(INPUTS, encoding="utf-8")
    answer = vpg("run", "smallest", "--no-charts", "--quiet")
    return answer.out.strip()


def page(answer: Answer) -> str:
    return f"exit {answer.code}\n--- stdout\n{answer.out}--- stderr\n{answer.err}"


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_the_pages_read_as_agreed(lang: str, run: str, in_tmp: Path) -> None:
    inputs = ("--inputs", "april.toml", "--lang", lang)
    answer = vpg("bill", run, *inputs, "--out", "bills")
    assert matches_golden(f"bill.{lang}.txt", masked(page(answer), in_tmp))
    name = "bills/OP0000000001-202604-JP.csv"
    actual = in_tmp / name
    answer = vpg("bill", "check", run, name, *inputs)
    assert matches_golden(f"bill-equal.{lang}.txt", masked(page(answer), in_tmp))
    text = actual.read_text(encoding="utf-8-sig").replace(",50,1,50,", ",60,2,121,")
    actual.write_text(text.replace("contract_fee_c", "setup_c"), encoding="utf-8")
    answer = vpg("bill", "check", run, name, *inputs)
    assert matches_golden(f"bill-differs.{lang}.txt", masked(page(answer), in_tmp))


def test_files_of_each_operator_and_coverage_come_back_equal(run: str, in_tmp: Path) -> None:
    answer = vpg(
        *("bill", run, "--inputs", "april.toml", "--out", "bills", "--json"),
        *("--portal-encoding", "cp932"),
    )
    assert answer.code == 0
    document = msgspec.json.decode(answer.out, type=bill_documents.InvoicesDocument)
    assert next(iter(json.loads(answer.out))) == "schema_version"
    [invoice] = document.invoices
    assert invoice.payable_yen == sum(part.payable_yen for part in invoice.sections)
    assert [path.removeprefix("bills/") for path in document.files] == [
        "OP0000000001-202604-JP.csv",
        "OP0000000001-202604-GL.csv",
        "OP_2-202604-JP.csv",
        "OP0000000001_INVOICE_202604.csv",
    ]
    portal = (in_tmp / document.files[3]).read_bytes().decode("cp932")
    assert ",202604,VPG タイプC,50,,外税10%\r\n" in portal
    whose = (("OP0000000001", "JP"), ("OP0000000001", "GL"), ("OP/2", "JP"))
    for path, (operator, coverage) in zip(document.files[:3], whose, strict=True):
        answer = vpg(
            *("bill", "check", run, path, "--inputs", "april.toml", "--json"),
            *("--operator", operator, "--coverage", coverage),
        )
        found = msgspec.json.decode(answer.out, type=bill_documents.BillCheckDocument)
        assert (answer.code, found.equal, found.amount) == (0, True, "0")
    again = vpg("bill", run, "--inputs", "april.toml", "--out", "bills")
    assert (again.code, again.numbers) == (3, ["VPG1741", "VPG1022"])  # in UTF-8: another file


def test_operators_whose_names_are_one_on_disk_have_a_file_each(run: str, in_tmp: Path) -> None:
    text = "".join(
        f'[[operator]]\nid = "{name}"\n[[line]]\noperator = "{name}"\n'
        f'item = "x"\nquantity = 1\nprice = {price}\n'
        for name, price in (("a/b", 100), ("a:b", 200), ("..", 300))
    )
    (in_tmp / "three.toml").write_text(text, encoding="utf-8")
    answer = vpg("bill", run, "--inputs", "three.toml", "--out", "bills", "--quiet")
    assert answer.out.split() == [
        "bills/a_b-202604-JP.csv",
        "bills/_-202604-JP.csv",
        "bills/a_b-202604-JP-2.csv",
        "bills/a_b_INVOICE_202604.csv",
    ]


def test_a_difference_is_told_as_a_document_and_exit_4(run: str, in_tmp: Path) -> None:
    vpg("bill", run, "--out", "bills")
    actual = in_tmp / "bills" / "operator-202604-JP.csv"
    text = actual.read_text(encoding="utf-8-sig")
    actual.write_text(text.replace(",50,1,50", ",50,2,100"), encoding="utf-8")
    answer = vpg("bill", "check", run, str(actual), "--json")
    assert answer.code == 4
    found = msgspec.json.decode(answer.out, type=bill_documents.BillCheckDocument)
    [one] = found.differences
    assert (one.amount, [(x.why, x.amount) for x in one.reasons]) == ("50", [("quantity", "50")])
    assert one.computed is not None
    assert one.actual is not None
    assert (one.computed.quantity, one.actual.quantity, one.actual.line) == (1, 2, 3)
    assert "gate" in vpg("bill", "check", run, str(actual), "--lang", "ja").out


def test_another_catalogue_rates_again_and_says_so(run: str, in_tmp: Path) -> None:
    (in_tmp / "mine.toml").write_text(TABLE, encoding="utf-8")
    answer = vpg("bill", run, "--catalogue", "mine.toml", "--json")
    document = json.loads(answer.out)
    assert answer.numbers == ["VPG1738", "VPG1741"]
    assert document["invoices"][0]["tax_excluded_yen"] == 1040


def test_usage_that_came_late_is_rated_or_corrected(run: str, in_tmp: Path) -> None:
    more = vpg(
        *("run", "smallest", "--no-charts", "--quiet", "--out", "late"),
        *("--set", "vpgs[0].connections={peering: 3}"),
    ).out.strip()
    for arrived, yen in (("2026-04-02", 1050), ("2026-06-02", 1030)):
        (in_tmp / "late.toml").write_text(
            f'[[late_usage]]\nrun = "{more}"\narrived = {arrived}T00:00:00+09:00\nversion = 1\n',
            encoding="utf-8",
        )
        document = json.loads(vpg("bill", run, "--inputs", "late.toml", "--json").out)
        assert document["invoices"][0]["tax_excluded_yen"] == yen


def test_closing_days_move_the_dates(run: str, in_tmp: Path) -> None:
    (in_tmp / "days.toml").write_text("issue_business_day = 5\n", encoding="utf-8")
    document = json.loads(vpg("bill", run, "--closures", "days.toml", "--json").out)
    assert document["invoices"][0]["dates"]["issue_on"] == "2026-05-12"


@pytest.mark.parametrize(
    ("words", "code", "number"),
    [
        (("--month", "2026-04"), 2, "VPG1701"),
        (("--month", "202605"), 2, "VPG1733"),
        (("--month", "202604", "--closures", "absent"), 3, "VPG1712"),
        (("--inputs", "absent"), 3, "VPG1715"),
        (("--out", "april.toml"), 3, "VPG1023"),
    ],
)
def test_bad_options_have_their_codes(
    words: tuple[str, ...], code: int, number: str, run: str
) -> None:
    answer = vpg("bill", run, *words)
    assert (answer.code, answer.numbers[-1]) == (code, number)


@pytest.mark.parametrize(
    ("words", "code", "number"),
    [
        (("absent.csv",), 3, "VPG1301"),
        (("april.toml",), 3, "VPG1720"),
        (("april.toml", "--operator", "Z"), 2, "VPG1735"),
        (("april.toml", "--coverage", "GL"), 2, "VPG1735"),
        ((), 2, "VPG1012"),
    ],
)
def test_a_check_of_the_wrong_thing(
    words: tuple[str, ...], code: int, number: str, run: str
) -> None:
    answer = vpg("bill", "check", run, *words)
    assert (answer.code, answer.numbers[0]) == (code, number)


def test_a_run_of_two_months_asks_which(in_tmp: Path) -> None:
    run = vpg(
        *("run", "smallest", "--no-charts", "--quiet"),
        *("--set", "start=2026-05-01T08:00:00+09:00", "--set", "duration_h=2"),
    ).out.strip()
    answer = vpg("bill", run)
    assert (answer.code, answer.numbers) == (2, ["VPG1734"])
    payable = {}
    for month in ("202604", "202605"):
        document = json.loads(vpg("bill", run, "--month", month, "--json").out)
        payable[month] = document["invoices"][0]["payable_yen"]
    assert payable == {"202604": 1133, "202605": 55}
    assert list(in_tmp.iterdir())
