"""The whole assistant inside a program: typed questions, spoken answers, and a tool that asks before it acts.

Run ``python examples/assistant.py "Please empty the basket."`` and answer its questions in the terminal; an
empty line ends the conversation. The engine is that of the settings, ``embedded`` unless you chose another.
"""

from __future__ import annotations

import argparse
import asyncio

from hearsight import Assistant
from hearsight.user_events import AnswerEnded, Speech, ToolEnded, Words

BASKET = ["bread", "butter", "tea"]


async def talk(first: str) -> None:
    assistant = Assistant()

    @assistant.tool(side_effects=False)
    def list_basket() -> str:
        """Tell what is in the shopping basket."""
        return ", ".join(BASKET) or "The basket is empty."

    @assistant.tool(confirm="Shall I really empty the basket?")
    def empty_basket() -> str:
        """Empty the shopping basket."""
        BASKET.clear()
        return "The basket is empty."

    async with assistant:
        question = first
        while question:
            await assistant.send_text(question)
            await answer(assistant)
            question = (await asyncio.to_thread(input, "> ")).strip()


async def answer(assistant: Assistant) -> None:
    """Show one answer."""
    samples = 0
    async for event in assistant:
        match event:
            case Words():
                print(event.text, end="", flush=True)
            case Speech():
                samples += event.samples.size  # a program with a speaker plays them
            case ToolEnded():
                print(f"[{event.name} → {event.output}]")
            case AnswerEnded():
                print(f"\n[{samples / 24_000:.1f} s of speech, {event.status}]")
                return


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("question")
    asyncio.run(talk(parser.parse_args().question))
