"""What a person does on the sign-in and consent pages, by their forms."""

from html.parser import HTMLParser
from urllib.parse import urljoin


class Forms(HTMLParser):
    """The forms of a page: action, and the fields with their values."""

    def __init__(self, text):
        super().__init__()
        self.forms = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "form":
            self.forms.append((attributes["action"], {}))
        elif tag in ("input", "button") and attributes.get("name") and self.forms:
            self.forms[-1][1].setdefault(attributes["name"], []).append(attributes.get("value", ""))


def walk(session, url, login, password, decision="accept"):
    """Signs in at url; gives the address that the browser is sent to."""
    answer = session.get(url, allow_redirects=False)
    for _ in range(4):
        if answer.is_redirect:
            return answer.headers["location"]
        action, fields = Forms(answer.text).forms[-1]
        data = {"flow": fields["flow"][0]}
        if "passwd" in fields and "role=\"alert\"" not in answer.text:
            data.update(step="password", login=login, passwd=password)
        elif "decision" in fields:
            data.update(step="consent", decision=decision)
        elif fields.get("step") == ["other"]:
            data.update(step="other")
        else:
            raise AssertionError(answer.text)
        answer = session.post(urljoin(url, action), data=data, allow_redirects=False)
    raise AssertionError("the sign-in did not end")
