"""Instructions: what can be written, what is refused and in which words."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from domain.errors import BadArguments, BadRequest, ToolError
from domain.fetch import Fetch
from domain.instructions import LONGEST, Prompt, parse
from domain.outgoing import Outgoing
from domain.secret import Revealed

WEATHER = """
```fetch
GET https://api.example.com/cities/{city: string "Its name."}?u={unit: "c" | "f" = "c"}&days={days?: integer}
Authorization: Bearer {secret}
X-Trace: {trace?: string}
```
"""
NOTE = """```fetch
POST https://api.example.com/notes

{"title": "by {author: string}", "author": {author}, "tags": {tags?: string[]}, "n": [1, {n?: number}]}
```"""


def fetch(text: str) -> Fetch:
    parsed = parse(text)
    assert isinstance(parsed, Fetch)
    return parsed


def get(line: str) -> Fetch:
    return fetch(f"```fetch\n{line}\n```")


def posted(body: str, kind: str = "application/json", **arguments: Any) -> str:
    """A body as it is sent."""
    made = fetch(f"```fetch\nPOST https://a.example/\nContent-Type: {kind}\n\n{body}\n```")
    sent = made.request(arguments, None).body
    assert sent is not None
    return sent.decode()


def refusal(text: str) -> str:
    with pytest.raises(BadRequest) as caught:
        parse(text)
    return caught.value.message


def plain(value: str) -> Revealed:
    return Revealed(type="plain", value=SecretStr(value))


def complaint(made: Fetch, arguments: dict[str, Any], secret: Revealed | None = None) -> str:
    with pytest.raises(BadArguments) as caught:
        made.request(arguments, secret)
    return caught.value.message


def test_a_fetch_is_a_request_with_its_arguments_in_place() -> None:
    made = fetch(WEATHER)

    assert made.request({"city": "Bad Tölz/Süd", "days": 3}, plain("s3cret")) == Outgoing(
        method="GET",
        url="https://api.example.com/cities/Bad%20T%C3%B6lz%2FS%C3%BCd?u=c&days=3",
        headers=(("Authorization", "Bearer s3cret"),),
        secrets=("s3cret",),
    )


def test_the_model_is_told_of_every_parameter() -> None:
    assert fetch(WEATHER).parameters == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "Its name."},
            "unit": {"type": "string", "enum": ["c", "f"], "default": "c"},
            "days": {"type": "integer"},
            "trace": {"type": "string"},
        },
        "required": ["city"],
        "additionalProperties": False,
    }


def test_a_json_body_is_written_as_it_is_and_filled_by_value() -> None:
    made = fetch(NOTE)
    whole = made.request({"author": 'A "B"', "tags": ["x", "y"], "n": 2.5}, None)
    least = made.request({"author": "A"}, None)

    assert whole.headers == (("Content-Type", "application/json"),)
    assert whole.body == rb'{"title":"by A \"B\"","author":"A \"B\"","tags":["x","y"],"n":[1,2.5]}'
    assert least.body == b'{"title":"by A","author":"A","n":[1]}'


def test_a_prompt_is_text_with_its_arguments() -> None:
    made = parse(
        "```prompt\nSay {what: string} {times: integer = 2} times{how?: string}.\n{tags: string[] = []}\n```"
    )

    assert isinstance(made, Prompt)
    assert made.text({"what": "hey"}) == "Say hey 2 times.\n[]"
    assert made.effect == "idempotent"


@pytest.mark.parametrize(
    ("method", "effect"),
    [
        ("GET", "idempotent"),
        ("HEAD", "idempotent"),
        ("PUT", "idempotent"),
        ("DELETE", "idempotent"),
        ("OPTIONS", "idempotent"),
        ("POST", "once"),
        ("PATCH", "once"),
    ],
)
def test_the_effect_follows_the_method_unless_the_fence_says_otherwise(method: str, effect: str) -> None:
    line = f"{method} https://a.example/"

    assert get(line).effect == effect
    assert parse(f"```fetch once\n{line}\n```").effect == "once"
    assert parse(f"```fetch idempotent\n{line}\n```").effect == "idempotent"
    assert parse("```prompt once\nhello\n```").effect == "once"


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("{a: string}", {"type": "string"}),
        ("{a:string}", {"type": "string"}),
        ("{a: integer = 10}", {"type": "integer", "default": 10}),
        ("{a: number = 1.5}", {"type": "number", "default": 1.5}),
        ("{a: boolean = false}", {"type": "boolean", "default": False}),
        ('{a: object = {"b": [1]}}', {"type": "object", "default": {"b": [1]}}),
        ("{a: string[]}", {"type": "array", "items": {"type": "string"}}),
        ("{a: integer[] = [1, 2]}", {"type": "array", "items": {"type": "integer"}, "default": [1, 2]}),
        ('{a?: string "What to say."}', {"type": "string", "description": "What to say."}),
        ('{ab_C1: "x" "only \\"x\\""}', {"type": "string", "enum": ["x"], "description": 'only "x"'}),
        ('{a: string = "}" "a } in it"}', {"type": "string", "default": "}", "description": "a } in it"}),
    ],
)
def test_a_parameter_has_a_type_and_may_have_a_default_and_a_description(
    written: str, told: dict[str, Any]
) -> None:
    properties = parse(f"```prompt\n{written}\n```").parameters["properties"]

    assert [*properties.values()] == [told]


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ('{"a": {"b": {}}}', '{"a":{"b":{}}}'),
        ('{"a": "{ x }"}', '{"a":"{ x }"}'),
        (r'{"query": "query \{user(id: {id: integer}) \{name}}"}', '{"query":"query {user(id: 1) {name}}"}'),
        (r'{"path": "C:\\{id: integer}"}', r'{"path":"C:\\1"}'),
        (r'{"a": "\"{id: integer}\"", "b": {id}}', r'{"a":"\"1\"","b":1}'),
        ("[{id: integer}, {id}]", "[1,1]"),
        ("{id: integer}", "1"),
    ],
)
def test_only_a_brace_before_a_letter_is_a_parameter(body: str, sent: str) -> None:
    arguments: dict[str, Any] = {"id": 1} if "{id" in body else {}

    assert posted(body, **arguments) == sent


def test_a_list_in_a_query_or_a_form_is_a_pair_for_each_item() -> None:
    made = get("GET https://a.example/?a=1&tag={tags?: string[]}&c")

    assert made.request({"tags": ["x&y", "z"]}, None).url == "https://a.example/?a=1&tag=x%26y&tag=z&c"
    assert made.request({}, None).url == "https://a.example/?a=1&c"
    form = posted(
        "a={a: string}\n&tag={tags: string[]}\n&b={b?: integer}",
        "application/x-www-form-urlencoded",
        a="1=2",
        tags=["x", "y"],
    )
    assert form == "a=1%3D2&tag=x&tag=y"


def test_text_is_sent_as_it_is() -> None:
    assert (
        posted("Hello {a: string},\n\n{b?: string}bye", "text/plain", a="<Jörg>\n")
        == "Hello <Jörg>\n,\n\nbye"
    )
    assert posted("<a>\\{x}</a>", "application/xml") == "<a>{x}</a>"


def test_a_longer_fence_lets_shorter_ones_be_text() -> None:
    made = parse("\n````prompt\n```fetch\nGET x\n```\n````\n\n")

    assert isinstance(made, Prompt)
    assert made.text({}) == "```fetch\nGET x\n```"


FORM = "Content-Type: application/x-www-form-urlencoded"


def block(*lines: str) -> str:
    return "\n".join(["```fetch", *lines, "```"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "",
            "Line 1 of the instruction: an instruction is one block that begins with ```fetch or ```prompt.",
        ),
        ("call it\n```prompt\nx\n```", "Line 1 of the instruction: an instruction is one block"),
        ("```prompt\nx\n```\nand then", "Line 4 of the instruction: only blank lines"),
        ("```prompt\nx\n```\n```prompt\ny\n```", "Line 4 of the instruction: only blank lines"),
        ("```prompt\nx", "Line 2 of the instruction: the block does not end"),
        ("```shell\nrm\n```", "there is no kind of block called `shell`"),
        ("```\nx\n```", "there is no kind of block called ``"),
        ("```fetch twice\nGET https://a.example\n```", "may stand one of: idempotent, once."),
        ("```prompt\n\n```", "the prompt is empty."),
        ("```prompt\na\x00b\n```", "Line 2 of the instruction: there is a control character"),
        ("```prompt\na\x7fb\n```", "Line 2 of the instruction: there is a control character"),
        ("```prompt\n{secret}\n```", "`{secret}` may stand in the value of a header only, not in a prompt."),
        ("```prompt\nhello\n{who}\n```", "Line 3 of the instruction: `who` has no type"),
        ("```prompt\n{who: string} {who: string}\n```", "`who` has its type already; write `{who}` here."),
        ("```prompt\n{who?}\n```", "`{who?}` has no type"),
        ("```prompt\n{who: text}\n```", "`who` has no type that there is: string, integer, number"),
        ("```prompt\n{who: strings}\n```", "`who` has no type that there is"),
        ("```prompt\n{who: object[]}\n```", "`who` is a list of objects"),
        ("```prompt\n{who string}\n```", "after `{who` comes `:` and a type, or `}`; write `\\{`"),
        ("```prompt\n{who: string\n}\n```", "`{who: …` does not end with `}`"),
        ("```prompt\n{who: string = x}\n```", "the default of `who` is not JSON."),
        ('```prompt\n{who: integer = "x"}\n```', "the default does not fit: `who` must be an integer"),
        (
            '```prompt\n{who: "a" | "b" = "c"}\n```',
            'the default does not fit: `who` must be one of "a", "b".',
        ),
        ("```prompt\n{who: number = NaN}\n```", "the default does not fit"),
        ('```prompt\n{who?: string = "x"}\n```', "take the `?` away"),
        ("```prompt\n{secret: string}\n```", "call the parameter something else"),
        (f"```prompt\n{{{'a' * 65}: string}}\n```", "a parameter's name is at most 64"),
        ("```prompt\n" + "x" * LONGEST + "\n```", "longer than"),
        (block("https://a.example/"), "Line 2 of the instruction: the first line is a method"),
        (block("TRACE https://a.example/"), "the first line is a method (GET, HEAD, PUT"),
        (block("GET /path"), "the URL must begin with `http://` or `https://`"),
        (block("GET file:///etc/passwd"), "the scheme is `file`; only `http` and `https` are called."),
        (block("GET ftp://a.example/x"), "the scheme is `ftp`"),
        (block("GET {url: string}"), "the URL must begin with"),
        (block("GET https://{host: string}/x"), "no parameter may stand in the scheme, host, port or user"),
        (block("GET https://a.example{rest: string}"), "no parameter may stand in the scheme, host"),
        (block("GET https://a.example:{port: integer}/"), "no parameter may stand in the scheme, host"),
        (block("GET https://{user: string}@a.example/"), "no parameter may stand in the scheme, host"),
        (block("GET https://a:b@a.example/"), "a user or password may not stand in a URL"),
        (block("GET https://a.example\\@b.example/"), "a user or password may not stand in a URL"),
        (block("GET https://bücher.example/"), "a name in other letters is written `xn--…`"),
        (block("GET https:///x"), "is no host and port"),
        (block("GET https://a.example:22/"), "port 22 is not called; 80, 443 and those from 1024 on are."),
        (block("GET https://a.example:70000/"), "port 70000 is not called"),
        (block("GET https://a.example/a b"), "must be percent-encoded"),
        (block("GET https://a.example/ä"), "`ä` in the path must be percent-encoded."),
        (block("GET https://a.example/%zz"), "must be percent-encoded"),
        (block("GET https://a.example/\\{x}"), "must be percent-encoded"),
        (block("GET https://a.example/../x"), "a part of the path may not be `.` or `..`."),
        (block("GET https://a.example/%2e%2E/x"), "a part of the path may not be `.` or `..`."),
        (block("GET https://a.example/#x"), "a `#` begins a part of a URL that is not sent"),
        (block("GET https://a.example/{a?: string}"), "`a` stands in the path, so it cannot be left out"),
        (block("GET https://a.example/{a: string[]}"), "`a` is a list, which cannot stand in a path."),
        (block("GET https://a.example/?x={a: object}"), "`a` is an object, which cannot stand in"),
        (block("GET https://a.example/?x=1,{a: string[]}"), "`a` is a list, which cannot stand in"),
        (block("GET https://a.example/?{a: string}=1"), "not in a name before a `=`"),
        (block(f"GET https://a.example/{'a/' * 4_100}"), "the URL is longer than 8192 bytes"),
        (block("POST https://a.example/", FORM, "", "&a=1" * 1_000), "a form has at most 1000 pairs"),
        ("```prompt\n" + "a\n" * 5_000 + "```", "more than 5000 lines"),
        (block("GET https://a.example/", *(f"H{n}: x" for n in range(101))), "at most 100 headers"),
        ("```prompt\n{a: string}" + "{a}" * 1_000 + "\n```", "more than 1000 places for parameters"),
        (block(f"GET https://a.example/?{'n' * 1_001}=1"), "has at most 1000 characters"),
        (block("GET https://a.example/?key={secret}"), "`{secret}` may stand in the value of a header only"),
        (block("GET https://a.example/{secret}"), "`{secret}` may stand in the value of a header only"),
        (
            block("GET https://a.example/", "Host: b.example"),
            "Line 3 of the instruction: `Host` is written by",
        ),
        (block("GET https://a.example/", "content-length: 5"), "`content-length` is written by this server"),
        (block("GET https://a.example/", "Transfer-Encoding: chunked"), "`Transfer-Encoding` is written by"),
        (block("GET https://a.example/", "Connection: close"), "`Connection` is written by this server"),
        (
            block("GET https://a.example/", "Idempotency-Key: 1"),
            "`Idempotency-Key` is written by this server",
        ),
        (block("GET https://a.example/", "{name: string}: x"), "a header is a name without parameters"),
        (block("GET https://a.example/", "X Y: x"), "a header is a name without parameters"),
        (block("GET https://a.example/", "nothing"), "a header is a name without parameters"),
        (block("GET https://a.example/", "X: ä"), "a header's text is printable ASCII."),
        (
            block("GET https://a.example/", "X: {a: string[]}"),
            "`a` is a list, which cannot stand in a header.",
        ),
        (
            block("GET https://a.example/", "X: 1", "x: 2"),
            "Line 4 of the instruction: the header `x` is there",
        ),
        (
            block("GET https://a.example/", "", "body"),
            "Line 4 of the instruction: a GET request has no body.",
        ),
        (
            block("POST https://a.example/", "", '{"a": 1,', ' "b": }'),
            "Line 5 of the instruction: the body is not JSON here",
        ),
        (block("POST https://a.example/", "", '{"a": NaN}'), "`NaN` is no JSON"),
        (block("POST https://a.example/", "", '{"a": 1e999}'), "a number is too large"),
        (block("POST https://a.example/", "", '{"a": 1, "a": 2}'), "two members of one name"),
        (block("POST https://a.example/", "", '{"x{a: string}": 1}'), "not in the name of a member"),
        (block("POST https://a.example/", "", "{{a: string}: 1}"), "not in the name of a member"),
        (
            block("POST https://a.example/", "", '["x {a: string[]}"]'),
            "`a` is a list, which cannot stand in a JSON string",
        ),
        (
            block("POST https://a.example/", "", '["{secret}"]'),
            "`{secret}` may stand in the value of a header only",
        ),
        (block("POST https://a.example/", "", r'["\u007f0\u007f {a: string}"]'), "cannot hold NUL or DEL"),
        (block("POST https://a.example/", "", "[" * 70 + "]" * 70), "nested too deeply"),
        (block("POST https://a.example/", "", "[" * 30_000), "the body is"),
        (
            block("POST https://a.example/", "Content-Type: {a: string}", "", "x"),
            "no parameter may stand in the Content-Type",
        ),
        (
            block("POST https://a.example/", "Content-Type: text/xml", "", "<a>{a: string}</a>"),
            "not in `text/xml`",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence_that_says_where(text: str, said: str) -> None:
    message = refusal(text)

    assert said in message
    assert message.endswith(".")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "`city` is missing, and it is required."),
        ({"city": None}, "`city` is missing, and it is required."),
        ({"city": 5}, "`city` must be a string; it is an integer."),
        ({"city": ""}, "`city` stands in a path and may not be empty or only dots."),
        ({"city": ".."}, "`city` stands in a path and may not be empty or only dots."),
        ({"city": "a\x00"}, "`city` holds a NUL character or half of a surrogate pair."),
        ({"city": "\ud83d"}, "`city` holds a NUL character or half of a surrogate pair."),
        ({"city": "x", "unit": "k"}, '`unit` must be one of "c", "f".'),
        ({"city": "x", "days": "3"}, "`days` must be an integer; it is a string."),
        ({"city": "x", "days": True}, "`days` must be an integer; it is a boolean."),
        ({"city": "x", "days": 2.5}, "`days` must be an integer; it is a number."),
        ({"city": "x", "days": 10**30}, "`days` must be an integer; it is too large a number."),
        ({"city": "x", "trace": "a\r\nHost: b"}, "The header `X-Trace` takes printable ASCII on one line"),
        ({"city": "x", "trace": "ä"}, "The header `X-Trace` takes printable ASCII on one line"),
        ({"city": "x", "trace": "y" * 9_000}, "The header `X-Trace` takes printable ASCII on one line"),
        ({"city": "x" * 9_000}, "The URL becomes longer than 8192 bytes"),
        (
            {"city": "x", "where": 1},
            "There is no parameter `where`; the parameters are: `city`, `unit`, `days`, `trace`.",
        ),
        ({"city": "x", "secret": "mine"}, "There is no parameter `secret`"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_with_a_sentence_for_the_model(
    arguments: dict[str, Any], said: str
) -> None:
    assert said in complaint(fetch(WEATHER), arguments, plain("s"))


def test_numbers_are_taken_as_json_means_them() -> None:
    made = get("GET https://a.example/?i={i: integer}&n={n: number}")

    assert made.request({"i": 3.0, "n": 2}, None).url == "https://a.example/?i=3&n=2"
    assert "`n` must be a number; it is no finite number." in complaint(made, {"i": 1, "n": float("nan")})
    assert "`n` must be a number" in complaint(made, {"i": 1, "n": float("inf")})


def test_an_object_must_be_one_that_json_can_write() -> None:
    made = fetch(block("POST https://a.example/", "", '{"a": {a: object}}'))
    deep: dict[str, Any] = {}
    for _ in range(5_000):
        deep = {"a": deep}

    wrongs: list[Any] = [[], "{}", {"a": float("nan")}, {"a": "\ud800"}, {"a": 10**5_000}, deep]
    for wrong in wrongs:
        assert "`a` must be an object" in complaint(made, {"a": wrong})
    assert made.request({"a": {"b": [None, "ü"]}}, None).body == '{"a":{"b":[null,"ü"]}}'.encode()


def test_a_path_is_not_walked_up_with_the_help_of_its_own_text() -> None:
    assert "only dots" in complaint(get("GET https://a.example/x/.{a: string}/y"), {"a": "."})
    assert "only dots" in complaint(get("GET https://a.example/x/%2e{a: string}/y"), {"a": "."})
    assert (
        get("GET https://a.example/{a: string}").request({"a": "../b"}, None).url
        == "https://a.example/..%2Fb"
    )
    assert (
        get("GET https://a.example/{a: string}").request({"a": "%2e."}, None).url
        == "https://a.example/%252e."
    )


def test_a_secret_that_is_missing_or_that_no_header_carries_is_told_to_the_operator_not_shown() -> None:
    for secret in (None, "", "ab\nc", "ü"):
        with pytest.raises(ToolError) as caught:
            fetch(WEATHER).request({"city": "x"}, None if secret is None else plain(secret))
        assert type(caught.value) is ToolError
        assert "ab" not in caught.value.message.replace("ability", "")


def test_a_secret_is_sent_only_where_it_is_named_and_is_in_no_representation() -> None:
    assert fetch(NOTE).request({"author": "A"}, plain("s3cret")).secrets == ()
    assert not fetch(NOTE).needs_secret
    assert fetch(WEATHER).needs_secret
    sent = fetch(WEATHER).request({"city": "x"}, plain("s3cret"))
    assert "secrets" not in repr(sent)


@pytest.mark.parametrize("long", ["a" * 600_000, "€" * 200_000])
def test_an_argument_that_stands_in_many_places_is_bounded_by_all_of_them(long: str) -> None:
    said = "The arguments, wherever they stand, become longer than 1,000,000 bytes; give shorter ones."
    twice = '{"a": {a: string}, "b": ["{a} again"]}'
    made = fetch(block("POST https://a.example/", "", twice))
    assert complaint(made, {"a": long}) == said
    assert made.request({"a": "short"}, None).body == b'{"a":"short","b":["short again"]}'

    prompt = parse("```prompt\nOf {a: string}: {a}\n```")
    assert isinstance(prompt, Prompt)
    with pytest.raises(BadArguments) as caught:
        prompt.text({"a": long})
    assert caught.value.message == said
    assert len(prompt.text({"a": long[:100_000]})) == 2 * 100_000 + len("Of : ")


def test_a_prompt_becomes_no_longer_than_an_answer_may_be() -> None:
    prompt = parse("```prompt\nOf {a: string}\n```")
    assert isinstance(prompt, Prompt)

    with pytest.raises(BadArguments, match="The text becomes longer than 1,000,000 bytes"):
        prompt.text({"a": "\n" * 500_000})
    assert len(prompt.text({"a": "\n" * 499_000})) == 499_003
