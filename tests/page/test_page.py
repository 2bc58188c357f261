"""People at the page: real Chromium, real sockets, recorded speech; only the answers are given."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import threading

import numpy as np
import pytest
from langchain_core.tools import tool

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from axe_playwright_python.sync_playwright import Axe  # noqa: E402
from page_browser import (  # noqa: E402
    DESKTOP,
    PHONE,
    SPEAKER_RATE_HZ,
    heard_samples,
    write_camera,
    write_microphone,
)

expect = playwright.expect

STORY = (
    "Once upon a time there was a lighthouse at the edge of the sea, and its keeper counted every ship that "
    "passed. One night he counted a ship that had no lights, no sails and no crew."
)
TONE = 0.05
"""Of full scale; what is louder is the voice."""


def type_text(page, text):
    page.fill("#words", text)
    page.press("#words", "Enter")


def answers(page):
    return page.locator(".entry.answer .words")


def frames_of(page):
    """Collects the messages of every socket, both ways."""
    sent, received = [], []

    def opened(socket):
        socket.on("framesent", lambda payload: sent.append(json.loads(payload)))
        socket.on("framereceived", lambda payload: received.append(json.loads(payload)))

    page.on("websocket", opened)
    return sent, received


def of_type(events, kind):
    return [event for event in events if event["type"] == kind]


def check_access(page, state):
    """Nothing that axe finds keeps anybody out, and nothing is wider than the screen."""
    results = Axe().run(page)
    assert results.violations_count == 0, f"{state}: {results.generate_report()}"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{state} is too wide"


def wait_for_mood(page, mood, timeout_s=20):
    expect(page.locator("body")).to_have_attribute("data-mood", mood, timeout=timeout_s * 1000)


class TestTalking:
    def test_speech_in_captions_and_a_spoken_answer_out(
        self, chromium, serve, speech, tmp_path, keep_picture
    ):
        microphone = write_microphone(tmp_path / "m.wav", 0.5, speech("seven_of_clubs"), 60.0)
        call = {"call": "get_time", "arguments": {"place": "Tokyo"}}
        with (
            serve(call, {"say": "It is late in Tokyo."}, heard="What time is it in Tokyo?") as server,
            chromium.open(server.http, microphone=microphone) as page,
        ):
            sent, received = frames_of(page)
            expect(page.locator("#mood")).to_have_text("Not connected")
            page.click("#start")
            wait_for_mood(page, "hearing")
            expect(page.locator(".entry.user")).to_contain_text("Listening…")
            expect(page.locator(".entry.user .words")).to_have_text(
                "What time is it in Tokyo?", timeout=20_000
            )
            expect(answers(page)).to_contain_text("Tokyo")
            wait_for_mood(page, "speaking")
            keep_picture(page, "speaking")
            wait_for_mood(page, "listening")

            heard = np.abs(heard_samples(page)) > TONE
            spoken = [event["delta"] for event in of_type(received, "response.output_audio.delta")]
            audio = np.frombuffer(b"".join(map(base64.b64decode, spoken)), "<i2") / 32_768
            assert audio.size > SPEAKER_RATE_HZ / 2
            assert heard.sum() == pytest.approx((np.abs(audio) > TONE).sum(), rel=0.03)

            chunks = of_type(sent, "input_audio_buffer.append")
            assert {len(base64.b64decode(chunk["audio"])) for chunk in chunks} == {2 * 960}, "40 ms at 24 kHz"
            played = [event["played_ms"] for event in of_type(sent, "output_audio_buffer.played")]
            assert played == sorted(played) and played[-1] <= audio.size / SPEAKER_RATE_HZ * 1000

            card = page.locator(".entry.tool")
            expect(card).to_contain_text("get_time")
            expect(card).to_contain_text("place")
            expect(card).to_contain_text("Asia/Tokyo")
            expect(card.locator(".phase")).to_have_text("done")
            assert re.fullmatch(r"[\d,]+ of 32,768 tokens", page.inner_text("#meter-total"))
            assert int(page.inner_text("#meter-kinds .audio dd")) > 0
            strip = page.inner_text(".latency")
            assert re.search(r"\d\.\d\d s\s+pause \d\.\d\d s", strip), strip

    def test_an_interruption_stops_the_sound_and_greys_what_was_not_heard(
        self, chromium, serve, speech, tmp_path, keep_picture
    ):
        microphone = write_microphone(
            tmp_path / "m.wav", 0.5, speech("seven_of_clubs"), 5.0, speech("ten_of_clubs"), 60.0
        )
        with (
            serve({"say": STORY}, {"say": "Yes?"}, heard="Tell me a story.", turn__lead_ms=2_000) as server,
            chromium.open(server.http, microphone=microphone) as page,
        ):
            sent, received = frames_of(page)
            page.click("#start")
            expect(page.locator(".unheard")).to_be_visible(timeout=30_000)
            expect(answers(page).last).to_have_text("Yes?", timeout=20_000)
            wait_for_mood(page, "listening")
            keep_picture(page, "interrupted")

            (cut,) = of_type(sent, "conversation.item.truncate")
            (told,) = of_type(received, "conversation.item.retrieved")
            kept = told["item"]["content"][0]["transcript"]
            shown = page.locator(".entry.answer .words").first
            grey = page.locator(".unheard").inner_text().removeprefix("You did not hear:").strip()
            whole = shown.text_content().replace(" You did not hear: ", " ")
            assert 0 < len(kept) < len(STORY)
            assert STORY.startswith(kept)
            assert whole.split() == STORY.split()[: len(whole.split())]
            assert whole.split()[-len(grey.split()) :] == grey.split()
            assert kept.split() == whole.split()[: -len(grey.split())]

            # What reached the loudspeaker before the cut is what the page says was played, to a block or two.
            loud = np.flatnonzero(np.abs(heard_samples(page)) > TONE) / SPEAKER_RATE_HZ * 1000
            first = loud[0]
            story = loud[loud < first + cut["audio_end_ms"] + 300]
            assert story[-1] - first == pytest.approx(cut["audio_end_ms"], abs=140)

    def test_a_turn_ends_when_the_key_is_let_go(self, chromium, serve, speech, tmp_path, keep_picture):
        sounds = [part for _ in range(14) for part in (0.3, speech("ten_of_clubs"))]
        microphone = write_microphone(tmp_path / "m.wav", *sounds, 60.0)
        with (
            serve({"say": "I heard you."}, {"say": "I heard that as well."}, heard="Ten of clubs.") as server,
            chromium.open(server.http, microphone=microphone) as page,
        ):
            sent, _ = frames_of(page)
            page.check("input[value=push-to-talk]", force=True)
            page.click("#microphone")
            wait_for_mood(page, "ready")
            expect(page.locator("#microphone")).to_have_attribute("aria-label", "Hold to talk")
            assert not of_type(sent, "input_audio_buffer.append"), "nobody asked it to listen"
            expect(page.locator("#invitation")).to_contain_text("for as long as you speak")
            page.hover("#microphone")
            page.mouse.down()
            wait_for_mood(page, "hearing")
            page.wait_for_timeout(1_200)
            keep_picture(page, "push-to-talk")
            page.mouse.up()
            expect(answers(page)).to_have_text("I heard you.", timeout=20_000)
            expect(page.locator(".entry.user .words")).to_have_text("Ten of clubs.")
            assert [
                event["type"] for event in sent if "commit" in event["type"] or "response" in event["type"]
            ] == [
                "input_audio_buffer.commit",
                "response.create",
            ]
            page.mouse.down()
            page.mouse.up()
            expect(page.locator(".entry.note")).to_contain_text("Hold it for as long as you speak.")

            # Who cannot hold anything presses once to begin and once to end.
            page.focus("#microphone")
            page.keyboard.press("Enter")
            wait_for_mood(page, "hearing")
            page.wait_for_timeout(600)
            page.keyboard.press("Enter")
            expect(answers(page).last).to_have_text("I heard that as well.", timeout=20_000)

    def test_a_muted_microphone_is_not_sent(self, chromium, serve, speech, tmp_path):
        microphone = write_microphone(tmp_path / "m.wav", 60.0)
        with serve() as server, chromium.open(server.http, microphone=microphone) as page:
            sent, _ = frames_of(page)
            page.click("#start")
            wait_for_mood(page, "listening")
            page.click("#microphone")
            wait_for_mood(page, "muted")
            page.wait_for_timeout(100)
            count = len(of_type(sent, "input_audio_buffer.append"))
            page.wait_for_timeout(500)
            assert len(of_type(sent, "input_audio_buffer.append")) == count
            page.click("#microphone")
            wait_for_mood(page, "listening")


class TestTypingAndTools:
    def test_a_typed_question_is_answered_aloud(self, chromium, serve):
        with serve({"say": "Good evening to you."}) as server, chromium.open(server.http) as page:
            page.click("#start-typing")
            wait_for_mood(page, "ready")
            type_text(page, "Good evening")
            expect(answers(page)).to_have_text("Good evening to you.")
            expect(page.locator(".entry.user .words")).to_have_text("Good evening")
            expect(page.locator("#announcer")).to_contain_text("Hearsight: Good evening to you.")
            assert page.input_value("#words") == ""
            wait_for_mood(page, "ready")
            assert np.abs(heard_samples(page)).max() > TONE

    def test_the_answer_can_be_stopped(self, chromium, serve):
        with serve({"say": STORY}) as server, chromium.open(server.http) as page:
            sent, _ = frames_of(page)
            page.click("#start-typing")
            wait_for_mood(page, "ready")
            type_text(page, "A story, please")
            wait_for_mood(page, "speaking")
            page.wait_for_timeout(1_500)
            page.locator("#conversation").focus()
            page.keyboard.press("Escape")
            wait_for_mood(page, "ready")
            expect(page.locator(".unheard")).to_be_visible()
            (cut,) = of_type(sent, "conversation.item.truncate")
            assert 1_000 < cut["audio_end_ms"] < 6_000
            page.wait_for_timeout(600)
            length = heard_samples(page).size
            page.wait_for_timeout(600)
            assert np.abs(heard_samples(page)[length:]).max() == 0

    def test_a_tool_is_shown_while_it_runs(self, chromium, serve, keep_picture):
        done = threading.Event()

        @tool
        async def search_library(title: str, year: int) -> str:
            """Look for a book."""
            await asyncio.to_thread(done.wait, 20)
            return "Sense and Sensibility (1811), shelf 4, one copy at hand."

        call = {"call": "search_library", "arguments": {"title": "Sense and Sensibility", "year": 1811}}
        with serve(call, {"say": "It is on shelf four."}) as server:
            agent = server.service.agent
            agent.registry = agent.registry.with_tools([search_library])
            with chromium.open(server.http) as page:
                page.click("#start-typing")
                wait_for_mood(page, "ready")
                type_text(page, "Do you have Sense and Sensibility?")
                card = page.locator(".entry.tool")
                expect(card.locator(".phase")).to_have_text("running")
                expect(card).to_contain_text("Sense and Sensibility")
                wait_for_mood(page, "thinking")
                check_access(page, "tool-running")
                keep_picture(page, "tool-running")
                done.set()
                expect(card.locator(".phase")).to_have_text("done")
                expect(card).to_contain_text("shelf 4")
                expect(answers(page).last).to_have_text("It is on shelf four.")

    def test_a_failure_is_told_in_words(self, chromium, serve):
        with serve({"error": "The model has lost its thread."}) as server, chromium.open(server.http) as page:
            page.click("#start-typing")
            wait_for_mood(page, "ready")
            type_text(page, "Hello")
            expect(page.locator(".entry.note")).to_contain_text("The model has lost its thread.")
            wait_for_mood(page, "ready")


class TestTheCamera:
    def test_frames_that_were_seen_are_marked(self, chromium, serve, coffee, tmp_path, keep_picture):
        camera = write_camera(tmp_path / "c.mjpeg", coffee)
        with (
            serve({"say": "That is a cup of coffee on a red saucer."}) as server,
            chromium.open(server.http, camera=camera) as page,
        ):
            sent, _ = frames_of(page)
            page.click("#camera")
            expect(page.locator("#preview")).to_be_visible()
            expect(page.locator("#camera")).to_have_attribute("aria-pressed", "true")
            expect(page.locator("#frames li")).not_to_have_count(0)
            wait_for_mood(page, "ready")
            page.wait_for_timeout(1_500)
            type_text(page, "What do you see?")
            expect(page.locator(".entry.user .seen")).to_contain_text("It saw a picture")
            expect(page.locator("#frames li[data-seen]")).to_have_count(1)
            assert page.locator(".entry.user .seen img").count() == 1
            wait_for_mood(page, "ready")
            keep_picture(page, "camera")
            shots = of_type(sent, "input_image_buffer.append")
            assert {base64.b64decode(shot["image"])[:3] for shot in shots} == {b"\xff\xd8\xff"}
            times = [shot["timestamp_ms"] for shot in shots]
            assert (times[-1] - times[0]) / (len(times) - 1) >= 800, "about one a second"
            page.keyboard.press("Tab")
            page.click("#camera")
            expect(page.locator("#preview")).to_be_hidden()


class TestComingBack:
    def test_a_reload_goes_on_with_the_conversation(self, chromium, serve):
        with (
            serve({"say": STORY}, {"say": "He put out his own lamp."}) as server,
            chromium.open(server.http) as page,
        ):
            page.click("#start-typing")
            wait_for_mood(page, "ready")
            type_text(page, "A story, please")
            wait_for_mood(page, "speaking")
            page.wait_for_timeout(2_000)
            page.reload()
            expect(page.locator(".entry.user .words")).to_have_text("A story, please")
            expect(page.locator(".unheard")).to_contain_text("no crew.", timeout=20_000)
            assert "Once upon" not in page.inner_text(".unheard"), "what was heard is known"
            wait_for_mood(page, "ready")
            type_text(page, "And then?")
            expect(answers(page).last).to_have_text("He put out his own lamp.", timeout=20_000)
            assert server.call(lambda: len(server.server.sessions)) == 1
            assert "hearsight_sessions_resumed_total 1.0" in server.server.metrics.render().decode()

    def test_what_happens_during_a_reload_is_not_missed(self, chromium, serve):
        done = threading.Event()

        @tool
        async def search_library(title: str) -> str:
            """Look for a book."""
            await asyncio.to_thread(done.wait, 20)
            return "Shelf 4."

        call = {"call": "search_library", "arguments": {"title": "Emma"}}
        with serve(call, {"say": "It is on shelf four."}) as server:
            agent = server.service.agent
            agent.registry = agent.registry.with_tools([search_library])
            with chromium.open(server.http) as page:
                page.click("#start-typing")
                wait_for_mood(page, "ready")
                type_text(page, "Where is Emma?")
                expect(page.locator(".entry.tool .phase")).to_have_text("running")
                page.goto("about:blank")
                done.set()
                page.go_back()
                expect(page.locator(".entry.tool .phase")).to_have_text("done")
                expect(answers(page).last).to_have_text("It is on shelf four.")
                page.click("text=Sound on")
                expect(page.locator("#banner")).to_be_hidden()
                wait_for_mood(page, "ready")
                assert np.abs(heard_samples(page)).max() > TONE

    def test_a_server_that_comes_back_is_found_again(self, chromium, serve, keep_picture):
        with serve({"say": "I am here."}) as server:
            opening = chromium.open(server.http)
            page = opening.__enter__()
            page.click("#start-typing")
            wait_for_mood(page, "ready")
            type_text(page, "Are you there?")
            expect(answers(page)).to_have_text("I am here.")
            port = server.port
        try:
            expect(page.locator("#banner")).to_contain_text("The server is gone; reconnecting…")
            expect(page.locator("#mood")).to_have_text("Reconnecting")
            keep_picture(page, "reconnecting")
            with serve({"say": "I am back."}, port=port):
                wait_for_mood(page, "ready", 30)
                expect(page.locator("#banner")).to_be_hidden()
                expect(page.locator(".entry.note")).to_contain_text("no longer knows this conversation")
                type_text(page, "And now?")
                expect(answers(page).last).to_have_text("I am back.")
                expect(answers(page).first).to_have_text("I am here.")
        finally:
            opening.__exit__(None, None, None)

    def test_a_lost_line_is_picked_up_where_it_was(self, chromium, serve):
        with (
            serve({"say": "One."}, {"say": "Two."}) as server,
            chromium.open(server.http) as page,
        ):
            page.click("#start-typing")
            wait_for_mood(page, "ready")
            type_text(page, "Count")
            expect(answers(page)).to_have_text("One.")

            def cut():
                for live in server.server.sessions:
                    live._socket.end(1012, "The line is cut.")

            server.call(cut)
            expect(page.locator("#banner")).to_contain_text("reconnecting")
            wait_for_mood(page, "ready")
            expect(page.locator(".entry.note")).to_have_count(0)
            type_text(page, "Go on")
            expect(answers(page).last).to_have_text("Two.")

    def test_another_tab_takes_over(self, chromium, serve):
        with serve({"say": "Hello."}, {"say": "Hello again."}) as server, chromium.open(server.http) as page:
            page.click("#start-typing")
            wait_for_mood(page, "ready")
            type_text(page, "Hello")
            expect(answers(page)).to_have_text("Hello.")
            page.wait_for_timeout(700)  # for it to be kept
            with page.expect_popup() as popup:
                page.evaluate(
                    "window.open(location.href)"
                )  # a tab that is opened so starts with the same storage
            other = popup.value
            wait_for_mood(other, "ready")
            expect(page.locator("#banner")).to_contain_text("This conversation goes on in another tab.")
            type_text(other, "Still there?")
            expect(answers(other).last).to_have_text("Hello again.")

    def test_a_new_conversation_forgets_the_old_one(self, chromium, serve):
        with serve({"say": "Hello."}) as server, chromium.open(server.http) as page:
            page.click("#start-typing")
            wait_for_mood(page, "ready")
            type_text(page, "Hello")
            expect(answers(page)).to_have_text("Hello.")
            page.click("#restart")
            expect(page.locator(".entry")).to_have_count(0)
            expect(page.locator("#welcome")).to_be_visible()
            wait_for_mood(page, "ready")
            assert server.call(lambda: len(server.server.sessions)) == 1


class TestWhatCanGoWrong:
    def test_a_denied_permission_is_explained(self, chromium, serve, keep_picture):
        with serve({"say": "Hello."}) as server, chromium.open(server.http, allowed=False) as page:
            page.click("#start")
            expect(page.locator("#banner")).to_contain_text("does not let this page use the microphone")
            expect(page.locator("#banner-action")).to_have_text("Try again")
            check_access(page, "denied")
            keep_picture(page, "denied")
            page.click("#camera")
            expect(page.locator("#banner")).to_contain_text("does not let this page use the camera")
            type_text(page, "Hello")  # typing goes on
            expect(answers(page)).to_have_text("Hello.")

    def test_a_missing_microphone_is_explained(self, chromium, serve):
        with serve() as server, chromium.open(server.http, devices=False) as page:
            page.click("#start")
            expect(page.locator("#banner")).to_contain_text("No microphone was found")
            page.click("#camera")
            expect(page.locator("#banner")).to_contain_text("No camera was found")

    def test_an_insecure_address_is_explained(self, chromium, serve):
        rules = ["--host-resolver-rules=MAP hear.test 127.0.0.1"]
        with serve() as server:
            url = f"http://hear.test:{server.port}"
            with chromium.open(url, arguments=rules) as page:
                page.click("#start")
                expect(page.locator("#banner")).to_contain_text(f"this one comes from {url}")

    def test_a_name_that_the_server_does_not_know_is_explained(self, chromium, serve):
        rules = ["--host-resolver-rules=MAP hear.test 127.0.0.1"]
        with serve() as server, chromium.open(f"http://hear.test:{server.port}", arguments=rules) as page:
            page.click("#start-typing")
            expect(page.locator("#banner")).to_contain_text("not as “hear.test”")

    def test_a_key_is_asked_for_where_one_is_needed(self, chromium, serve, keep_picture):
        with (
            serve({"say": "Welcome."}, server__api_keys=["open-sesame"]) as server,
            chromium.open(server.http) as page,
        ):
            page.click("#start-typing")
            dialog = page.locator("#key-dialog")
            expect(dialog).to_be_visible()
            check_access(page, "key")
            keep_picture(page, "key")
            page.fill("#key", "wrong-key")
            page.click("#key-dialog button")
            expect(page.locator("#key-why")).to_have_text("The server does not accept this API key.")
            page.fill("#key", "zwei wörter")
            page.click("#key-dialog button")
            expect(page.locator("#key-why")).to_contain_text("Browsers cannot send this key")
            page.fill("#key", "open-sesame")
            page.click("#key-dialog button")
            wait_for_mood(page, "ready")
            type_text(page, "Hello")
            expect(answers(page)).to_have_text("Welcome.")
            page.reload()
            wait_for_mood(page, "ready")
            expect(dialog).to_be_hidden()

    def test_a_server_that_is_not_ready_says_why(self, chromium, serve):
        with serve() as server, chromium.open(server.http) as page:
            server.server.readiness.reason = "The language model is loading."
            page.click("#start-typing")
            expect(page.locator("#banner")).to_contain_text("The language model is loading. Trying again…")
            server.server.readiness.reason = None
            wait_for_mood(page, "ready")


class TestEverybody:
    def test_everything_can_be_reached_and_done_with_keys(self, chromium, serve):
        with serve({"say": "Hello."}) as server, chromium.open(server.http) as page:
            reached = set()
            for _ in range(20):
                page.keyboard.press("Tab")
                reached.add(page.evaluate("document.activeElement.id || document.activeElement.className"))
            wanted = {
                "skip",
                "theme",
                "open-settings",
                "start",
                "start-typing",
                "camera",
                "microphone",
                "words",
                "send",
            }
            assert wanted <= reached
            page.evaluate("document.activeElement.blur()")
            page.keyboard.press("?")
            expect(page.locator("#settings")).to_be_visible()
            page.keyboard.press("Escape")
            expect(page.locator("#settings")).to_be_hidden()
            page.evaluate("document.activeElement.blur()")
            page.keyboard.press("p")
            expect(page.locator("input[value=push-to-talk]")).to_be_checked()
            page.keyboard.press("p")
            page.keyboard.press("t")
            expect(page.locator("html")).to_have_attribute("data-theme", "dark")
            page.keyboard.press("Space")
            wait_for_mood(page, "listening")
            page.keyboard.press("Space")
            wait_for_mood(page, "muted")
            page.focus("#microphone")
            page.keyboard.press("Space")
            wait_for_mood(page, "listening")
            page.keyboard.press("/")
            page.keyboard.type("cp?")
            assert page.input_value("#words") == "cp?", "letters in the text field are text"
            page.keyboard.press("Enter")
            expect(answers(page)).to_have_text("Hello.")

    def test_the_keys_can_be_switched_off(self, chromium, serve):
        with serve() as server, chromium.open(server.http) as page:
            page.click("#open-settings")
            page.uncheck("#single-keys")
            page.click("#settings button")
            page.evaluate("document.activeElement.blur()")
            page.keyboard.press("t")
            expect(page.locator("html")).to_have_attribute("data-theme", "light")
            page.reload()
            page.click("#open-settings")
            expect(page.locator("#single-keys")).not_to_be_checked()

    def test_devices_can_be_chosen(self, chromium, serve):
        with serve() as server, chromium.open(server.http) as page:
            page.click("#start")
            wait_for_mood(page, "listening")
            page.click("#open-settings")
            expect(page.locator("#choose-microphone option")).not_to_have_count(1)
            page.select_option("#choose-microphone", index=1)
            chosen = page.input_value("#choose-microphone")
            page.click("#settings button")
            wait_for_mood(page, "listening")
            page.reload()
            kept = page.evaluate("JSON.parse(localStorage.hearsight).microphone")
            assert chosen and kept == chosen

    def test_little_moves_for_those_who_ask_for_that(self, chromium, serve):
        with serve({"say": STORY}) as server, chromium.open(server.http, reduced_motion="reduce") as page:
            page.click("#start-typing")
            wait_for_mood(page, "ready")
            type_text(page, "A story")
            wait_for_mood(page, "speaking")
            assert page.evaluate("document.getAnimations().length") == 0

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("device", ["desktop", "phone"])
    def test_nothing_keeps_anybody_out(self, chromium, serve, coffee, tmp_path, scheme, device, keep_picture):
        camera = write_camera(tmp_path / "c.mjpeg", coffee)
        viewport = DESKTOP if device == "desktop" else PHONE
        call = {"call": "get_time", "arguments": {"place": "Lisbon"}}
        steps = (call, {"say": STORY}, {"say": "As you like."})

        def check(page, state):
            check_access(page, state)
            keep_picture(page, f"{state}-{device}-{scheme}")

        with (
            serve(*steps) as server,
            chromium.open(
                server.http,
                camera=camera,
                viewport=viewport,
                color_scheme=scheme,
                has_touch=device == "phone",
            ) as page,
        ):
            check(page, "welcome")
            page.click("#camera")
            expect(page.locator("#frames li")).not_to_have_count(0)
            wait_for_mood(page, "ready")
            type_text(page, "What time is it in Lisbon?")
            expect(page.locator(".entry.tool .phase")).to_have_text("done")
            wait_for_mood(page, "ready")
            type_text(page, "Tell me a story")
            wait_for_mood(page, "speaking")
            page.wait_for_timeout(2_000)
            page.click("#stop")
            expect(page.locator(".unheard")).to_be_visible()
            check(page, "conversation")
            page.click("#open-settings")
            check(page, "settings")
