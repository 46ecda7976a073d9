"""`call(..., as_=Type)` gives a value of that type, or an error that names the path and keeps the reply."""

from __future__ import annotations

import dataclasses
import enum
from datetime import date
from typing import Any, TypedDict

import msgspec
import pytest

import trunkline
from trunkline.core.reply import Reply
from trunkline.errors import CallError, ProtocolError
from trunkline.runtime.typed import check_type, convert_reply
from trunkline.testing import FakeServer

pytestmark = pytest.mark.anyio


class City(msgspec.Struct):
    name: str
    founded: date


@dataclasses.dataclass
class Town:
    name: str
    founded: date


class Village(TypedDict):
    name: str
    founded: date


class Color(enum.Enum):
    RED = "red"


class InvalidError(ValueError):
    """As pydantic's ValidationError looks."""

    def errors(self) -> list[dict[str, Any]]:
        return [{"loc": ("people", 0, "name"), "msg": "Field required"}]


class Model:
    """A model as pydantic makes them, as far as we look at it."""

    def __init__(self, name: str) -> None:
        self.name = name

    @classmethod
    def model_validate(cls, value: Any) -> Model:
        if not isinstance(value, dict) or "name" not in value:
            raise InvalidError("2 validation errors for Model")
        return cls(value["name"])


def reply(*texts: str, **members: Any) -> Reply:
    content = [{"type": "text", "text": text} for text in texts]
    return Reply(raw={"content": content, **members}, server="geo", tool="geo.city", call_id="c1")


ROME = {"name": "Rome", "founded": "2000-04-21"}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (City, City("Rome", date(2000, 4, 21))),
        (Town, Town("Rome", date(2000, 4, 21))),
        (Village, {"name": "Rome", "founded": date(2000, 4, 21)}),
        (dict[str, str], ROME),
        (dict, ROME),
        (Any, ROME),
    ],
)
@pytest.mark.parametrize("structured", [True, False])
def test_structured_content_or_json_text_becomes_the_type(
    wanted: Any, expected: Any, structured: bool
) -> None:
    text = msgspec.json.encode(ROME).decode()
    given = reply("see below", structuredContent=ROME) if structured else reply(text)
    assert convert_reply(given, wanted) == expected


@pytest.mark.parametrize(
    ("given", "wanted", "expected"),
    [
        (reply("5"), int, 5),
        (reply("5"), str, "5"),
        (reply("hello"), str, "hello"),
        (reply("hello"), str | None, "hello"),
        (reply("5"), str | None, "5"),
        (reply("red"), Color, Color.RED),
        (reply("2000-04-21"), date, date(2000, 4, 21)),
        (reply("text", structuredContent={"a": 1}), str, "text"),
        (reply("text", structuredContent="word"), str, "word"),
        (reply("5", structuredContent={"result": 5}), int, 5),
        (reply("", structuredContent={"result": [ROME]}), list[City], [City("Rome", date(2000, 4, 21))]),
        (reply("", structuredContent={"result": 5}), dict[str, int], {"result": 5}),
        (reply("", structuredContent=[1, 2]), tuple[int, ...], (1, 2)),
    ],
)
def test_text_and_wrapped_results_are_understood(given: Reply, wanted: Any, expected: Any) -> None:
    assert convert_reply(given, wanted) == expected


def test_pydantic_models_are_known_by_their_method_also_inside_generics() -> None:
    model = convert_reply(reply("", structuredContent={"name": "Rome"}), Model)
    assert isinstance(model, Model)
    (inner,) = convert_reply(reply("", structuredContent=[{"name": "Rome"}]), list[Model])
    assert inner.name == "Rome"


@pytest.mark.parametrize(
    ("given", "wanted", "path"),
    [
        (reply("", structuredContent={"name": 5, "founded": "2000-04-21"}), City, "`$.name`"),
        (reply('{"name": "Rome"}'), City, "`founded`"),
        (reply("", structuredContent={"result": [ROME, {"name": "x"}]}), list[City], "`$[1]`"),
        (reply("", structuredContent={}), Model, "`$.people[0].name`"),
        (reply("no JSON"), City, "got `str`"),
        (reply(), int, "got `str`"),
        (reply("1"), complex, "cannot become complex"),
    ],
)
def test_a_mismatch_names_the_path_and_keeps_the_reply(given: Reply, wanted: Any, path: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        convert_reply(given, wanted)
    error = caught.value
    assert (error.code, error.delivery, error.retryable) == ("unexpected_result", "answered", False)
    assert path in str(error)
    assert str(error).startswith("geo.city: ")
    assert (error.reply, error.call_id) == (given, "c1")


def test_a_failure_the_tool_reports_is_an_error_when_a_type_was_asked_for() -> None:
    given = reply("disk full", isError=True)
    for wanted in (City, str, Any):
        with pytest.raises(CallError, match="disk full") as caught:
            convert_reply(given, wanted)
        assert type(caught.value) is CallError
        assert (caught.value.code, caught.value.delivery) == ("tool_error", "answered")
        assert caught.value.reply is given


async def test_call_gives_the_value_and_refuses_a_hopeless_type_before_it_calls() -> None:
    geo = FakeServer("geo")
    geo.tool("city", returns=ROME)
    async with trunkline.connect({"geo": geo}) as trunk:
        assert await trunk.call("geo.city", as_=City) == City("Rome", date(2000, 4, 21))
        with pytest.raises(ProtocolError) as caught:
            await trunk.call("geo.city", as_=int)
        assert caught.value.reply.structured == ROME
        assert caught.value.elapsed is not None
        with pytest.raises(TypeError):
            await trunk.call("geo.city", as_=5)
    assert len(geo.calls) == 2


def test_types_are_checked_without_a_reply() -> None:
    for wanted in (City, Town, Village, Model, list[Model], int | str, Any):
        check_type(wanted)
    with pytest.raises(TypeError):
        check_type("City")


def test_real_pydantic_models_are_converted_and_their_errors_name_the_path() -> None:
    from pydantic import BaseModel

    class Person(BaseModel):
        name: str

    class Team(BaseModel):
        people: list[Person]

    team = convert_reply(reply("", structuredContent={"people": [{"name": "Ada"}]}), Team)
    assert team == Team(people=[Person(name="Ada")])
    people = convert_reply(reply("", structuredContent={"result": [{"name": "Ada"}]}), list[Person])
    assert people == [Person(name="Ada")]
    with pytest.raises(ProtocolError, match=r"`\$\.people\[0\]\.name`"):
        convert_reply(reply("", structuredContent={"people": [{}]}), Team)
    check_type(Team)
