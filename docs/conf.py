"""How `make docs` builds the site: Sphinx, with furo as its theme and MyST for pages in Markdown."""

from __future__ import annotations

import builtins
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from pygments.lexers import JsonLexer

sys.path.insert(0, str(Path(__file__).parents[1]))

import rolloutlog

project = "rolloutlog"
author = "the rolloutlog developers"
copyright = author
version = release = rolloutlog.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = "rolloutlog"
html_static_path: list[str] = []

# -- Markdown ----------------------------------------------------------------------------------------------------------

myst_heading_anchors = 4  # links such as face.md#secrets work here as they do in a repository's view
suppress_warnings = ["myst.strikethrough"]
highlight_language = "text"

# -- reference, from docstrings ----------------------------------------------------------------------------------------

# A name in single backticks links to its entry if it has one, and is code otherwise: it may be an argument or a key.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_default_options = {"members": True}
napoleon_use_ivar = True  # because attrs lists the attributes, too
napoleon_numpy_docstring = False
python_use_unqualified_type_names = True
nitpicky = True
nitpick_ignore_regex = [("py:obj", ".*")]
# Types of other packages, for which there is no page to link to, and names of the texts that an argument may be.
_ELSEWHERE = r"(agents|opentelemetry|pyarrow|pytest)\..*|TResponseInputItem|SessionSettings"
nitpick_ignore_regex += [("py:class", _ELSEWHERE), ("py:class", r"MessageApi|\w+Policy")]


# As some modules import them.
_ALIASES = {"Path": "pathlib.Path", "dt.datetime": "datetime.datetime"}


def _linked(app: Any, env: Any, node: Any, content: Any) -> Any:
    """Link a name that no page describes by that path: one of ours by its public path, or one of Python's own."""
    if node.get("refdomain") != "py":
        return None
    target = _ALIASES.get(node["reftarget"], node["reftarget"])
    module, _, name = target.rpartition(".")
    if module.startswith("rolloutlog.") or name in rolloutlog.__all__:
        domain = env.get_domain("py")
        for public in ("rolloutlog", "rolloutlog.items", "rolloutlog.tables"):
            if f"{public}.{name}" in domain.objects:
                return domain.resolve_xref(
                    env, node["refdoc"], app.builder, "obj", f"{public}.{name}", node, nodes.literal("", name)
                )
        return content if "._" in module else None
    if not module and target.endswith(("Error", "Warning")) and hasattr(builtins, target):
        module = "exceptions"
    elif module.partition(".")[0] not in sys.stdlib_module_names:
        return None
    link = f"https://docs.python.org/3/library/{module}.html#{target}"
    return nodes.reference("", "", content, internal=False, refuri=link)


def _signature(app: Any, what: str, name: str, obj: Any, options: Any, signature: str, returned: str) -> Any:
    """Leave out the signature of a class that users do not make: one that has private or refused arguments."""
    if what == "class" and (", _" in (signature or "") or "instead" in (obj.__init__.__doc__ or "")):
        return "", ""
    return None


def setup(app: Any) -> None:
    """Register the handlers above, and the lexer of JSON lines."""
    app.connect("missing-reference", _linked)
    app.connect("autodoc-process-signature", _signature)
    app.add_lexer("jsonl", JsonLexer)
