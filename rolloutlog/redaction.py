"""Finds secrets in text, such as keys and tokens of providers, and replaces them: a hook that is ready for use.

::

    with rolloutlog.session("deploy", redact=rolloutlog.redaction.secrets) as session:
        session.record({"role": "user", "content": "Use ghp_..."})   # on disk: Use [redacted: GitHub token]

It knows tokens by their shape: a prefix that their provider gave them, so that scanners find them. A password without
such a prefix is found only in a URL, in a header and in an assignment to a variable in capitals. So a text without any
finding may still hold a secret. All patterns take linear time, whatever the text is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

__all__ = ["Secret", "find", "redacted", "secrets"]

# A backslash only with a letter after it, as in JSON, so that the text around stays whole.
_PRIVATE_KEY = (
    r"-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----(?:[A-Za-z0-9+/=\s:,.()]|\\+[nrt]|-(?!----))*+"
    r"(?:-----END [A-Z0-9 ]{0,60}-----)?"
)
_QUOTES = r"[\\\"']{0,4}"
_AWS_NAMES = (
    "aws_secret_access_key|AWS_SECRET_ACCESS_KEY|SecretAccessKey|aws_session_token|AWS_SESSION_TOKEN|SessionToken"
)
_AWS_SECRET = rf"(?:{_AWS_NAMES}){_QUOTES}\s{{0,4}}[=:]\s{{0,4}}{_QUOTES}([A-Za-z0-9/+=]{{40,2000}}+)"
_VARIABLE = (
    r"[A-Z0-9_]{0,40}(?:PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|API_?KEY|ACCESS_KEY|PRIVATE_KEY|CREDENTIALS?)"
    rf"(?:_[A-Z0-9_]{{1,40}})?{_QUOTES}[=:] ?{_QUOTES}([^\s\"'\\$({{<\[|;&]{{8,200}}+)(?![\w(\[.])"
)
# Each row: what it is, texts of which one is in each such secret, and its pattern. Before a pattern is tried, its hints
# are looked for, which is many times as fast. If a pattern has a group, only the group is the secret.
_ROWS: tuple[tuple[str, str, str], ...] = (
    ("private key", "PRIVATE KEY", _PRIVATE_KEY),
    ("Anthropic key", "sk-ant-", r"sk-ant-[\w-]{20,}+"),
    ("OpenAI key", "sk-", r"sk-(?!ant-)(?:[a-z]{3,12}-)?+(?=[\w-]{0,200}[0-9])[\w-]{20,}+"),
    ("GitHub token", "gh github_pat_", r"gh[pousr]_[A-Za-z0-9]{36,}+|github_pat_\w{22,}+"),
    ("GitLab token", "gl", r"gl(?:pat|dt|rt|ptt|ft|oas|soat|cbt|agent)-[\w.-]{20,}+"),
    ("AWS access key", "AKIA ASIA ABIA ACCA", r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}(?![A-Z0-9])"),
    ("AWS secret key", _AWS_NAMES.replace("|", " "), _AWS_SECRET),
    ("Google key", "AIza ya29. GOCSPX-", r"AIza[\w-]{35}(?![\w-])|ya29\.[\w-]{20,}+|GOCSPX-[\w-]{28}(?![\w-])"),
    ("Azure key", "AccountKey= SharedAccessKey=", r"(?:AccountKey|SharedAccessKey)=([A-Za-z0-9+/]{40,100}+={0,2})"),
    ("Slack token", "xox xapp-", r"xox[a-z]-[A-Za-z0-9-]{10,}+|xapp-[A-Za-z0-9-]{20,}+"),
    ("Slack webhook", "hooks.slack.com", r"hooks\.slack\.com/(?:services|workflows|triggers)/([\w/-]{20,200}+)"),
    ("Stripe key", "_live_ _test_ whsec_", r"[rs]k_(?:live|test)_[A-Za-z0-9]{16,}+|whsec_[A-Za-z0-9+/=]{32,}+"),
    ("npm token", "npm_", r"npm_[A-Za-z0-9]{36}(?!\w)"),
    ("PyPI token", "pypi-", r"pypi-[\w-]{50,}+"),
    ("Hugging Face token", "hf_", r"hf_[A-Za-z0-9]{30,}+"),
    ("Docker token", "dckr_", r"dckr_[a-z]{3}_[\w-]{20,}+"),
    ("DigitalOcean token", "_v1_", r"do[oprt]_v1_[a-f0-9]{64}(?!\w)"),
    ("SendGrid key", "SG.", r"SG\.[\w-]{22}\.[\w-]{43}(?![\w-])"),
    ("Telegram token", ":AA", r"\d{8,10}:AA[\w-]{33}(?![\w-])"),
    ("Databricks token", "dapi", r"dapi[a-f0-9]{32}(?!\w)"),
    ("Groq key", "gsk_", r"gsk_[A-Za-z0-9]{40,}+"),
    ("xAI key", "xai-", r"xai-[A-Za-z0-9]{60,}+"),
    ("Perplexity key", "pplx-", r"pplx-[A-Za-z0-9]{40,}+"),
    ("Replicate token", "r8_", r"r8_[A-Za-z0-9]{37,}+"),
    ("Linear key", "lin_", r"lin_(?:api|oauth)_[A-Za-z0-9]{32,}+"),
    ("Vault token", "hvs. hvb. hvr.", r"hv[sbr]\.[\w-]{24,}+"),
    ("age key", "AGE-SECRET-KEY-", r"AGE-SECRET-KEY-1[A-Z0-9]{58}"),
    ("JSON web token", "eyJ", r"eyJ[\w-]{8,}+\.eyJ[\w-]{8,}+\.[\w-]{10,}+"),
    (
        "authorization header",
        "uthorization UTHORIZATION",
        r"(?i:authorization)[\\\"']{0,4}\s{0,3}[:=]\s{0,3}[\\\"']{0,4}(?i:bearer|basic|token|bot)\s{1,3}([\w.~+/=-]{8,}+)",
    ),
    ("password in a URL", "://", r"[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"'\\]{0,64}+:([^\s/@\"'\\]{3,128}+)@"),
    ("variable", "PASS SECRET TOKEN KEY CREDENTIAL", _VARIABLE),
)
_START = r"(?<![\w-])"
_BARE = frozenset({"private key", "password in a URL", "Slack webhook"})
# A value of this kind is a name for a secret, and no secret.
_PLACEHOLDER = re.compile(r"(?i:x+|\*+|\.+|…+|<.*|\[redacted.*|your[-_].*|example.*|none|null|true|false|changeme)\Z")


@cache
def _patterns() -> list[tuple[str, list[str], re.Pattern[str]]]:
    """Return each row with its hints and its pattern. Made at first use: it takes longer than an import should."""
    return [
        (
            kind,
            [hints] if kind == "private key" else hints.split(),
            re.compile(f"{'' if kind in _BARE else _START}(?:{text})"),
        )
        for kind, hints, text in _ROWS
    ]


class Secret(NamedTuple):
    """A secret in a text.

    Attributes:
        kind: which one: ``"GitHub token"``, ``"private key"`` ...
        start: where it begins, an index.
        end: where it ends.
    """

    kind: str
    start: int
    end: int


def find(text: str) -> list[Secret]:
    """Return the secrets in *text*, in order; none overlaps another.

    >>> find("password: none, token: ghp_" + 36 * "a")
    [Secret(kind='GitHub token', start=23, end=63)]
    """
    found = [
        Secret(kind, *match.span(match.re.groups and 1))
        for kind, hints, pattern in _patterns()
        if any(hint in text for hint in hints)
        for match in pattern.finditer(text)
        if _PLACEHOLDER.match(match[match.re.groups and 1]) is None
    ]
    if len(found) < 2:
        return found
    found.sort(key=lambda secret: (secret.start, -secret.end))
    apart = found[:1]
    for secret in found[1:]:
        if secret.start >= apart[-1].end:
            apart.append(secret)
    return apart


def redacted(text: str, counts: Counter[str] | None = None) -> str:
    """Return *text* with a note in place of each secret.

    Args:
        text: any text.
        counts: counts the secrets by their kind, if given.

    >>> redacted("curl https://ana:correct-horse@example.org")
    'curl https://ana:[redacted: password in a URL]@example.org'
    """
    found = find(text)
    if counts is not None:
        counts.update(secret.kind for secret in found)
    return "".join(_pieces(text, found)) if found else text


def _pieces(text: str, found: list[Secret]) -> Iterator[str]:
    before = 0
    for kind, start, end in found:
        yield text[before:start]
        yield f"[redacted: {kind}]"
        before = end
    yield text[before:]


def secrets(record: dict[str, Any]) -> dict[str, Any]:
    """Return *record* with a note in place of each secret in its texts and its keys: for the option ``redact``.

    >>> secrets({"role": "user", "content": "key: AKIAIOSFODNN7EXAMPLE"})
    {'role': 'user', 'content': 'key: [redacted: AWS access key]'}
    """
    found: dict[str, Any] = redacted_value(record)
    return found


def redacted_value(value: Any, counts: Counter[str] | None = None) -> Any:
    """Return *value*, plain data of any depth, with a note in place of each secret; itself where there is none."""
    if isinstance(value, str):
        # Pictures and encrypted reasoning are long, and no text.
        return value if value.startswith(("data:image/", "gAAAA")) else redacted(value, counts)
    if isinstance(value, Mapping):
        return {redacted(key, counts): redacted_value(held, counts) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [redacted_value(held, counts) for held in value]
    return value
