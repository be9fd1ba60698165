"""Sealed values: each under a nonce of its own, opened by its key in its row and by nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from domain.errors import NotServed, SecretUnusable
from store.keyring import Keyring, Place, Sealed, name

OLD, NEW = bytes(range(32)), bytes(range(1, 33))
RING = Keyring([NEW, OLD])
HERE = Place("acct_1", "sec_1")
CANARY = SecretStr("canary")


def test_a_value_is_sealed_under_the_newest_key_and_opened_by_any() -> None:
    old = Keyring([OLD]).seal(CANARY, HERE)
    new = RING.seal(CANARY, HERE)

    assert (old.key, new.key) == (name(OLD), name(NEW))
    assert RING.open(old, HERE) == RING.open(new, HERE) == CANARY


def test_the_same_value_is_never_sealed_the_same_way_twice() -> None:
    sealed = [RING.seal(CANARY, HERE).value for _ in range(1_000)]

    assert len({value[:12] for value in sealed}) == len({*sealed}) == 1_000
    assert all(b"canary" not in value for value in sealed)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1))
def test_whatever_is_sealed_is_opened_as_it_was(text: str) -> None:
    assert RING.open(RING.seal(SecretStr(text), HERE), HERE).get_secret_value() == text


@pytest.mark.parametrize(
    "place", [Place("acct_1", "sec_2"), Place("acct_2", "sec_1"), Place("acct_1\0sec", "_1")]
)
def test_a_value_does_not_open_in_another_row(place: Place) -> None:
    sealed = RING.seal(CANARY, HERE)

    with pytest.raises(SecretUnusable, match=place.id):
        RING.open(sealed, place)


def test_a_value_of_which_a_bit_was_changed_does_not_open() -> None:
    value, key = RING.seal(CANARY, HERE)
    for at in range(len(value)):
        changed = value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]
        with pytest.raises(SecretUnusable, match="sec_1"):
            RING.open(Sealed(changed, key), HERE)
    with pytest.raises(SecretUnusable):
        RING.open(Sealed(value, name(OLD)), HERE)


def test_a_value_whose_key_is_not_there_names_the_secret_the_key_and_the_setting() -> None:
    sealed = Keyring([OLD]).seal(CANARY, HERE)

    for ring in (Keyring([NEW]), Keyring()):
        with pytest.raises(SecretUnusable, match=f"sec_1.*{name(OLD)}.*HOLDFAST_SECRET_KEYS"):
            ring.open(sealed, HERE)


def test_without_a_key_nothing_is_sealed_and_the_setting_is_named() -> None:
    with pytest.raises(NotServed, match=r"HOLDFAST_SECRET_KEYS.*openssl rand"):
        Keyring().seal(CANARY, HERE)


def test_a_keys_name_tells_nothing_of_the_key() -> None:
    assert len(name(NEW)) == 16
    assert name(NEW) not in NEW.hex()
    assert name(NEW) != name(OLD)
    assert NEW.hex() not in repr(vars(RING))
