"""Talks with a running server: a question, spoken or typed, and a function that the model may call.

Start a server with ``hearsight serve``, then run ``python examples/client.py "Switch on the lamp, please."``,
or give a WAV file with a recorded question in place of the words.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

import numpy as np

from hearsight import Client
from hearsight.user_events import (
    AnswerEnded,
    FunctionCalled,
    Problem,
    Resumed,
    Speech,
    ToolEnded,
    Transcript,
    Words,
)
from hearsight.wav import read_wav, write_wav


async def talk(server: str, question: str, save: Path | None) -> None:
    client = Client(server, turns="client")

    @client.tool
    def set_lamp(on: bool) -> str:
        """Switch the lamp in the living room on or off.

        Args:
            on: Whether the lamp shall be on.
        """
        return "The lamp is on." if on else "The lamp is off."

    speech: list[np.ndarray] = []
    async with client:
        if question.endswith(".wav"):
            await client.send_audio(read_wav(Path(question), 24_000))
            await client.commit()
            await client.respond()
        else:
            await client.send_text(question)
        async for event in client:
            match event:
                case Transcript():
                    print(f"heard: {event.text}")
                case Words():
                    print(event.text, end="", flush=True)
                case Speech():
                    speech.append(event.samples)
                case FunctionCalled() | ToolEnded():
                    print(f"[{event.name} {event.arguments}]")
                case Problem() | Resumed():
                    print(f"[{event}]")
                case AnswerEnded(goes_on=False):
                    break
    print()
    if save is not None and speech:
        write_wav(save, np.concatenate(speech), 24_000)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("question", help="Words, or a WAV file.")
    parser.add_argument("--server", default="127.0.0.1:8765")
    parser.add_argument("--save", type=Path, help="Where to write the spoken answer, as WAV.")
    arguments = parser.parse_args()
    asyncio.run(talk(arguments.server, arguments.question, arguments.save))
