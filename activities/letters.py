"""A letter in MIME: its Markdown as it is, and as HTML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

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
_SCHEMES = re.compile("(?:https?|mailto):", re.IGNORECASE)
# ASCII only, in lines that no server cuts: nothing is asked of the server's extensions.
_POLICY = SMTP.clone(cte_type="7bit")
_PAGE = '<!doctype html>\n<html><head><meta charset="utf-8"></head><body>\n{}</body></html>\n'


def mime(letter: Letter, sender: Sender) -> bytes:
    """The whole letter, in lines that end with CR LF."""
    text = _LINE_END.sub("\n", _UNSENT.sub("\ufffd", letter.text))
    made = EmailMessage(policy=_POLICY)
    made["From"] = Address(sender.name, addr_spec=sender.address)
    made["To"] = tuple(Address(addr_spec=address) for address in letter.to)
    made["Subject"] = letter.subject
    made["Date"] = letter.at
    made["Message-ID"] = letter.message_id(sender)
    # Nobody's vacation shall answer it.
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(text)
    if len(text) <= LONGEST_HTML:
        made.add_alternative(_PAGE.format(html(text)), subtype="html")
    return made.as_bytes()


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
