"""Every way in, and every way that is closed, by bytes."""

from dataclasses import replace

import pytest

from gateway.admission import (
    MAX_AGE_MS,
    Admission,
    Admitted,
    Illegible,
    Verification,
)
from gateway.credentials import Credentials, Style
from shared.core.errors import CallbackRejected, ConfigError
from shared.core.ids import AppId
from shared.core.secret import Secret
from shared.feishu.callback import CardAction, LegacyCardAction, LinkPreview, SubscribedEvent
from shared.feishu.signature import identity, sign
from shared.settings import CallbackSettings, CallbackStyle
from tests.support.admitting import headers_of
from tests.support.callbacks import (
    APP_ID,
    CARD_TOKEN,
    ENCRYPT_KEY,
    NOW,
    VERIFICATION_TOKEN,
    Wire,
    click,
    encrypted,
    legacy_click,
    plain,
    signed,
    signed_legacy,
    subscribed,
    verification,
)

Came = Admitted | Verification | Illegible

KEY = Secret(ENCRYPT_KEY)
TOKEN = Secret(VERIFICATION_TOKEN)
ENCRYPTING = Credentials(app_id=AppId(APP_ID), encrypt_keys=(KEY,), verification_tokens=(TOKEN,), style="new")
BOTH = replace(ENCRYPTING, style="both")
TOKEN_ONLY = Credentials(app_id=AppId(APP_ID), verification_tokens=(TOKEN,), style="both")
KEY_ONLY = Credentials(app_id=AppId(APP_ID), encrypt_keys=(KEY,), style="new")


def _admit(wire: Wire, credentials: Credentials = ENCRYPTING, *, now: int = NOW) -> Came:
    return Admission(credentials).admit(wire.body, headers_of(wire), now=now)


def _cause(wire: Wire, credentials: Credentials = ENCRYPTING, *, now: int = NOW) -> str:
    with pytest.raises(CallbackRejected) as refused:
        _admit(wire, credentials, now=now)
    assert refused.value.http_status == 401
    return refused.value.cause


def _hint(wire: Wire, credentials: Credentials) -> str:
    with pytest.raises(CallbackRejected) as refused:
        _admit(wire, credentials)
    return refused.value.hint or ""


class TestEncrypted:
    """With an Encrypt Key: encrypted, signed, fresh."""

    def test_a_signed_click_comes_in_with_its_digest_and_time(self) -> None:
        """The verified digest and the signed time go on to identity and time."""
        wire = signed(encrypted(click()))
        came = _admit(wire)
        assert isinstance(came, Admitted)
        assert isinstance(came.callback, CardAction)
        assert (wire.headers["X-Lark-Signature"], NOW) == (came.signature, came.signed_at)

    @pytest.mark.parametrize("credentials", [ENCRYPTING, BOTH, KEY_ONLY])
    def test_the_signature_is_proof_enough(self, credentials: Credentials) -> None:
        """The Verification Token inside is not needed beside it."""
        assert isinstance(_admit(signed(encrypted(click(token="another"))), credentials), Admitted)

    def test_a_link_preview_comes_in(self) -> None:
        """Previews take the same way as clicks."""
        came = _admit(signed(encrypted(click(event_type="url.preview.get"))))
        assert isinstance(came, Admitted)
        assert isinstance(came.callback, LinkPreview)

    @pytest.mark.parametrize("absent", ["signature", "timestamp", "nonce"])
    def test_without_one_of_the_signature_headers_nothing_comes_in(self, absent: str) -> None:
        """All three are part of what is signed."""
        expected = "signature_missing" if absent == "signature" else "signature_mismatch"
        assert expected == _cause(signed(encrypted(click())).but(**{absent: None}))

    @pytest.mark.parametrize("changed", ["timestamp", "nonce"])
    def test_a_changed_header_is_refused(self, changed: str) -> None:
        """Neither time nor nonce can be replaced."""
        assert "signature_mismatch" == _cause(signed(encrypted(click())).but(**{changed: "1750000001"}))

    def test_another_key_is_refused(self) -> None:
        """Only the app's own Encrypt Key signs."""
        assert "signature_mismatch" == _cause(signed(encrypted(click()), key="another"))

    def test_the_empty_key_is_refused(self) -> None:
        """What the platform signs for apps without a key, anybody can sign."""
        assert "signature_mismatch" == _cause(signed(encrypted(click()), key=""))

    def test_an_upper_case_signature_is_refused(self) -> None:
        """The platform writes lower case."""
        wire = signed(encrypted(click()))
        assert "signature_mismatch" == _cause(wire.but(signature=wire.headers["X-Lark-Signature"].upper()))

    def test_the_legacy_signature_of_an_encrypted_body_is_refused(self) -> None:
        """Who knows only the Verification Token may not speak in the new style."""
        assert "signature_mismatch" == _cause(signed_legacy(encrypted(click())), BOTH)

    @pytest.mark.parametrize("body", [click(), subscribed(), click(event_type="url.preview.get")])
    def test_leaving_the_encryption_out_is_refused(self, body: object) -> None:
        """A plaintext body is a downgrade, even if it is signed and holds the right token."""
        assert "plaintext_downgrade" == _cause(signed(plain(body)), BOTH)

    @pytest.mark.parametrize("off_ms", [-MAX_AGE_MS, 0, MAX_AGE_MS])
    def test_a_click_within_ten_minutes_comes_in(self, off_ms: int) -> None:
        """Clocks may differ, and networks may be slow."""
        assert isinstance(_admit(signed(encrypted(click()), at=NOW + off_ms)), Admitted)

    @pytest.mark.parametrize("off_ms", [-MAX_AGE_MS - 1000, MAX_AGE_MS + 1000])
    @pytest.mark.parametrize("event_type", ["card.action.trigger", "url.preview.get"])
    def test_a_click_beyond_ten_minutes_is_refused(self, off_ms: int, event_type: str) -> None:
        """A recorded request cannot be sent again later."""
        wire = signed(encrypted(click(event_type=event_type)), at=NOW + off_ms)
        assert "timestamp_out_of_window" == _cause(wire)

    def test_an_event_of_hours_ago_comes_in(self) -> None:
        """The platform repeats events for hours."""
        came = _admit(signed(encrypted(subscribed()), at=NOW - 8 * 3_600_000))
        assert isinstance(came, Admitted)
        assert isinstance(came.callback, SubscribedEvent)

    @pytest.mark.parametrize(
        "stamp", ["", "175000000", "17500000000", "1750000000.5", " 175000000", "１７５０００００００", "Monday"]
    )
    def test_a_signed_time_that_is_not_ten_digits_is_refused(self, stamp: str) -> None:
        """Time and nonce are signed as one text: of another length, digits could wander between them."""
        assert "timestamp_malformed" == _cause(signed(encrypted(click()), timestamp=stamp))

    @pytest.mark.parametrize("plaintext", [click(), subscribed(), b"nonsense", legacy_click()])
    def test_digits_cannot_wander_from_the_nonce_to_the_time(self, plaintext: object) -> None:
        """The same signature with the border moved is another, much later, time; of whatever is inside."""
        wire = signed(encrypted(plaintext))
        moved = wire.but(timestamp=wire.headers["X-Lark-Request-Timestamp"] + "9", nonce="50646929")
        assert "timestamp_malformed" == _cause(moved)

    def test_an_encrypted_body_without_a_key_names_the_setting(self) -> None:
        """The console has a key that we do not have."""
        wire = signed(encrypted(click()))
        assert "encrypted_without_key" == _cause(wire, TOKEN_ONLY)
        assert "LARK_ENCRYPT_KEY" in _hint(wire, TOKEN_ONLY)

    def test_while_a_key_is_changed_both_are_let_in(self) -> None:
        """The newer and the older key are active at once; a third is not."""
        rotating = replace(ENCRYPTING, encrypt_keys=(Secret("newer"), KEY))
        for key in ("newer", ENCRYPT_KEY):
            assert isinstance(_admit(signed(encrypted(click(), key=key), key=key), rotating), Admitted)
        assert "signature_mismatch" == _cause(signed(encrypted(click(), key="third"), key="third"), rotating)

    def test_a_signature_by_one_key_does_not_open_what_the_other_encrypted(self) -> None:
        """What is signed with a key is decrypted with that key only."""
        rotating = replace(ENCRYPTING, encrypt_keys=(Secret("newer"), KEY))
        assert isinstance(_admit(signed(encrypted(click(), key="newer"), key=ENCRYPT_KEY), rotating), Illegible)


class TestTokenOnly:
    """Without an Encrypt Key the Verification Token is the only proof."""

    @pytest.mark.parametrize("body", [click(), subscribed(), click(event_type="url.preview.get")])
    def test_a_body_with_our_token_comes_in(self, body: object) -> None:
        """Signed or not: its signature could be anybody's."""
        assert isinstance(_admit(Wire(body=plain(body)), TOKEN_ONLY), Admitted)
        assert isinstance(_admit(signed(plain(body), key=""), TOKEN_ONLY), Admitted)

    @pytest.mark.parametrize("token", ["another", "", None, VERIFICATION_TOKEN + "x", VERIFICATION_TOKEN.upper()])
    def test_a_body_with_another_token_is_refused(self, token: str | None) -> None:
        """However well it is signed with the empty key."""
        body = click()
        body["header"]["token"] = token
        assert "token_mismatch" == _cause(signed(plain(body), key=""), TOKEN_ONLY)

    def test_a_body_without_a_token_is_refused(self) -> None:
        """Absent is not right."""
        body = click()
        del body["header"]["token"]
        assert "token_mismatch" == _cause(Wire(body=plain(body)), TOKEN_ONLY)

    def test_the_cards_token_is_not_mistaken_for_ours(self) -> None:
        """The update token inside the event proves nothing."""
        body = click(token="another")
        body["event"]["token"] = VERIFICATION_TOKEN
        assert "token_mismatch" == _cause(Wire(body=plain(body)), TOKEN_ONLY)

    def test_a_signature_that_fits_is_used_to_tell_deliveries_apart(self) -> None:
        """It covers time, nonce and bytes, whoever made it."""
        wire = signed(plain(click()), key="")
        came = _admit(wire, TOKEN_ONLY)
        assert isinstance(came, Admitted)
        assert (wire.headers["X-Lark-Signature"], NOW) == (came.signature, came.signed_at)

    def test_a_signature_that_does_not_fit_is_not_used(self) -> None:
        """A made-up digest must not become an identity."""
        came = _admit(signed(plain(click()), key="").but(signature="0" * 64), TOKEN_ONLY)
        assert isinstance(came, Admitted)
        assert (None, None) == (came.signature, came.signed_at)

    def test_two_tokens_may_be_active(self) -> None:
        """While it is being changed."""
        rotating = replace(TOKEN_ONLY, verification_tokens=(Secret("newer"), TOKEN))
        for token in ("newer", VERIFICATION_TOKEN):
            assert isinstance(_admit(Wire(body=plain(click(token=token))), rotating), Admitted)

    def test_a_first_version_event_comes_in(self) -> None:
        """Its token stands at the top."""
        body = {"uuid": "u", "token": VERIFICATION_TOKEN, "type": "event_callback", "event": {"type": "out_approval"}}
        assert isinstance(_admit(Wire(body=plain(body)), TOKEN_ONLY), Admitted)


class TestLegacy:
    """Legacy clicks: plaintext, SHA-1 with the Verification Token."""

    @pytest.mark.parametrize("credentials", [BOTH, TOKEN_ONLY, replace(BOTH, style="legacy")])
    def test_a_signed_legacy_click_comes_in(self, credentials: Credentials) -> None:
        """A digest of its signature is its identity, the signed time its time."""
        wire = signed_legacy(plain(legacy_click()))
        came = _admit(wire, credentials)
        assert isinstance(came, Admitted)
        assert isinstance(came.callback, LegacyCardAction)
        assert (identity(wire.headers["X-Lark-Signature"]), NOW) == (came.signature, came.signed_at)

    def test_its_time_may_be_a_date(self) -> None:
        """Older servers of the platform write RFC 850, in China Standard Time."""
        wire = signed_legacy(plain(legacy_click()), timestamp="Sunday, 15-Jun-25 23:06:40 CST")
        assert isinstance(_admit(wire, BOTH), Admitted)

    @pytest.mark.parametrize("stamp", ["", "yesterday", "17500000000"])
    def test_a_time_that_cannot_be_read_is_refused(self, stamp: str) -> None:
        """Without a time it could be sent again for ever."""
        assert "timestamp_malformed" == _cause(signed_legacy(plain(legacy_click()), timestamp=stamp), BOTH)

    @pytest.mark.parametrize("off_ms", [-MAX_AGE_MS - 1000, MAX_AGE_MS + 1000])
    def test_beyond_ten_minutes_it_is_refused(self, off_ms: int) -> None:
        """As a new-style click."""
        wire = signed_legacy(plain(legacy_click()), at=NOW + off_ms)
        assert "timestamp_out_of_window" == _cause(wire, BOTH)

    def test_unsigned_it_is_refused(self) -> None:
        """The token in its body is the card's, and proves nothing."""
        assert "signature_missing" == _cause(Wire(body=plain(legacy_click())), BOTH)

    def test_with_another_token_it_is_refused(self) -> None:
        """SHA-1 over somebody else's token."""
        assert "signature_mismatch" == _cause(signed_legacy(plain(legacy_click()), token="another"), BOTH)

    @pytest.mark.parametrize("key", [ENCRYPT_KEY, "", VERIFICATION_TOKEN])
    def test_a_new_style_signature_does_not_let_it_in(self, key: str) -> None:
        """One style's signature is no good in the other."""
        assert "signature_mismatch" == _cause(signed(plain(legacy_click()), key=key), BOTH)

    def test_where_only_new_ones_are_let_in_the_refusal_names_the_setting(self) -> None:
        """The operator reads which setting to change."""
        wire = signed_legacy(plain(legacy_click()))
        assert "legacy_not_expected" == _cause(wire, ENCRYPTING)
        assert "LARK_CALLBACKS=both" in _hint(wire, ENCRYPTING)

    def test_where_only_legacy_ones_are_let_in_a_new_click_is_refused(self) -> None:
        """And the refusal names the setting; events are no cards and still come in."""
        legacy = replace(TOKEN_ONLY, style="legacy")
        wire = Wire(body=plain(click()))
        assert "new_not_expected" == _cause(wire, legacy)
        assert "LARK_CALLBACKS=both" in _hint(wire, legacy)
        assert isinstance(_admit(Wire(body=plain(subscribed())), legacy), Admitted)


class TestVerification:
    """The console asks whether this address is ours."""

    @pytest.mark.parametrize("credentials", [ENCRYPTING, BOTH, TOKEN_ONLY])
    @pytest.mark.parametrize("wire", [Wire(body=plain(verification())), signed(plain(verification()), key="wrong")])
    def test_a_plaintext_one_with_our_token_is_answered(self, wire: Wire, credentials: Credentials) -> None:
        """Signed or not: it is given nothing but its own challenge."""
        came = _admit(wire, credentials)
        assert isinstance(came, Verification)
        assert came.challenge == "prove it"

    @pytest.mark.parametrize(("credentials", "is_told"), [(ENCRYPTING, True), (TOKEN_ONLY, False)])
    def test_a_plaintext_one_foretells_that_clicks_will_be_refused(
        self, credentials: Credentials, *, is_told: bool
    ) -> None:
        """A console without the Encrypt Key saves the address, and everything after that fails."""
        came = _admit(Wire(body=plain(verification())), credentials)
        assert isinstance(came, Verification)
        assert is_told == ("LARK_ENCRYPT_KEY" in (came.hint or ""))

    def test_a_plaintext_one_where_only_a_key_is_set_is_refused_as_not_encrypted(self) -> None:
        """There is no token to compare: what lacks is the console's key."""
        wire = Wire(body=plain(verification()))
        assert "plaintext_downgrade" == _cause(wire, KEY_ONLY)
        assert "LARK_ENCRYPT_KEY is set" in _hint(wire, KEY_ONLY)

    @pytest.mark.parametrize("credentials", [ENCRYPTING, TOKEN_ONLY])
    @pytest.mark.parametrize("token", ["another", "", None])
    def test_a_plaintext_one_with_another_token_is_refused(self, token: str | None, credentials: Credentials) -> None:
        """Whoever can make us answer could claim our address for an app of theirs."""
        assert "token_mismatch" == _cause(Wire(body=plain(verification(token))), credentials)

    @pytest.mark.parametrize("credentials", [ENCRYPTING, BOTH, KEY_ONLY])
    def test_an_encrypted_one_is_answered_signed_or_not(self, credentials: Credentials) -> None:
        """Whether the platform signs it is not documented."""
        body = encrypted(verification())
        assert Verification(challenge="prove it") == _admit(signed(body), credentials)
        assert Verification(challenge="prove it") == _admit(Wire(body=body), credentials)

    def test_an_encrypted_unsigned_one_with_another_token_is_refused(self) -> None:
        """Encrypted alone is not enough where there is a token to compare."""
        assert "signature_missing" == _cause(Wire(body=encrypted(verification("another"))))

    def test_an_encrypted_one_with_a_wrong_signature_is_refused(self) -> None:
        """A signature that is there is checked."""
        assert "signature_mismatch" == _cause(signed(encrypted(verification()), key="another"))

    @pytest.mark.parametrize("body", [click(), subscribed(), legacy_click(), b"nonsense", {"encrypt": "AAAA"}])
    def test_nothing_else_comes_in_unsigned(self, body: object) -> None:
        """The exception for the console is for the console."""
        assert "signature_missing" == _cause(Wire(body=encrypted(body)))

    @pytest.mark.parametrize("sealed", ["", "AAAA", "not base64", "A" * 64])
    def test_what_cannot_be_decrypted_is_refused_alike(self, sealed: str) -> None:
        """The caller must not learn how far it came."""
        assert "signature_missing" == _cause(Wire(body=plain({"encrypt": sealed})))


class TestOtherApps:
    """A route is one app's."""

    @pytest.mark.parametrize("body", [click(app_id="cli_b2"), subscribed(app_id="cli_b2")])
    def test_another_apps_callback_is_refused(self, body: object) -> None:
        """However correct it is otherwise."""
        assert "app_mismatch" == _cause(signed(encrypted(body)))
        assert "app_mismatch" == _cause(Wire(body=plain(body)), TOKEN_ONLY)

    def test_a_callback_that_names_no_app_comes_in(self) -> None:
        """Legacy clicks never do, and absent members are the rule on this wire."""
        body = click()
        del body["header"]["app_id"]
        assert isinstance(_admit(signed(encrypted(body))), Admitted)


class TestIllegible:
    """Correctly signed and not to be read: an honest click in an unknown shape."""

    @pytest.mark.parametrize(
        "plaintext", [b"nonsense", b"[]", b"\xff", plain({"schema": "2.0"}), plain(legacy_click()), encrypted(click())]
    )
    def test_a_signed_encrypted_body_is_kept(self, plaintext: bytes) -> None:
        """Whatever is inside."""
        assert isinstance(_admit(signed(encrypted(plaintext))), Illegible)

    @pytest.mark.parametrize("body", [b"nonsense", b"", plain({"encrypt": "AAAA"})])
    def test_a_signed_body_that_was_never_encrypted_properly_is_kept(self, body: bytes) -> None:
        """The signature says that it is the platform's."""
        assert isinstance(_admit(signed(body)), Illegible)

    def test_a_signed_legacy_body_is_kept(self) -> None:
        """With the Verification Token's signature, in time."""
        assert isinstance(_admit(signed_legacy(b"nonsense"), BOTH), Illegible)
        assert "unreadable" == _cause(signed_legacy(b"nonsense", timestamp="yesterday"), BOTH)
        assert "timestamp_out_of_window" == _cause(signed_legacy(b"nonsense", at=NOW - MAX_AGE_MS - 1000), BOTH)

    def test_the_reason_quotes_nothing_of_it(self) -> None:
        """Reasons are logged."""
        came = _admit(signed(encrypted(b'{"schema":"2.0","planted":"text"}')))
        assert isinstance(came, Illegible)
        assert "planted" not in came.reason

    @pytest.mark.parametrize("credentials", [ENCRYPTING, BOTH, TOKEN_ONLY, KEY_ONLY])
    @pytest.mark.parametrize("body", [b"", b"nonsense", b"[]", b"{}", b"\xff\xfe", b'{"a":' * 5000, b"null"])
    def test_unsigned_it_is_refused(self, body: bytes, credentials: Credentials) -> None:
        """Nonsense of anybody's is not kept."""
        assert "unreadable" == _cause(Wire(body=body), credentials)
        assert "unreadable" == _cause(Wire(body=body).but(signature="0" * 64, timestamp="1750000000"), credentials)

    @pytest.mark.parametrize("credentials", [ENCRYPTING, BOTH, TOKEN_ONLY])
    def test_the_flat_shape_of_an_sdk_is_refused(self, credentials: Credentials) -> None:
        """Header and event merged is how an SDK shows a callback, never how the platform sends one."""
        body = click()
        flat = {"schema": "2.0", **body["header"], **body["event"]}
        assert "unreadable" == _cause(Wire(body=plain(flat)), credentials)


class TestCredentials:
    """What callbacks are checked against."""

    def test_without_any_nothing_starts(self) -> None:
        """Or anybody could click."""
        with pytest.raises(ConfigError, match=r"LARK_ENCRYPT_KEY.*LARK_VERIFICATION_TOKEN.*for example"):
            Credentials(app_id=AppId(APP_ID), style="new")

    @pytest.mark.parametrize("style", ["legacy", "both"])
    def test_legacy_clicks_need_the_verification_token(self, style: Style) -> None:
        """They are signed with it."""
        with pytest.raises(ConfigError, match=r"LARK_VERIFICATION_TOKEN.*for example"):
            Credentials(app_id=AppId(APP_ID), encrypt_keys=(KEY,), style=style)

    @pytest.mark.parametrize(
        ("settings", "expected"),
        [
            (CallbackSettings(encrypt_key=KEY, verification_token=TOKEN), "new"),
            (CallbackSettings(verification_token=TOKEN), "both"),
            (CallbackSettings(encrypt_key=KEY, verification_token=TOKEN, style="both"), "both"),
            (CallbackSettings(verification_token=TOKEN, style="legacy"), "legacy"),
            (CallbackSettings(verification_token=TOKEN, style="new"), "new"),
        ],
    )
    def test_the_default_style_follows_the_encrypt_key(
        self, settings: CallbackSettings, expected: CallbackStyle
    ) -> None:
        """Who has one is on the new style; who has none may be on either."""
        assert expected == Credentials.of(AppId(APP_ID), settings).style

    def test_what_is_admitted_shows_no_secret(self) -> None:
        """Not in a repr either."""
        wire = signed(encrypted(click()))
        shown = repr((_admit(wire), _admit(signed(encrypted(verification()))), ENCRYPTING, wire.headers and KEY))
        for secret in (ENCRYPT_KEY, VERIFICATION_TOKEN, CARD_TOKEN, wire.headers["X-Lark-Signature"], "prove it"):
            assert secret not in shown

    def test_the_signature_is_checked_before_anything_is_decrypted(self) -> None:
        """An unauthentic ciphertext is never fed to the cipher: undecryptable and unsigned is a mismatch."""
        body = plain({"encrypt": "AAAA"})
        right = sign(body, timestamp="1750000000", nonce="n", encrypt_key=ENCRYPT_KEY)
        wrong = Wire(body=body).but(signature=right[::-1], timestamp="1750000000", nonce="n")
        assert "signature_mismatch" == _cause(wrong)
