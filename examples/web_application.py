"""A web application with the assistant inside: its own routes, and the protocols under /assistant.

Run it with `uvicorn web_application:app` (pip install 'hearsight[embedded]' starlette uvicorn), then connect:

    from openai import AsyncOpenAI
    client = AsyncOpenAI(base_url="http://127.0.0.1:8000/assistant/v1", api_key="unused")
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from hearsight import Hearsight

hearsight = Hearsight()


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """Loads the models when the application starts, and ends the conversations when it stops."""
    async with hearsight.running():
        yield


async def home(request: Request) -> PlainTextResponse:
    """A page of the application's own."""
    return PlainTextResponse("The assistant is at /assistant/v1/realtime.\n")


app = Starlette(routes=[Route("/", home), Mount("/assistant", hearsight)], lifespan=lifespan)
