"""Secrets: which are found, which texts are none, that it is quick, and the ready hook."""

from __future__ import annotations

import json
import time
from collections import Counter
from itertools import pairwise

import hostile
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rolloutlog
from rolloutlog.redaction import find, redacted, redacted_value, secrets

pytestmark = pytest.mark.once

_LETTERS = "Ab3dEf6hIj9lMn2pQr5tUv8xYz1BcD4fGh7jKl0nOp3rSt6vWx9zAb2d"
_HEX = "0123456789abcdef" * 4
KEY_BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n"

# In parts, so that no scanner takes this file for a leak.
SECRETS = {
    "private key": "-----BEGIN " + "RSA PRIVATE KEY-----\n" + KEY_BODY + "-----END RSA PRIVATE KEY-----",
    "Anthropic key": "sk-" + "ant-api03-" + _LETTERS,
    "OpenAI key": "sk-" + "proj-" + _LETTERS,
    "GitHub token": "gh" + "p_" + _LETTERS[:36],
    "GitLab token": "gl" + "pat-" + _LETTERS[:20],
    "AWS access key": "AK" + "IAIOSFODNN7ABCDEFG",
    "Google key": "AI" + "za" + _LETTERS[:35],
    "Slack token": "xo" + "xb-123456789012-" + _LETTERS[:24],
    "Stripe key": "sk" + "_live_" + _LETTERS[:24],
    "npm token": "np" + "m_" + _LETTERS[:36],
    "PyPI token": "py" + "pi-" + _LETTERS,
    "Hugging Face token": "hf" + "_" + _LETTERS[:34],
    "DigitalOcean token": "do" + "p_v1_" + _HEX,
    "SendGrid key": "SG" + "." + _LETTERS[:22] + "." + _LETTERS[:43],
    "Telegram token": "123456789" + ":AA" + _LETTERS[:33],
    "Databricks token": "da" + "pi" + _HEX[:32],
    "Groq key": "gs" + "k_" + _LETTERS[:52],
    "JSON web token": "ey" + "JhbGciOiJIUzI1NiJ9.ey" + "JzdWIiOiIxMjM0NTY3ODkwIn0." + _LETTERS[:43],
    "Vault token": "hv" + "s." + _LETTERS[:30],
}
IN_CONTEXT = {
    "AWS secret key": ("aws_secret_access_key = ", _LETTERS[:40]),
    "Azure key": ("AccountName=a;AccountKey=", _LETTERS[:56] + "=="),
    "Slack webhook": ("https://hooks.slack.com/services/", "T00000000/B00000000/" + _LETTERS[:24]),
    "authorization header": ("Authorization: Bearer ", _LETTERS[:30]),
    "password in a URL": ("postgresql://ana:", "correct-horse@db.example.org/ferry"),
    "variable": ("export DB_PASSWORD=", "correct-horse-battery"),
}
HARMLESS = [
    "password: none",
    "export API_KEY=$OTHER",
    'API_KEY="<your key>"',
    "token = tokenizer.encode(text)",
    "TOKEN_TYPE: string",
    "SECRET_KEY = os.environ['SECRET_KEY']",
    "sk-learn and task-oriented-dialogue-systems-for-all",
    "https://example.org:8080/a@b",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
    "commit 73c7275f0e1d2c3b4a5968778695a4b3c2d1e0f9",
    "019adf6e-8a31-7c52-b1d4-52f0c29e6aa0",
    "PASSWORD=xxxxxxxx",
    *hostile.HARMLESS.values(),
]


@pytest.mark.parametrize("kind", SECRETS)
@pytest.mark.parametrize("around", ["{}", "say {} now", 'key="{}"', "KEY: {}\n", '{{"a": "{}"}}'])
def test_a_secret_is_replaced(kind, around):
    """Each is found in text, in quotes and in JSON; nothing of it is left, and the text around stays."""
    shown = redacted(around.format(SECRETS[kind]))

    assert shown == around.format(f"[redacted: {kind}]")


@pytest.mark.parametrize("kind", IN_CONTEXT)
def test_a_secret_is_known_by_the_words_before_it(kind):
    """The words remain, and the secret after them is replaced."""
    before, secret = IN_CONTEXT[kind]

    shown = redacted(f"{before}{secret} end")

    assert shown.startswith(f"{before}[redacted: {kind}]")
    assert secret[:12] not in shown


@pytest.mark.parametrize("text", HARMLESS)
def test_other_text_stays(text):
    """Names of secrets, code that reads them, certificates, hashes and ids remain."""
    assert redacted(text) == text


def test_a_key_in_json_in_json_is_replaced_and_both_stay_valid():
    """A private key in the arguments of a call is text in JSON in JSON, with its newlines as escapes."""
    call = {"type": "function_call", "arguments": json.dumps({"key": SECRETS["private key"], "b": 1})}

    shown = secrets(call)

    assert json.loads(shown["arguments"]) == {"key": "[redacted: private key]", "b": 1}
    cut_off = json.dumps({"key": SECRETS["private key"][:60] + "\\"})
    assert json.loads(redacted(cut_off))["key"].startswith("[redacted: private key]")


def test_secrets_are_counted_by_kind():
    """Two of one kind and one of another, in keys, too."""
    counts: Counter[str] = Counter()

    redacted_value({"a": [SECRETS["npm token"], {SECRETS["npm token"]: 1}], "b": SECRETS["OpenAI key"]}, counts)

    assert counts == {"npm token": 2, "OpenAI key": 1}


@given(st.text(max_size=200))
def test_findings_are_in_order_and_apart(text):
    """For any text, the findings do not overlap; a text in which nothing is found stays as it is."""
    found = find(text)

    assert all(one.end <= other.start for one, other in pairwise(found))
    assert (redacted(text) == text) == (not found)


BEGINNINGS = [*(secret[:-1] for secret in SECRETS.values()), "eyJ", "eyJa.", "sk-", "://:", "a://b:c", "API_KEY=", "A_"]
BEGINNINGS += ["-----BEGIN PRIVATE KEY-----", "PASSWORD", "Authorization: ", "aws_secret_access_key", "\\", "-", "x"]


@pytest.mark.parametrize("piece", BEGINNINGS)
def test_no_text_takes_long(piece):
    """Half a megabyte of the beginnings of secrets takes seconds; were it quadratic, it would take hours."""
    began = time.monotonic()

    redacted(piece * (500_000 // len(piece)))

    assert time.monotonic() - began < 60


@pytest.mark.parametrize("format", ["flat", "envelope"])
def test_the_hook_keeps_secrets_from_the_file(home, format):
    """With `redact=rolloutlog.redaction.secrets`, no byte of a secret reaches the file."""
    token = SECRETS["GitHub token"]
    with rolloutlog.session("deploy", format=format, redact=secrets) as session:
        session.record({"role": "user", "content": f"Use {token}"})
        session.record({"type": "function_call", "name": "sh", "arguments": json.dumps({"t": token}), "call_id": "c"})

    written = session.path.read_text(encoding="utf-8")

    assert token not in written
    assert written.count("[redacted: GitHub token]") >= 2
