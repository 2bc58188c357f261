"""`hearsight serve` as a process of its own: it starts, answers, and ends when it is told to."""

import asyncio
import json
import os
import re
import signal
import socket
import ssl
import sys
from contextlib import asynccontextmanager
from http.client import HTTPConnection

import pytest
import websockets
from typer.testing import CliRunner

from hearsight.asking import Question, ask
from hearsight.cli import app

RUN = [sys.executable, "-c", "from hearsight.cli import main; main()"]


@pytest.fixture
def started(tmp_path):
    """A process that serves; gives it, its Realtime URL and the lines that it wrote so far."""

    @asynccontextmanager
    async def start(*arguments: str, **variables: str):
        environment = {
            **os.environ,
            "HEARSIGHT_TOOLS__MEMORY_PATH": str(tmp_path / "memory.sqlite"),
            "HEARSIGHT_CONVERSATIONS__PATH": str(tmp_path / "conversations.sqlite"),
            **variables,
        }
        process = await asyncio.create_subprocess_exec(
            *RUN, "serve", "--port", "0", *arguments, stderr=asyncio.subprocess.PIPE, env=environment
        )
        lines: list[str] = []
        try:
            url = await realtime_url(process, lines)
            yield process, url, lines
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    return start


async def realtime_url(process, lines: list[str]) -> str:
    """Wait for the greeting."""
    url = None
    async with asyncio.timeout(150):
        async for raw in process.stderr:
            lines.append(raw.decode().rstrip())
            if found := re.search(r"realtime +(wss?://\S+)", lines[-1]):
                url = found[1]
            if url and "try it" in lines[-1]:
                return url
    raise AssertionError("it did not start:\n" + "\n".join(lines))


async def ended(process, lines: list[str]) -> int:
    async with asyncio.timeout(20):
        async for raw in process.stderr:
            lines.append(raw.decode().rstrip())
        return await process.wait()


def flags(path) -> tuple[str, ...]:
    config = path.with_name("mine.toml")
    config.write_text(f"[engine]\nscript = {json.dumps(str(path))}\n[log]\nformat = 'json'\n")
    return "--engine", "scripted", "--config", str(config)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_answers_and_a_signal_drains_it(script, started, number):
    """Who is connected is told, and the process ends with status 0."""
    async with started(*flags(script({"say": "Hello there."}))) as (process, url, lines):
        assert (await ask(url, Question(text="Hi"))).text == "Hello there."
        async with websockets.connect(url) as client:
            assert json.loads(await client.recv())["type"] == "session.created"
            process.send_signal(number)
            told = json.loads(await client.recv())
            assert told["error"]["code"] == "server_draining"
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await client.recv()
        assert closed.value.rcvd.code == 1001
        assert await ended(process, lines) == 0
    assert not any("Traceback" in line for line in lines)
    logged = [json.loads(line) for line in lines if line.startswith("{")]
    assert {"listening", "session opened", "draining", "session ended"} <= {line["event"] for line in logged}
    assert all("session_id" in line for line in logged if line["event"].startswith("session "))


async def test_every_line_of_an_answer_bears_its_ids(script, started):
    """Of the session's no more than shows which one it is: the rest is what resumes it."""
    path = script({"call": "calculate", "arguments": {"expression": "17 * 23"}})
    variables = {"HEARSIGHT_LOG__LEVEL": "debug"}
    async with started(*flags(path), **variables) as (process, url, lines):
        await ask(url, Question(text="Hi"))
        process.send_signal(signal.SIGTERM)
        assert await ended(process, lines) == 0
    logged = [json.loads(line) for line in lines if line.startswith("{")]
    [opened] = [line for line in logged if line["event"] == "session opened"]
    [answer] = [line for line in logged if line["event"] == "answer ended"]
    assert answer["status"] == "completed" and len(answer["session_id"]) == len("sess_") + 8
    stages = [line for line in logged if line["event"] == "stage ended"]
    assert {"perceive", "think", "act", "tool", "voice", "speak"} <= {line["stage"] for line in stages}
    for line in [answer, *stages]:
        assert line["session_id"] == opened["session_id"], line
        assert line["response_id"] == answer["response_id"], line


async def test_health_and_readiness_are_on_the_same_port(script, started):
    async with started(*flags(script())) as (_, url, lines):
        port = int(url.split(":")[2].split("/")[0])

        def get(path: str) -> tuple[int, bytes]:
            connection = HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()

        assert (await asyncio.to_thread(get, "/healthz"))[0] == 200
        status, body = await asyncio.to_thread(get, "/readyz")
        assert (status, json.loads(body)["ready"], json.loads(body)["state"]) == (200, True, "ready")
        status, body = await asyncio.to_thread(get, "/metrics")
        assert status == 200 and b"hearsight_ready 1.0" in body
    greeting = "\n".join(line for line in lines if not line.startswith("{"))
    assert f"http://127.0.0.1:{port}/readyz" in greeting
    assert "the scripted engine took" in greeting
    assert "hearsight ask" in greeting


async def test_it_encrypts_and_says_what_to_trust(script, started, tmp_path):
    folder = tmp_path / "tls"
    variables = {"HEARSIGHT_SERVER__TLS_FOLDER": str(folder)}
    async with started("--tls", *flags(script({"say": "Hello."})), **variables) as (process, url, lines):
        assert url.startswith("wss://127.0.0.1:")
        greeting = "\n".join(lines)
        [trusted] = re.findall(r"trust +SSL_CERT_FILE=(\S+)", greeting)
        assert trusted == str(folder / "ca.pem")
        port = url.split(":")[2].split("/")[0]
        assert f"gemini    https://127.0.0.1:{port} " in greeting
        assert f"state     https://127.0.0.1:{port}/readyz" in greeting
        tls = ssl.create_default_context(cafile=trusted)
        for host in ("127.0.0.1", "localhost"):
            there = url.replace("127.0.0.1", host)
            async with websockets.connect(there, ssl=tls) as client:
                assert json.loads(await client.recv())["type"] == "session.created"
        assert (await ask(url, Question(text="Hi"), tls=tls)).text == "Hello."
        process.send_signal(signal.SIGTERM)
        assert await ended(process, lines) == 0


def test_a_certificate_that_is_missing_is_one_sentence(script, tmp_path):
    certificate = str(tmp_path / "cert.pem")
    result = serve_here(
        "--port",
        "0",
        *flags(script()),
        HEARSIGHT_SERVER__TLS_CERTIFICATE=certificate,
        HEARSIGHT_SERVER__TLS_KEY=certificate,
    )
    assert result.exit_code == 1
    [line] = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    assert line == f"error: The certificate {certificate} cannot be read: No such file or directory."


@pytest.mark.models
async def test_the_default_engine_starts_without_a_network_and_answers(started):
    """With every way out closed: the models are on this machine, and are all that it takes."""
    nowhere = "http://127.0.0.1:9"
    closed = {"PIP_NO_INDEX": "1", "HTTP_PROXY": nowhere, "HTTPS_PROXY": nowhere, "HF_HUB_OFFLINE": "1"}
    async with started("--offline", **closed) as (process, url, lines):
        reply = await ask(url, Question(text="What is 17 times 23?"))
        assert [call.name for call in reply.calls] == ["calculate"]
        assert "391" in reply.calls[0].output and "391" in reply.text
        assert reply.samples.size > 12_000
        process.send_signal(signal.SIGTERM)
        assert await ended(process, lines) == 0
    assert not any("Traceback" in line for line in lines)


def serve_here(*arguments: str, **variables: str):
    return CliRunner().invoke(app, ["serve", *arguments], env=variables)


@pytest.fixture
def taken_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_taken_port_is_one_sentence(script, taken_port):
    result = serve_here("--port", str(taken_port), *flags(script()))
    assert result.exit_code == 1
    [line] = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    assert line == (
        f"error: Cannot listen on 127.0.0.1 port {taken_port}: another program uses it. "
        "Choose another address with --host and --port, or stop what uses this one."
    )
    assert "Traceback" not in result.output and result.exc_info[0] is SystemExit


def test_an_address_of_another_machine_is_one_sentence(script):
    result = serve_here(
        "--host", "192.0.2.1", "--port", "0", *flags(script()), HEARSIGHT_SERVER__API_KEYS="secret"
    )
    assert result.exit_code == 1
    assert "error: Cannot listen on 192.0.2.1 port 0: this machine has no such address." in result.stderr


def test_a_script_that_is_missing_stops_the_server_that_listens_already(tmp_path):
    result = serve_here("--port", "0", *flags(tmp_path / "none.json"))
    assert result.exit_code == 2
    assert "none.json cannot be read" in result.stderr
    assert "listens" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "variables", "complaint"),
    [
        (["--port", "99999"], {}, "server.port = 99999 (from command line)"),
        (["--engine", "embeded"], {}, "did you mean embedded?"),
        (["--engine", "scripted"], {}, "needs a file of answers: set engine.script"),
        (["--host", "0.0.0.0"], {"HEARSIGHT_SERVER__KEYS_FILE": "none.json"}, "hearsight keys create NAME"),
        (["--preset", "turbo"], {}, "There is no preset 'turbo'"),
        (["--tls"], {"HEARSIGHT_SERVER__TLS_KEY": "k", "HEARSIGHT_SERVER__TLS_CERTIFICATE": "c"}, "only one"),
        ([], {"HEARSIGHT_SERVER__PROT": "1"}, "did you mean HEARSIGHT_SERVER__PORT?"),
        ([], {"HEARSIGHT_API_KEY": "x"}, "HEARSIGHT_API_KEY is not a setting"),
    ],
)
def test_a_wrong_setting_ends_with_status_2(arguments, variables, complaint):
    result = serve_here(*arguments, **variables)
    assert result.exit_code == 2
    assert complaint in result.stderr
    assert "Traceback" not in result.stderr


def test_an_unknown_key_of_the_file_ends_with_status_2(tmp_path):
    (tmp_path / "mine.toml").write_text("[server]\nprot = 1\n")
    result = serve_here("--config", str(tmp_path / "mine.toml"))
    assert result.exit_code == 2
    assert "server.prot" in result.stderr and "did you mean server.port?" in result.stderr


def test_offline_without_models_says_what_is_missing(script, tmp_path):
    result = serve_here("--offline", *flags(script()), HEARSIGHT_MODELS__CACHE_DIR=str(tmp_path / "empty"))
    assert result.exit_code == 1
    assert "silero-vad is not complete on this machine and models.offline forbids" in result.stderr
