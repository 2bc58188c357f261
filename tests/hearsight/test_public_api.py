"""What `from hearsight import …` gives, and what it costs."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import hearsight


@pytest.mark.parametrize("name", hearsight.__all__)
def test_a_public_name_is_what_its_own_module_calls_so(name):
    value = getattr(hearsight, name)
    assert getattr(importlib.import_module(value.__module__), name) is value
    assert value.__doc__
    assert name in dir(hearsight)


def test_type_checkers_see_the_same_names():
    tree = ast.parse(Path(hearsight.__file__).read_text())
    [checking] = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        alias.asname: node.module
        for node in checking.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == hearsight._HOMES
    assert set(seen) == set(hearsight.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'hearsight' has no attribute 'Hearsay'"):
        _ = hearsight.Hearsay


def test_importing_the_package_imports_nothing_of_it():
    code = "import sys, hearsight; sys.exit([m for m in sys.modules if m.startswith('hearsight.')] != [])"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_a_service_can_be_embedded_without_a_socket(script, scripted):
    from hearsight import open_service
    from hearsight.models_command import open_store
    from hearsight.streams.events import AddItem, CreateResponse, Item, ResponseEnded, TextContent, TextDelta

    settings = scripted(script({"say": "Hello from inside."}))
    async with open_service(settings, open_store(settings)) as service:
        runtime = service.new_runtime("sess_embedded")
        question = Item("item_1", "message", "user", (TextContent("Hello?"),))
        await runtime.receive(AddItem(question))
        await runtime.receive(CreateResponse())
        text = ""
        async for output in runtime.outputs():
            if isinstance(output, TextDelta):
                text += output.text
            if isinstance(output, ResponseEnded):
                assert output.status == "completed"
                break
        await runtime.close("done")
        await runtime.run()
    assert text == "Hello from inside."
