"""Markdown guides: their fenced blocks as one shell session, their prose as mentions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from trimtab.families import launch_pattern
from trimtab.linter.readers import scripts
from trimtab.linter.readers.shell import walk_text
from trimtab.linter.readers.shell_session import ShellSession
from trimtab.linter.readers.source import DocumentBuilder, SourceText
from trimtab.model.document import Document, Mention, Place

if TYPE_CHECKING:
    from markdown_it.token import Token

_SHELLS: Final = frozenset({"bash", "shell", "sh", "zsh", "console", "shell-session", "terminal"})
_PROMPTED: Final = frozenset({"console", "shell-session", "terminal"})
_OTHERS: Final = frozenset({"yaml", "yml", "dockerfile", "docker", "ini", "systemd", "dotenv"})
_TEMPLATE: Final = re.compile(r"\{\{[^{}\n]*\}\}|(?<![|\s])\|\w+\|")
_DIRECTIVE: Final = re.compile(
    r"\{(?:tab|tab-item|tab-set|note|tip|hint|warning|caution|important|attention|admonition"
    r"|details|dropdown|seealso|card)\}"
)
_NAME: Final = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
_BEFORE: Final = r"(\$\s+)?([A-Z_]+=\S+\s+)*(sudo\s+)?(nohup\s+)?"
_STARTS: Final = r"(docker|podman|nerdctl)\s+run\s|python3?\s+-m\s+vllm\."
_PROMPT: Final = re.compile(r"(\s*)([$#%>]\s)")


def read_markdown(source: SourceText) -> Document:
    """Return what a guide says."""
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("commonmark").disable("code").parse(source.text)
    scribe = DocumentBuilder()
    session = ShellSession(source, scribe)
    _follow(source, scribe, session, tokens)
    session.finish()
    return scribe.document(source, "markdown")


def _follow(
    source: SourceText, scribe: DocumentBuilder, session: ShellSession, tokens: Sequence[Token]
) -> None:
    """Follow the parts of a guide, or of a directive in it that holds more of it."""
    from markdown_it import MarkdownIt

    alternative, quoted = False, 0
    for index, token in enumerate(tokens):
        quoted += {"blockquote_open": 1, "blockquote_close": -1}.get(token.type, 0)
        if token.type == "fence" and _DIRECTIVE.match(token.info) and token.map is not None:
            inner = source.only(token.map[0] + 2, token.map[1] - 1)
            more = MarkdownIt("commonmark").disable("code").parse(inner.text)
            _follow(inner, scribe, session, more)
        elif token.type == "fence":
            block = _unquoted(source, token) if quoted else source
            _block(block, scribe, session, token, alternative=alternative)
            alternative = False
        elif token.type == "inline":
            said = token.content.strip().strip(":.,").lower()
            alternative = said == "or" and tokens[index - 1].type == "paragraph_open"
            kind = "heading" if tokens[index - 1].type == "heading_open" else "prose"
            scribe.mentions += _mentions(source, token, kind)


def _unquoted(source: SourceText, token: Token) -> SourceText:
    """Return the text with the marks of a quotation blanked in the lines of a fence."""
    lines = source.text.split("\n")
    first, last = token.map or (0, 0)
    for index in range(first, min(last, len(lines))):
        lines[index] = re.sub(r"^(?:\s{0,3}>)+", lambda m: " " * len(m[0]), lines[index])
    return replace(source, text="\n".join(lines))


def _language(token: Token) -> tuple[str, bool]:
    """Return the language of a fence, and whether it is a MyST directive with option lines."""
    words = token.info.replace("{", " {").replace("}", "} ").split()
    if words and words[0] in {"{code-block}", "{code}", "{sourcecode}"}:
        return (words[1].lower() if len(words) > 1 else ""), True
    return (words[0].lower() if words else ""), False


def _block(
    source: SourceText,
    scribe: DocumentBuilder,
    session: ShellSession,
    token: Token,
    *,
    alternative: bool,
) -> None:
    language, directive = _language(token)
    assert token.map is not None
    first, last = token.map[0] + 2, token.map[1] - 1
    lines = source.lines[first - 1 : last]
    if language in _SHELLS or (not language and _launches(lines)):
        if alternative:
            session.implied()  # what is in force if the reader takes the block above instead
        before = len(scribe.launches)
        with session.variables.section():
            walk_text(session, _shell(source, first, last, language, directive))
        if len(scribe.launches) == before:
            session.variables.late.clear()
    elif language in _OTHERS:
        _other(source.only(first, last), scribe, language)


def _launches(lines: Sequence[str]) -> bool:
    """Whether a block without a language begins with a command that starts a server."""
    said = (line.strip() for line in lines)
    first = next((line for line in said if line and not line.startswith("#")), "")
    return re.match(rf"{_BEFORE}({_STARTS}|(?:{launch_pattern()})\s)", first) is not None


def _shell(
    source: SourceText, first: int, last: int, language: str, directive: bool
) -> SourceText:
    """Return the block alone, its lines in place, what is no shell blanked or made a variable."""
    lines = source.only(first, last).text.split("\n")
    prompts = language in _PROMPTED or _all_prompted(lines[first - 1 : last])
    options = directive
    for index in range(first - 1, min(last, len(lines))):
        line = _TEMPLATE.sub(_unknown, lines[index])
        if options and re.fullmatch(r"\s*:[\w-]+:.*", line):
            line = ""
        elif line.strip():
            options = False
        if prompts:
            match = _PROMPT.match(line)
            line = " " * match.end() + line[match.end() :] if match else ""
        lines[index] = line
    return replace(source, text="\n".join(lines))


def _all_prompted(lines: Sequence[str]) -> bool:
    said = [line for line in lines if line.strip()]
    return bool(said) and all(line.lstrip().startswith(("$ ", "% ")) for line in said)


def _unknown(match: re.Match[str]) -> str:
    """Return a variable of the same length for a part that a template fills in."""
    return "$" + "_" * (len(match[0]) - 1)


def _other(block: SourceText, scribe: DocumentBuilder, language: str) -> None:
    """Read a block of another format; one that cannot be read is prose."""
    name = {"dockerfile": "Dockerfile", "docker": "Dockerfile", "ini": "x.service"}.get(
        language, {"systemd": "x.service", "dotenv": ".env"}.get(language, "x.yaml")
    )
    scripts.read_in(scribe, name, block)


def _mentions(source: SourceText, token: Token, kind: str) -> Iterator[Mention]:
    assert token.map is not None
    first, last = token.map[0] + 1, token.map[1]
    yield Mention(kind, token.content, source.place(first))
    for child in token.children or ():
        if child.type == "code_inline" and _NAME.fullmatch(child.content):
            yield Mention("name", child.content, _find(source, first, last, child.content))
        elif child.type == "link_open":
            address = str(child.attrs.get("href", ""))
            yield Mention("link", address, _find(source, first, last, address))


def _find(source: SourceText, first: int, last: int, text: str) -> Place:
    """Return where a text stands between two lines; the first line if it was written otherwise."""
    for number in range(first, last + 1):
        at = source.lines[number - 1].find(text) if number <= len(source.lines) else -1
        if at >= 0:
            return source.place(number, at + 1, at + 1 + len(text))
    return source.place(first)
