"""Prints the reply fixtures of talon, planer and quotequail, one JSON object a line.

Usage: reply_cases.py SOURCES

Their tests say where the newest text ends. Their test functions run here with stand-ins for their libraries and test frameworks, which only
write down what is asked and what is expected: nothing of the libraries runs, and no fixture is copied.

client  whose fixture it is
name    the fixture
form    text, html or message
kind    new, reply or forward
source  the body, or the whole message
reply   what the newest text is, in the same form; none where `holds` is given
holds   a text in the newest text and one behind it
"""

import importlib.util
import json
import os
import sys
import types
from unittest import mock


def show(client, name, form, kind, source, reply=None, holds=None):
    print(json.dumps(dict(client=client, name=name, form=form, kind=kind, source=source, reply=reply, holds=holds)))


class Module(types.ModuleType):
    """A library that is not here: every name in it can be called and does nothing."""

    __path__ = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return mock.MagicMock()


def stand_in(name, **names):
    module = Module(name)
    module.__dict__.update(names, __all__=list(names))
    sys.modules[name] = module
    return module


def load(path, name, package=None):
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=[os.path.dirname(path)] if package else None)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


# Tests of talon that say nothing of where the newest text ends: they lower its limits or break its parser and expect the whole text back, or
# expect that a forward is not cut at all.
NO_SPLIT = {
    "test_too_many_lines",
    "test_too_large_html",
    "test_readable_html_empty",
    "test_dont_parse_quotations_for_forwarded_messages",
    "test_gmail_forwarded_msg",
    "test_standard_replies",
    "test_mark_message_lines",
    "test_process_marked_lines",
}


class Talon:
    """What talon's tests ask, and what they then compare the answer with."""

    def __init__(self):
        self.asked = None
        self.test = None
        self.seen = {}

    def ask(self, form):
        def extract(source, *_):
            source = source.decode("utf-8") if isinstance(source, bytes) else source
            self.asked = (form, source)
            return source

        return extract

    def compare(self, expected, _actual, *_):
        asked, self.asked = self.asked, None
        if asked is None or not isinstance(expected, str):
            return
        self.seen[self.test] = self.seen.get(self.test, 0) + 1
        count = self.seen[self.test]
        name = self.test if count == 1 else f"{self.test}-{count}"
        show(f"talon-{asked[0]}", name, asked[0], "reply", asked[1], expected)


def talon(folder):
    os.chdir(folder)
    state = Talon()
    ignore = lambda *_: None
    stand_in("nose")
    stand_in("nose.tools", eq_=state.compare, ok_=ignore, assert_false=ignore, assert_true=ignore, assert_equal=ignore, assert_not_in=ignore)
    stand_in("mock", Mock=mock.Mock, patch=mock.patch)
    stand_in("six", text_type=str)
    stand_in("six.moves", range=range, StringIO=None)
    stand_in("regex")
    quotations = Module("talon.quotations")
    quotations.extract_from_plain = state.ask("text")
    quotations.extract_from_html = state.ask("html")
    utils = Module("talon.utils")
    utils.html_to_text = lambda html: html.encode("utf-8")
    stand_in("talon", quotations=quotations, utils=utils, init=ignore)
    sys.modules.update({"talon.quotations": quotations, "talon.utils": utils})
    for name in ["", ".fixtures"]:
        load(f"tests{name.replace('.', '/')}/__init__.py", f"tests{name}", package=True)
    for name in ["text_quotations_test", "html_quotations_test"]:
        module = load(f"tests/{name}.py", f"tests.{name}")
        for test, function in list(vars(module).items()):
            if not test.startswith("test_") or test in NO_SPLIT:
                continue
            state.test, state.asked = test.removeprefix("test_"), None
            try:
                function()
            except (TypeError, AttributeError):
                # Tests of what the library does inside, which is not here.
                pass
    standard_replies("tests/fixtures/standard_replies")


def standard_replies(folder):
    for file in sorted(os.listdir(folder)):
        if file.endswith(".eml"):
            path = os.path.join(folder, file)
            reply = "Hello"
            if os.path.exists(path[:-4] + "_reply_text"):
                reply = open(path[:-4] + "_reply_text", encoding="utf-8").read()
            show("talon-standard", file[:-4], "message", "reply", open(path, encoding="utf-8", newline="").read(), reply)


def quotequail(folder):
    def parametrize(names, values):
        for number, row in enumerate(values, 1):
            quotequail_case(dict(zip(names, row)), number)
        return lambda function: function

    pytest = stand_in("pytest")
    pytest.mark = types.SimpleNamespace(parametrize=parametrize)
    stand_in("quotequail")
    stand_in("quotequail._internal")
    stand_in("quotequail._html")
    for name in ["test_quote", "test_quote_html", "test_unwrap", "test_unwrap_html"]:
        quotequail_case.file = name.removeprefix("test_")
        load(os.path.join(folder, "tests", f"{name}.py"), f"quotequail_{name}")


def quotequail_case(row, number):
    form = "html" if "html" in row else "text"
    if form not in row:
        return
    expected = row.get("expected_quote_intro_line", row["expected"])
    kind, reply = "reply", row[form]
    if isinstance(expected, list):
        kept = [part for is_new, part in expected if is_new]
        reply = "".join(kept) if any(not is_new for is_new, _ in expected) else row[form]
    elif expected is None:
        kind = "new"
    else:
        kind = expected["type"]
        reply, below = expected.get(f"{form}_top", ""), expected.get(f"{form}_bottom", "")
        # Text below the quote is an answer, but not below a forward, nor where it is the author's own signature.
        if kind != "forward" and not below.startswith("--"):
            reply += "\n" + below
    show(f"quotequail-{quotequail_case.file.replace('_', '-')}", str(number), form, kind, row[form], reply)


def planer(folder):
    """Its text cases are talon's; its own are three files, with a text from each side of the place."""
    for file, new, old in [
        ("microsoft-namespaces", "Lorem ipsum dolor sit amet", "Odio et pretium rutrum neque"),
        ("office-365", "I really hope that you're doing well!", "Do you like the holidays?"),
        ("outlook-mixed", "This is how it looks on my emails", "We'd love to set up a quick phone call with you"),
    ]:
        source = open(os.path.join(folder, "test/examples/html", f"{file}.html"), encoding="utf-8").read()
        show("planer", file, "html", "reply", source, holds=[new, old])


sources = os.path.abspath(sys.argv[1])
planer(os.path.join(sources, "planer-1.2.0"))
quotequail(os.path.join(sources, "quotequail-0.5.4"))
talon(os.path.join(sources, "talon-1.4.4"))
