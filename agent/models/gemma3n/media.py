"""The media of one session: what its prompts name, encoded while more of it arrives."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Collection, Sequence
from contextlib import suppress
from itertools import groupby

import torch
from torch import Tensor

from hearsight.agent.models.gemma3n.adapter import Gemma3nAdapter
from hearsight.agent.models.gemma3n.embedding import Embedded
from hearsight.agent.models.gemma3n.prompt import AudioToken, PictureToken, Token
from hearsight.agent.models.gemma3n.utterance import Utterance
from hearsight.streams.camera.decode import Pixels, decode_picture
from hearsight.streams.errors import EngineError, InvalidPicture
from hearsight.streams.events import Detail, Picture, Samples

MAX_PICTURE_BYTES = 64 * 1024 * 1024
"""Encoded pictures that a session keeps, to look at them again; the oldest go first."""
ENCODE_SAMPLES = 16_000
"""Most samples that one step encodes: other sessions wait no longer than for a second of speech."""


class SessionMedia:
    """Implements ``prompt.Media``.

    What arrives is for the event loop's thread, ``retain`` and ``answered`` too, the rest for the worker's.

    Args:
        adapter: Encodes.
        sides_px: The side of a picture by the detail wanted.
    """

    def __init__(self, adapter: Gemma3nAdapter, sides_px: dict[Detail, int]) -> None:
        self._adapter = adapter
        self._sides_px = sides_px
        self._utterances: dict[str, Utterance] = {}
        self._pictures: OrderedDict[str, Picture] = OrderedDict()
        self._unencoded: list[str] = []
        self._shown_before: dict[str, tuple[str, ...]] = {}
        self._recent: list[str] = []
        """Pictures that came since the last answer."""
        self._foreseen: list[str] = []
        """Pictures that most likely come before the next words."""
        self._tentative: list[str] = []
        """Those that are held for no other reason."""
        self._over: deque[str] = deque()
        """Utterances that nothing more will come of, whose encoders can be freed."""
        self._current: str | None = None
        """The utterance that nothing has answered yet."""

    # --- what arrives -------------------------------------------------------------------------------------

    def hear(self, item_id: str, samples: Samples) -> None:
        """More of an utterance."""
        self._current = item_id
        if item_id not in self._utterances:
            self._utterances[item_id] = Utterance(item_id, self._adapter)
            self._shown_before[item_id] = tuple(self._recent)
            self._foreseen.clear()  # what came of it has been seen
        self._utterances[item_id].hear(samples)

    def see(self, picture: Picture) -> None:
        """A picture; the same one again is nothing new."""
        if picture.key not in self._recent:
            self._recent.append(picture.key)
        if picture.key in self._tentative:
            self._tentative.remove(picture.key)
        self.hold(picture)

    def foresee(self, pictures: Sequence[Picture]) -> None:
        """What would be seen if the user began to speak now; it replaces what was foreseen before."""
        keys = [picture.key for picture in pictures]
        for key in tuple(self._tentative):
            if key in self._unencoded and key not in keys:
                self._drop_picture(key)
        self._tentative = [key for key in keys if key in self._tentative or key not in self._pictures]
        self._foreseen = keys
        for picture in pictures:
            self.hold(picture)

    def hold(self, picture: Picture) -> None:
        """Keep a picture and have it encoded, whether or not it is shown to anybody."""
        if picture.key in self._pictures:
            self._pictures.move_to_end(picture.key)
            return
        self._pictures[picture.key] = picture
        self._unencoded.append(picture.key)
        while len(self._pictures) > 1 and self._picture_bytes() > MAX_PICTURE_BYTES:
            self._drop_picture(next(iter(self._pictures)))

    def forget(self, file_id: str) -> None:
        """Drop an utterance or a picture; an unknown one is no error."""
        self._utterances.pop(file_id, None)
        self._shown_before.pop(file_id, None)
        if self._current == file_id:
            self._current = None
        self._drop_picture(file_id)

    def retain(self, named: Collection[str]) -> None:
        """Free what a conversation that names these media, and all of them now, has no more use for."""
        for item_id in [held for held in self._utterances if held != self._current]:
            if item_id in named:
                self._over.append(item_id)
            else:
                self._utterances.pop(item_id)
                self._shown_before.pop(item_id, None)

    def answered(self) -> None:
        """What came so far belongs to the past."""
        self._recent.clear()
        self._current = None

    @property
    def listening(self) -> bool:
        """Whether an utterance has begun that nothing has answered yet."""
        return self._current is not None

    def samples(self, item_id: str) -> int:
        """How much was heard of an utterance."""
        utterance = self._utterances.get(item_id)
        return utterance.samples if utterance else 0

    def _picture_bytes(self) -> int:
        return sum(len(picture.data) for picture in self._pictures.values())

    def _drop_picture(self, key: str) -> None:
        self._pictures.pop(key, None)
        for keys in (self._unencoded, self._recent, self._foreseen, self._tentative):
            with suppress(ValueError):  # not in it, or taken out of it by the other thread
                keys.remove(key)

    # --- encoding -----------------------------------------------------------------------------------------

    @property
    def unseen(self) -> bool:
        """Whether pictures wait to be encoded."""
        return bool(self._unencoded)

    def step(self, *, pictures: bool = True) -> bool:
        """Encode a little of what waits; False when nothing does."""
        while self._over:
            if over := self._utterances.get(self._over.popleft()):
                over.settle()
        for utterance in list(self._utterances.values()):
            if utterance.waiting:
                utterance.encode(ENCODE_SAMPLES)
                return True
        if not pictures or not self._unencoded:
            return False
        with suppress(IndexError):  # the last one was taken away at this moment
            self.encode_picture(self._unencoded.pop(0))
        return True

    def end(self, item_id: str) -> None:
        """Take an utterance as over."""
        utterance = self._utterances.get(item_id)
        if utterance is not None:
            utterance.encode(utterance.samples)
            utterance.end()

    def encode_picture(self, key: str) -> Tensor | None:
        """The soft tokens of a picture; None when it is not held.

        Raises:
            EngineError: It cannot be decoded.
        """
        picture = self._pictures.get(key)
        if picture is None:
            return None
        side_px = self._sides_px[picture.detail]
        known = self._adapter.pictures.cached(key, side_px)
        return known if known is not None else self._adapter.pictures.encode(key, decode(picture), side_px)

    # --- what prompts ask for -----------------------------------------------------------------------------

    def clips(self, item_id: str) -> Sequence[Sequence[Token]] | None:
        """See ``prompt.Media``."""
        utterance = self._utterances.get(item_id)
        return None if utterance is None else [clip for clip in utterance.tokens() if clip] or None

    def open_clips(self, item_id: str) -> Sequence[Sequence[Token]] | None:
        """Like ``clips``, as far as more speech changes nothing."""
        utterance = self._utterances.get(item_id)
        return None if utterance is None else utterance.tokens(open_end=True)

    def picture(self, key: str) -> Sequence[Token] | None:
        """See ``prompt.Media``."""
        picture = self._pictures.get(key)
        if picture is None:
            return None
        side_px = self._sides_px[picture.detail]
        return [PictureToken(key, side_px, place) for place in range(self._adapter.pictures.tokens)]

    def shown_before(self, item_id: str) -> Sequence[str]:
        """See ``prompt.Media``."""
        return self._shown_before.get(item_id, ())

    def arriving(self, known: Collection[str]) -> list[tuple[str, bool]]:
        """The utterance being heard behind what was shown before it, as ``PromptBuilder.open`` wants them.

        While nobody speaks, it is what was foreseen.

        Args:
            known: File ids that messages name already; an utterance among them has arrived.
        """
        item_id = self._current
        if item_id is None:
            return [(key, True) for key in self._foreseen if key in self._pictures and key not in known]
        if item_id in known:
            return []
        shown = [key for key in self.shown_before(item_id) if key in self._pictures and key not in known]
        return [*((key, True) for key in shown), (item_id, False)]

    def embed(self, tokens: Sequence[Token]) -> Embedded:
        """Tokens as the decoder takes them.

        Raises:
            EngineError: A picture cannot be decoded.
        """
        runs = [self._embed_run(kind, list(run)) for kind, run in groupby(tokens, key=_run_key)]
        return Embedded(
            torch.cat([run.embeddings for run in runs]), torch.cat([run.per_layer for run in runs])
        )

    def _embed_run(self, key: object, run: list[Token]) -> Embedded:
        embedder = self._adapter.embedder
        if isinstance(run[0], int):
            return embedder.tokens([token for token in run if isinstance(token, int)])
        if isinstance(run[0], AudioToken):
            audio = [token for token in run if isinstance(token, AudioToken)]
            utterance = self._utterances.get(run[0].item_id)
            if utterance is None:
                raise EngineError("Speech was taken away while it was listened to.")
            return embedder.audio(utterance.soft(audio))
        if isinstance(run[0], PictureToken):
            soft = self.encode_picture(run[0].key)
            if soft is None:
                raise EngineError("A picture was taken away while it was looked at.")
            places = [token.place for token in run if isinstance(token, PictureToken)]
            return embedder.picture(soft[places])
        return embedder.audio_padding(len(run))


def _run_key(token: Token) -> object:
    """Equal for tokens that are embedded in one go."""
    if isinstance(token, AudioToken):
        return token.item_id
    if isinstance(token, PictureToken):
        return token.key, token.side_px
    return type(token)


def decode(picture: Picture) -> Pixels:
    """The pixels of a picture, BGR, upright and without transparency.

    Raises:
        EngineError: It cannot be decoded.
    """
    try:
        return decode_picture(picture.data, max_pixels=picture.width * picture.height).bgr
    except InvalidPicture as error:
        raise EngineError(error.message, code=error.code) from error
