"""Signing in: what opens a session, what does not, and what nobody learns by trying."""

from __future__ import annotations

import base64
import hashlib

import pyotp
from msgspec.structs import replace

from coffre.catalog.people_mutations import PutPerson
from coffre.console.sessions import COOKIE
from tests.unit.console.world import PASSWORD, Browser, World


async def test_a_session_is_a_cookie_of_this_host_that_scripts_and_other_sites_cannot_use(
    world: World,
) -> None:
    said = await Browser(world).sign_in("operator", PASSWORD)
    assert said.status == 201
    header = said.header("set-cookie") or ""
    _, *attributes = header.replace("=", ";", 1).split("; ")
    assert header.startswith(COOKIE + "=")
    assert COOKIE.startswith("__Host-")
    assert {"Path=/", "Secure", "HttpOnly", "SameSite=Lax"} <= set(attributes)
    assert "Domain" not in header


async def test_a_name_is_taken_however_it_is_typed(world: World) -> None:
    assert (await Browser(world).sign_in("  Operator ", PASSWORD)).status == 201


async def test_a_name_that_is_nobodys_is_answered_as_a_wrong_password(world: World) -> None:
    wrong = await Browser(world, "192.0.2.7").sign_in("operator", "not this one at all")
    nobody = await Browser(world, "192.0.2.8").sign_in("no-such-person", "not this one at all")
    assert wrong.status == nobody.status == 401
    for said in (wrong, nobody):
        assert {**said.value, "request_id": ""} == {**wrong.value, "request_id": ""}


async def test_session_fixation_a_cookie_that_was_there_before_opens_nothing_afterwards(
    world: World,
) -> None:
    attacker = await world.person("mallory")
    victim = Browser(world)
    victim.cookies[COOKIE] = attacker.cookies[COOKIE]
    victim.csrf = attacker.csrf
    await victim.sign_in("operator", PASSWORD)
    assert victim.cookies[COOKIE] != attacker.cookies[COOKIE]
    assert (await attacker.send("GET", "/me")).status == 401
    made_up = Browser(world)
    made_up.cookies[COOKIE] = "chosen-by-somebody-else"
    await made_up.sign_in("operator", PASSWORD)
    assert made_up.cookies[COOKIE] != "chosen-by-somebody-else"


async def test_lockout_whoever_fails_again_and_again_waits_longer_each_time(world: World) -> None:
    await world.person("ann")
    browser = Browser(world, "192.0.2.66")
    for _ in range(5):
        assert (await browser.sign_in("ann", "not this one at all")).status == 401
    waits = []
    for _ in range(4):
        locked = await browser.sign_in("ann", "not this one at all")
        assert (locked.status, locked.code) == (429, "TooManyAttempts")
        waits.append(int(locked.header("retry-after") or 0))
        world.clock.ahead += waits[-1]
        assert (await browser.sign_in("ann", "not this one at all")).status == 401
    assert waits == sorted(waits)
    assert waits[-1] >= 4 * waits[0] > 0


async def test_lockout_the_right_password_does_not_open_before_the_time(world: World) -> None:
    browser = Browser(world, "192.0.2.66")
    for _ in range(5):
        await browser.sign_in("operator", "not this one at all")
    locked = await browser.sign_in("operator", PASSWORD)
    assert locked.status == 429
    world.clock.ahead += int(locked.header("retry-after") or 0)
    assert (await browser.sign_in("operator", PASSWORD)).status == 201


async def test_lockout_others_sign_in_by_the_same_name_from_elsewhere(world: World) -> None:
    for _ in range(6):
        await Browser(world, "192.0.2.66").sign_in("operator", "not this one at all")
    assert (await Browser(world, "198.51.100.9").sign_in("operator", PASSWORD)).status == 201


async def test_lockout_an_address_that_tries_many_names_waits_too(world: World) -> None:
    browser = Browser(world, "192.0.2.66")
    for number in range(20):
        assert (await browser.sign_in(f"name-{number}", "not this one at all")).status == 401
    assert (await browser.sign_in("operator", PASSWORD)).status == 429


async def test_lockout_outlives_the_process_that_counted(world: World) -> None:
    browser = Browser(world, "192.0.2.66")
    for _ in range(5):
        await browser.sign_in("operator", "not this one at all")
    world.again()
    assert (await browser.sign_in("operator", PASSWORD)).status == 429


async def enrolled(world: World) -> tuple[Browser, pyotp.TOTP, list[str]]:
    """A person with one-time codes, what makes them, and recovery codes."""
    browser = await world.person("ann")
    begun = await browser.send("POST", "/me/codes")
    maker = pyotp.TOTP(begun.value["secret"])
    said = await browser.send("POST", "/me/codes/confirmation", {"code": now(world, maker)})
    assert said.status == 200, said
    return browser, maker, said.value["recovery_codes"]


def now(world: World, maker: pyotp.TOTP) -> str:
    return maker.at(world.clock.now_ms() // 1000)


async def test_a_code_is_asked_for_once_it_was_confirmed_and_not_before(world: World) -> None:
    browser = await world.person("ann")
    await browser.send("POST", "/me/codes")
    assert (await Browser(world).sign_in("ann", browser.password)).status == 201
    wrong = await browser.send("POST", "/me/codes/confirmation", {"code": "000000"})
    assert (wrong.status, wrong.value["field"]) == (422, "code")
    right = await World().begin()
    browser, _, _ = await enrolled(right)
    assert (await Browser(right).sign_in("ann", browser.password)).code == "CodeRequired"


async def test_with_codes_a_password_alone_opens_nothing(world: World) -> None:
    browser, maker, _ = await enrolled(world)
    other = Browser(world)
    asked = await other.sign_in("ann", browser.password)
    assert (asked.status, asked.code) == (401, "CodeRequired")
    assert not other.cookies
    world.clock.ahead += 60
    assert (await other.sign_in("ann", browser.password, code=now(world, maker))).status == 201


async def test_a_code_that_was_used_is_good_for_nothing(world: World) -> None:
    browser, maker, _ = await enrolled(world)
    world.clock.ahead += 60
    code = now(world, maker)
    assert (await Browser(world).sign_in("ann", browser.password, code=code)).status == 201
    assert (await Browser(world).sign_in("ann", browser.password, code=code)).status == 401
    world.again()
    assert (await Browser(world).sign_in("ann", browser.password, code=code)).status == 401


async def test_guessing_codes_is_locked_out_although_the_password_is_right(world: World) -> None:
    browser, _, _ = await enrolled(world)
    guesser = Browser(world, "192.0.2.66")
    statuses = []
    for _ in range(7):
        await guesser.sign_in("ann", browser.password)
        statuses.append((await guesser.sign_in("ann", browser.password, code="000000")).status)
    assert statuses[-1] == 429


async def test_a_recovery_code_is_good_once(world: World) -> None:
    browser, _, codes = await enrolled(world)
    typed = codes[0].upper().replace("-", " ")
    assert (await Browser(world).sign_in("ann", browser.password, code=typed)).status == 201
    assert (await Browser(world).sign_in("ann", browser.password, code=typed)).status == 401
    person = world.parts.reader.person("ann")
    assert person is not None
    assert len(person.secrets.recovery) == 9


async def test_codes_are_nowhere_in_clear(world: World) -> None:
    browser = await world.person("ann")
    begun = await browser.send("POST", "/me/codes")
    secret = pyotp.TOTP(begun.value["secret"]).byte_secret()
    await browser.send(
        "POST", "/me/codes/confirmation", {"code": now(world, pyotp.TOTP(begun.value["secret"]))}
    )
    person = world.parts.reader.person("ann")
    assert person is not None
    assert person.secrets.codes is not None
    assert secret not in person.secrets.codes.wrapped


async def test_an_operator_takes_lost_codes_away(world: World) -> None:
    browser, _, _ = await enrolled(world)
    operator = await world.operator()
    assert (await operator.send("DELETE", "/people/ann/codes")).status == 204
    assert (await Browser(world).sign_in("ann", browser.password)).status == 201


async def test_an_old_hash_verifies_and_is_made_anew(world: World) -> None:
    salt = b"s" * 16
    digest = hashlib.scrypt(b"an old password", salt=salt, n=1 << 15, r=8, p=1, maxmem=64 << 20)
    stored = f"scrypt${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"
    person = world.parts.reader.person("operator")
    assert person is not None
    await world.engine.catalog.commit(
        PutPerson(replace(person, password_hash=stored), person.revision)
    )
    assert (await Browser(world).sign_in("operator", "an old password")).status == 201
    kept = world.parts.reader.person("operator")
    assert kept is not None
    assert kept.password_hash.startswith("$argon2id$")
    assert (await Browser(world).sign_in("operator", "an old password")).status == 201


async def test_an_invitation_lets_a_person_choose_a_password_once(world: World) -> None:
    made = await world.operate("person.create", name="bob", role="reader", tenant="one")
    stranger = Browser(world)
    chosen = {"invitation": made["invitation"], "password": "Correct horse battery"}
    weak = await stranger.send("POST", "/invitations/acceptance", {**chosen, "password": "short"})
    assert (weak.status, weak.code, weak.value["field"]) == (422, "WeakPassword", "password")
    assert (await stranger.send("POST", "/invitations/acceptance", chosen)).value["name"] == "bob"
    again = await stranger.send("POST", "/invitations/acceptance", chosen)
    assert (again.status, again.code) == (404, "NoSuchInvitation")
    assert (await stranger.sign_in("bob", chosen["password"])).status == 201


async def test_an_invitation_ends(world: World) -> None:
    made = await world.operate("person.create", name="bob", role="reader", tenant="one")
    world.clock.ahead += 8 * 24 * 3600
    chosen = {"invitation": made["invitation"], "password": "Correct horse battery"}
    assert (await Browser(world).send("POST", "/invitations/acceptance", chosen)).status == 404


async def test_somebody_who_is_locked_or_invited_does_not_sign_in(world: World) -> None:
    browser = await world.person("ann")
    await world.operate("person.set", name="ann", status="locked")
    assert (await Browser(world).sign_in("ann", browser.password)).status == 401
    await world.operate("person.set", name="ann", status="active")
    assert (await Browser(world).sign_in("ann", browser.password)).status == 201
