"""Renders Markdown, code and patches of a session as HTML that is safe to show: no scripts, no pictures, plain links.

There are two walls. The renderer of Markdown knows no HTML and checks each link; then nh3 removes each element,
attribute and kind of link that is not on a short list. `safe.boxed` comes last, because a renderer decodes entities.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from html import escape
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Keyword, Name, Number, String, _TokenType

from .safe import boxed, for_html, for_markup, is_marked

LONGEST_CODE, ALL_CODE = 20_000, 200_000
"""How many characters a block of code may have to be shown in colours, and how many all blocks of one page."""

# The languages that are shown in colours. Each lexer is a set of patterns, and those of rare languages are seldom tried
# with hostile code.
_NAMES = (
    "bash c console cpp css diff go html ini java javascript js json kotlin make patch py python python3 ruby rust sh "
    "shell sql toml ts typescript xml yaml yml zsh"
)
_LANGUAGES = frozenset(_NAMES.split())
_COLOURS = "colours"  # the key of a page's `Colours` in the environment of a rendering
_DEEPEST = 18  # the parser stops at 20
_DIFFS = ("diff", "patch")
_CLASSES: tuple[tuple[_TokenType, str], ...] = (
    (Comment, "c"),
    (Keyword, "k"),
    (String, "s"),
    (Number, "s"),
    (Name.Function, "n"),
    (Name.Class, "n"),
    (Name.Tag, "n"),
    (Name.Attribute, "n"),
    (Name.Decorator, "n"),
)

_LINK = re.compile(r"(?:https?://[^\s/?#\\@]+(?:[/?#][\x21-\x7e]*)?|(?:mailto:|#)[\x21-\x7e]*)", re.IGNORECASE)
# Where one of the rules that `_renderer` enables can begin or end.
_INLINE_MARK = re.compile(r"[\n\\`*_~\[\]!<&]")
# A text of one line without any of these is one paragraph.
_MARK = re.compile(r"[\\`*_\[\]<>&~|\n\r\t]|^[\s#+\-=0-9]|^$")

_COLOURED = {"span": {"class": {"c", "k", "s", "n", "alt", "gi", "gd", "gu"}}}
_TAGS = "p br hr em strong s code pre ul ol li blockquote h3 h4 a div table thead tbody tr th td span"
_ALIGNED = {"th": {"class": {"r", "m"}}, "td": {"class": {"r", "m"}}}
_ALLOWED: dict[str, Any] = {
    "tags": set(_TAGS.split()),
    "attributes": {"a": {"href"}, "ol": {"start"}},
    "tag_attribute_values": {
        **_COLOURED,
        **_ALIGNED,
        "div": {"class": {"wide"}, "tabindex": {"0"}},
        "pre": {"tabindex": {"0"}},
    },
    "url_schemes": {"http", "https", "mailto"},
    "link_rel": "noopener noreferrer nofollow",
}


class Colours:
    """How much more code of one page is shown in colours: to find the words of a program takes long."""

    def __init__(self) -> None:
        self._left = ALL_CODE

    def take(self, length: int) -> bool:
        """Whether *length* characters more are shown in colours."""
        if length > min(self._left, LONGEST_CODE):
            return False
        self._left -= length
        return True


def markdown(text: str, heading: int = 4, colours: Colours | None = None) -> str:
    """Return *text*, which is Markdown, as HTML.

    Args:
        text: the text, as it is in the file.
        heading: the level of its headings, which is the same for all: 3 or 4.
        colours: those of the page that it is on.

    >>> print(markdown("It *works*: <b>[see](https://example.org)</b>![it](https://example.org/b.png)"), end="")
    <p>It <em>works</em>: &lt;b&gt;<a href="https://example.org" rel="noopener noreferrer nofollow">see</a>\
&lt;/b&gt;<span class="alt">[picture: it]</span></p>
    """
    if _MARK.search(text) is None:
        return f"<p>{for_html(text)}</p>\n"
    renderer, env = _renderer(heading, "|" in text), {_COLOURS: colours or Colours()}
    tokens = renderer.parse(for_markup(text), env)
    if _is_too_deep(tokens):
        return f'<pre tabindex="0">{for_html(text)}</pre>\n'
    html = renderer.renderer.render(tokens, renderer.options, env)
    return boxed(_cleaner().clean(html))


@cache
def _cleaner() -> nh3.Cleaner:
    return nh3.Cleaner(**_ALLOWED)


def _code(text: str, language: str) -> str:
    """Return *text*, a program in *language* without odd characters, as HTML in colours."""
    if language in _DIFFS:
        return diff(text)
    pieces: list[str] = []
    before = ""
    words: list[str] = []
    for kind, value in _lexer(language).get_tokens(text):
        if (css := _css_class(kind)) != before and words:
            pieces.append(_coloured("".join(words), before))
            words = []
        before = css
        words.append(value)
    pieces.append(_coloured("".join(words), before))
    return "".join(pieces)


def diff(text: str) -> str:
    """Return *text*, a patch, as HTML for the content of a ``<pre>``: added lines, removed lines and headers."""
    return "\n".join(_coloured(line, _line_class(line)) for line in text.split("\n"))


def is_diff(text: str) -> bool:
    r"""Whether *text* is a patch, as ``git diff`` and ``diff -u`` print one.

    >>> is_diff("--- a.py\n+++ b.py\n@@ -1 +1 @@\n-x\n+y\n")
    True
    """
    return text.startswith(("diff --git ", "*** Begin Patch\n")) or _UNIFIED.match(text) is not None


_UNIFIED = re.compile(r"(?:Index: .*\n=+\n)?--- .*\n\+\+\+ .*\n@@ ")


def _line_class(line: str) -> str:
    if line.startswith(("diff ", "index ", "--- ", "+++ ", "@@", "*** ", "new file ", "deleted file ")):
        return "gu"
    return {"+": "gi", "-": "gd"}.get(line[:1], "")


def _coloured(text: str, css: str) -> str:
    return f'<span class="{css}">{for_html(text)}</span>' if css and text else for_html(text)


@cache
def _lexer(language: str) -> Lexer:
    return get_lexer_by_name(language, stripnl=False, ensurenl=False)


@cache
def _css_class(kind: _TokenType) -> str:
    return next((css for parent, css in _CLASSES if kind in parent), "")  # type: ignore[comparison-overlap]


# --- Markdown ---------------------------------------------------------------------------------------------------------


class _Renderer(RendererHTML):
    """Renders the tokens of Markdown with headings of one level, tables that scroll, and pictures as text."""

    heading = "h4"

    def heading_open(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        return f"<{self.heading}>"

    def heading_close(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        return f"</{self.heading}>\n"

    def image(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        alt = self.renderInlineAsText(tokens[index].children or [], options, env)
        return f'<span class="alt">[picture{": " if alt else ""}{escape(alt)}]</span>'

    def fence(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        token = tokens[index]
        language = token.info.strip().partition(" ")[0].lower()
        text = token.content.removesuffix("\n")
        # The text was neutralised before; a sign in it must not come apart.
        if language in _LANGUAGES and not is_marked(text) and env[_COLOURS].take(len(text)):
            return f'<pre tabindex="0"><code>{_code(text, language)}</code></pre>\n'
        return f'<pre tabindex="0"><code>{escape(text)}</code></pre>\n'

    def code_block(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        return f'<pre tabindex="0"><code>{escape(tokens[index].content.removesuffix(chr(10)))}</code></pre>\n'

    def link_open(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        return f'<a href="{escape(str(tokens[index].attrGet("href") or ""))}">'

    def table_open(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        return '<div class="wide" tabindex="0"><table>\n'

    def table_close(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        return "</table></div>\n"

    def _cell(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        side = str(tokens[index].attrGet("style") or "").removeprefix("text-align:")
        css = {"right": ' class="r"', "center": ' class="m"'}.get(side, "")
        return f"<{tokens[index].tag}{css}>"

    th_open = td_open = _cell


class _SmallHeadings(_Renderer):
    heading = "h3"


@cache
def _renderer(heading: int, has_tables: bool) -> MarkdownIt:
    """Return a renderer; to look for tables takes long, so one that does is only for text that may have one."""
    renderer = _SmallHeadings if heading == 3 else _Renderer
    found = MarkdownIt("commonmark", {"html": False}, renderer_cls=renderer)
    found.enable(["table", "strikethrough"] if has_tables else ["strikethrough"])
    found.disable(["html_block", "html_inline"])
    # By default, the parser also stops at marks of plugins, and tries each rule there.
    found.inline.terminator_re = _INLINE_MARK
    found.validateLink = lambda url: _LINK.fullmatch(url) is not None  # type: ignore[method-assign]
    # By default, a link's text is shown decoded, which would bring back what was neutralised.
    found.normalizeLinkText = lambda link: link  # type: ignore[method-assign]
    return found


def _is_too_deep(tokens: Sequence[Token]) -> bool:
    """Whether lists and quotations are nested so deep that the parser left out the text inside of them."""
    return any(token.level >= _DEEPEST for token in tokens)


@cache
def _checker() -> MarkdownIt:
    return MarkdownIt("commonmark").enable(["table"])


def is_harmless_source(text: str) -> bool:
    """Whether *text*, which is Markdown, has no HTML, no picture, no large heading and only plain links, and ends.

    >>> is_harmless_source("[a](https://example.org)"), is_harmless_source("<b>"), is_harmless_source("# a")
    (True, False, False)
    """
    tokens = _checker().parse(text)
    if _is_too_deep(tokens):
        return False
    inline = [child for token in tokens for child in token.children or ()]
    if any(token.type in ("html_block", "html_inline", "image") for token in (*tokens, *inline)):
        return False
    if any(token.type == "heading_open" and token.tag in ("h1", "h2", "h3") for token in tokens):
        return False
    links = (str(token.attrGet("href")) for token in inline if token.type == "link_open")
    return all(_LINK.fullmatch(link) for link in links)
