"""A letter in MIME: its Markdown as it is, and as HTML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from domain.mail import Letter, Sender

LONGEST_HTML = 65_536
"""Characters of Markdown. The worst of it takes a second or two, and grows with the square of its length;
what is longer is sent as text only."""

_UNSENT = re.compile("[\0\ud800-\udfff]")
_LINE_END = re.compile("\r\n?")
_UNSHOWN = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_PLAIN = re.compile("[!-~](?:[ -~]{0,58}[!-~])?")
_ONE_HEADER = re.compile("[ -~]*(?:\r\n [ -~]+)*")
_SCHEMES = re.compile("(?:https?|mailto):", re.IGNORECASE)
# ASCII only, in lines that no server cuts: nothing is asked of the server's extensions.
_POLICY = SMTP.clone(cte_type="7bit")
_PAGE = '<!doctype html>\n<html><head><meta charset="utf-8"></head><body>\n{}</body></html>\n'


def mime(letter: Letter, sender: Sender) -> bytes:
    """The whole letter, in lines that end with CR LF."""
    text = _LINE_END.sub("\n", _UNSENT.sub("\ufffd", letter.text))
    head = {
        "From": f"{_phrase(sender.name)} <{sender.address}>" if sender.name else sender.address,
        "To": ",\r\n ".join(letter.to),
        "Subject": _line(letter.subject, "Subject"),
        "Date": format_datetime(letter.at),
        "Message-ID": letter.message_id(sender),
        # Nobody's vacation shall answer it.
        "Auto-Submitted": "auto-generated",
    }
    made = EmailMessage(policy=_POLICY)
    made.set_content(text)
    if len(text) <= LONGEST_HTML:
        made.add_alternative(_PAGE.format(html(text)), subtype="html")
    return b"".join(_header(*each) for each in head.items()) + made.as_bytes()


def _header(name: str, value: str) -> bytes:
    # Not by EmailMessage: it decodes the encoded words in what it is given, and writes their line ends.
    if not _ONE_HEADER.fullmatch(value):
        raise ValueError(f"{name} would not be one header")
    return f"{name}: {value}\r\n".encode("ascii")


def _line(text: str, header: str) -> str:
    """What a header says, so that it is read as it was written, whatever encoded words it looks like."""
    shown = _UNSHOWN.sub(" ", text)
    if _PLAIN.fullmatch(shown) and "=?" not in shown:
        return shown
    return Header(shown, "utf-8", maxlinelen=76, header_name=header).encode(linesep="\r\n")


def _phrase(name: str) -> str:
    """A sender's name; one that is not encoded is quoted."""
    line = _line(name, "From")
    return line if "=?" in line else '"' + re.sub(r'(["\\])', r"\\\1", line) + '"'


def html(text: str) -> str:
    """Of Markdown that a model wrote: no HTML of its own, no image to fetch, no link but to web and mail."""
    reader = _Reader("commonmark", {"html": False}, renderer_cls=_Renderer)
    made: str = reader.enable(["table", "strikethrough"]).render(text)
    return made


class _Reader(MarkdownIt):
    def validateLink(self, url: str) -> bool:
        return _SCHEMES.match(url) is not None


class _Renderer(RendererHTML):
    def image(self, tokens: Sequence[Token], at: int, options: OptionsDict, env: EnvType) -> str:
        """A link: to fetch a picture tells its server that the letter was opened, and more."""
        children = tokens[at].children or []
        said = escapeHtml(self.renderInlineAsText(children, options, env))
        if sum(token.nesting for token in tokens[:at] if token.type.startswith("link_")):
            return said
        target = escapeHtml(str(tokens[at].attrs["src"]))
        return f'<a href="{target}">{said or target}</a>'
