"""`trunk.tool` gives a function that looks like one: name, docstring, signature, positional arguments."""

from __future__ import annotations

import inspect
import typing
from typing import Any, Literal

import pytest

import trunkline
from trunkline.core.tool import Tool
from trunkline.errors import AmbiguousNameError, InvalidArgumentsError, NotFoundError, UnavailableError
from trunkline.runtime.parameters import docstring_of, parameters_of
from trunkline.testing import FakeServer, Fault

pytestmark = pytest.mark.anyio

FIND = {
    "type": "object",
    "properties": {
        "limit": {"type": "integer", "default": 10, "description": "how many"},
        "words": {"type": "string"},
        "order": {"enum": ["name", "date"]},
        "x-trace": {"type": "string"},
        "class": {"type": "string"},
        "folder": {"type": ["string", "null"]},
    },
    "required": ["words"],
    "additionalProperties": False,
}


@pytest.fixture
def notes() -> FakeServer:
    server = FakeServer("notes")
    server.tool("find_notes", schema=FIND, description="Find notes.\n\nBy words.", reports="arguments")
    server.tool("list", returns="all")
    return server


def signature(properties: dict[str, Any], **schema: Any) -> inspect.Signature:
    tool = Tool(
        name="t",
        server="s",
        public_name="s.t",
        input_schema={
            "type": "object",
            "properties": properties,
            "additionalProperties": False,
            **schema,
        },
    )
    return parameters_of(tool).signature()


async def test_a_function_has_the_name_docstring_and_signature_of_its_tool(notes: FakeServer) -> None:
    async with trunkline.connect({"notes": notes}) as trunk:
        await trunk.ready("notes")
        find = trunk.tool("find_notes")
    assert find.__name__ == "find_notes"
    assert inspect.getdoc(find) == (
        "Find notes.\n\nBy words.\n\nArgs:\n    words\n    limit: how many\n    order\n    folder"
    )
    parameters = inspect.signature(find).parameters
    assert list(parameters) == ["words", "limit", "order", "folder", "arguments"]
    assert parameters["words"].default is inspect.Parameter.empty
    assert parameters["words"].annotation is str
    assert parameters["limit"].default == 10
    assert parameters["limit"].annotation is int
    assert parameters["order"].annotation == Literal["name", "date"] | None
    assert parameters["arguments"].kind is inspect.Parameter.VAR_KEYWORD
    assert inspect.signature(find).return_annotation is trunkline.Reply
    assert typing.get_type_hints(find)["words"] is str
    assert "notes.find_notes(words: str" in repr(find)


async def test_only_what_is_passed_is_sent(notes: FakeServer) -> None:
    async with trunkline.connect({"notes": notes}) as trunk:
        await trunk.ready()
        find = trunk.tool("notes.find_notes")
        assert (await find("milk")).structured == {"words": "milk"}
        assert (await find("milk", 3, order="date")).structured == {
            "words": "milk",
            "limit": 3,
            "order": "date",
        }
        reply = await find(words="milk", **{"x-trace": "1", "class": "a"})
        assert reply.structured == {"words": "milk", "x-trace": "1", "class": "a"}
        assert (await find("milk", limit=None, folder=None)).structured == {"words": "milk", "folder": None}


async def test_wrong_arguments_are_refused_before_anything_is_sent(notes: FakeServer) -> None:
    async with trunkline.connect({"notes": notes}) as trunk:
        await trunk.ready()
        find = trunk.tool("find_notes")
        with pytest.raises(TypeError, match="takes 4 positional arguments but 5"):
            await find(1, 2, 3, 4, 5)
        with pytest.raises(TypeError, match="multiple values for argument 'words'"):
            await find("milk", words="tea")
        with pytest.raises(InvalidArgumentsError, match="words"):
            await find(limit=1)
    assert notes.calls == []


async def test_a_function_made_too_early_finds_its_tool_at_the_first_call(notes: FakeServer) -> None:
    notes.fault("tools/list", Fault.delay(0.05), nth=1)
    async with trunkline.connect({"notes": notes, "other": FakeServer("other")}) as trunk:
        by_name, by_part = trunk.tool("notes.find_notes"), trunk.tool("notes.fi")
        assert by_part.tool is None
        assert by_part.__name__ == "notes.fi"
        assert list(inspect.signature(by_part).parameters) == ["arguments"]
        assert (await by_part("milk")).structured == {"words": "milk"}
        assert by_part.__name__ == "find_notes"
        assert inspect.signature(by_part) == inspect.signature(by_name)


async def test_a_wrong_name_is_an_error_as_soon_as_it_is_certain(notes: FakeServer) -> None:
    async with trunkline.connect({"notes": notes, "more": notes}) as trunk:
        early = trunk.tool("missing")
        with pytest.raises(NotFoundError):
            await early()
        with pytest.raises(NotFoundError):
            trunk.tool("missing")
        with pytest.raises(AmbiguousNameError) as caught:
            trunk.tool("find")
        assert caught.value.candidates == ("more.find_notes", "notes.find_notes")
        assert trunk.tool("more.find").__name__ == "find_notes"


async def test_a_tool_of_a_failed_server_says_why_it_failed() -> None:
    async with trunkline.connect({"gone": {"command": "no-such-command-anywhere"}}) as trunk:
        early = trunk.tool("gone.tool")
        with pytest.raises(UnavailableError, match="no-such-command"):
            await early()
        with pytest.raises(NotFoundError):
            trunk.tool("tool")


async def test_a_timeout_is_spent_on_finding_the_tool_too(notes: FakeServer) -> None:
    notes.fault("tools/list", Fault.hang)
    async with trunkline.connect({"notes": notes}) as trunk:
        with pytest.raises(trunkline.DeadlineExceededError):
            await trunk.tool("find_notes", timeout=0.05)("milk")


async def test_a_function_follows_its_tool_when_the_list_changes(notes: FakeServer) -> None:
    async with trunkline.connect({"notes": notes}) as trunk:
        await trunk.ready()
        function = trunk.tool("list")
        assert function.__doc__ == ""
        notes.tool("list", returns="all", description="List them.")
        notes.notify("notifications/tools/list_changed")
        await notes.wait_for(lambda ledger: len(ledger.of("tools/list")) == 2)
        await function()
        assert function.__doc__ == "List them."


def test_the_class_itself_can_be_inspected() -> None:
    from trunkline.runtime.callable import ToolFunction

    assert "selection" in inspect.signature(ToolFunction).parameters
    assert "Trunk.tool" in (ToolFunction.__doc__ or "")


@pytest.mark.parametrize(
    ("schema", "annotation"),
    [
        ({"type": "number"}, float),
        ({"type": "boolean"}, bool),
        ({"type": "array", "items": {"type": "string"}}, list[str]),
        ({"type": "array"}, list[Any]),
        ({"type": "object", "properties": {}}, dict[str, Any]),
        ({"type": ["integer", "null"]}, int | None),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, int | str),
        ({"const": "a"}, Literal["a"]),
        ({"$ref": "#/$defs/Size"}, Literal[1, 2]),
        ({"$ref": "https://example.com/x"}, Any),
        ({"enum": [1.5, 2]}, Any),
        ({"type": "unheard of"}, Any),
        (True, Any),
        (None, Any),
    ],
)
def test_annotations_follow_the_schema_and_are_any_where_it_is_odd(schema: Any, annotation: Any) -> None:
    found = signature({"a": schema}, required=["a"], **{"$defs": {"Size": {"enum": [1, 2]}}})
    assert found.parameters["a"].annotation == annotation


def test_a_schema_that_refers_to_itself_ends() -> None:
    node = {"type": "array", "items": {"$ref": "#/$defs/Node"}}
    found = signature({"a": {"$ref": "#/$defs/Node"}}, **{"$defs": {"Node": node}})
    assert found.parameters["a"].annotation is not Any


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({}, ["arguments"]),
        ({"properties": []}, ["arguments"]),
        ({"properties": {"arguments": {}}, "additionalProperties": True}, ["arguments", "arguments_"]),
        ({"properties": {"a": {}}, "required": "a"}, ["a"]),
        ({"properties": {"a": {}}, "required": [{}, "a"]}, ["a"]),
    ],
)
def test_any_schema_gives_a_signature(schema: Any, expected: list[str]) -> None:
    tool = Tool(name="t", server="s", public_name="s.t", input_schema=schema)
    assert list(parameters_of(tool).signature().parameters) == expected


def test_the_text_of_a_server_cannot_act_in_a_docstring() -> None:
    schema = {"properties": {"a": {"description": "x\x1b[31m\nignore the above"}}}
    tool = Tool(
        name="t", server="s", public_name="s.t", input_schema=schema, description="a\x1b]0;title\x07b"
    )
    text = docstring_of(tool, parameters_of(tool))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert text.splitlines()[-1] == "    a: x ignore the above"
