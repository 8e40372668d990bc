"""The live view: what it says in both languages, at the limit, without a limit, without a price."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from vpg.cli import watching
from vpg.cli.terminal import Terminal
from vpg.rating.charges import ChargeRow
from vpg.service.view import Amount, View, VpgView, owed
from vpg.timebase import HOUR_US

NOW_US = 1_775_001_600_000_000 + HOUR_US
FULL = VpgView(
    vpg_id="gate[1]",
    type="C",
    size="small",
    rate_per_s=29,
    rate_max_per_s=30,
    lines=1_000,
    lines_max=1_000,
    hour=Amount(micro_yen=50_000_000, unpriced=False),
    month=Amount(micro_yen=1_234_500_000, unpriced=False),
)
FREE = VpgView(
    vpg_id="free",
    type="G",
    size="",
    rate_per_s=1_234,
    rate_max_per_s=None,
    lines=0,
    lines_max=None,
    hour=Amount(micro_yen=0, unpriced=True),
    month=None,
)


def view(*, healthy: bool = True) -> View:
    return View(
        now_us=NOW_US,
        scale=60,
        vpgs=(FULL, FREE),
        events=12_345,
        commits=678,
        waiting=9,
        healthy=healthy,
    )


def drawn(terminal: Terminal, one: View) -> str:
    stream = io.StringIO()
    Console(file=stream, width=120, no_color=True).print(watching.table(one, terminal))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("lang", "said"),
    [
        (
            "en",
            (
                *("2026-04-01 01:00:00", "×60", "gate[1] (C Small)", "29 / 30 (96%)"),
                *("1,000 / 1,000 (100%)", "50 yen", "1,234.5 yen", "free (G)", "1,234"),
                *("0 yen + unpriced", "12,345 events in 678 commits, 9 waiting, healthy"),
            ),
        ),
        (
            "ja",
            (
                *("60 倍速", "gate[1] (C Small)", "29 / 30 (96%)", "50円", "1,234.5円"),
                *("0円＋価格不明", "イベント 12,345 件をコミット 678 回、待ち 9 件、正常"),
            ),
        ),
    ],
)
def test_table_and_lines_say_the_same(lang: str, said: tuple[str, ...]) -> None:
    terminal = Terminal(lang="ja" if lang == "ja" else "en")
    table, lines = drawn(terminal, view()), "\n".join(watching.lines(view(), terminal))
    for words in said:
        assert words in table
        assert words in lines


def test_a_store_in_trouble_is_told() -> None:
    assert "TROUBLE" in drawn(Terminal(), view(healthy=False))
    assert "異常" in "\n".join(watching.lines(view(healthy=False), Terminal(lang="ja")))


def test_what_is_owed_is_of_this_hour_and_of_all_charges() -> None:
    def charge(vpg_id: str, hour: int, amount: int | None) -> ChargeRow:
        return ChargeRow(
            vpg_id=vpg_id,
            hour_start_us=NOW_US - NOW_US % HOUR_US - hour * HOUR_US,
            bill_item="vpg_c_small",
            quantity=1,
            unit_price_micro_yen=amount,
            amount_micro_yen=amount,
        )

    rows = [charge("a", 0, 5), charge("a", 0, 6), charge("a", 1, 7), charge("b", 1, None)]
    assert owed(rows, NOW_US + 1) == {
        "a": (Amount(micro_yen=11, unpriced=False), Amount(micro_yen=18, unpriced=False)),
        "b": (Amount(micro_yen=0, unpriced=False), Amount(micro_yen=0, unpriced=True)),
    }
