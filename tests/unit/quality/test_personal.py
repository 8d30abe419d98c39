"""Which texts look like a card's number: those of a card's length whose check digit is right."""

import pytest

from include.quality.derive import _is_personal


@pytest.mark.parametrize(
    "text",
    ["4111 1111 1111 1111", "5500005555555559", "378282246310005", "6011000990139424", "paid 4111-1111-1111-1111"],
)
def test_a_cards_number_is_personal(text: str) -> None:
    assert _is_personal(text)


def test_barcodes_that_begin_like_a_card_are_none() -> None:
    """One in ten of any digits has a right check digit."""
    assert not any(_is_personal(str(number)) for number in range(4_131_672_700_000, 4_131_672_707_400, 37))


def test_a_wrong_check_digit_is_no_card() -> None:
    assert not _is_personal("4111111111111112")
