"""Telling the service's own voice, back from an open speaker, from somebody who speaks.

What comes back from a speaker is quieter, later and smeared by the room, but it rises and falls in the same
bands at the same time as what was played. So the last third of a second of the microphone, as energies in
bands, is compared with what was being played up to a second before. Echo correlates at 0.7 to 0.95 there, at
10 dB to 30 dB below the voice and in rooms that reverberate for 0.15 s to 0.4 s; somebody else at 0.4 to 0.6,
and so does somebody who speaks over the echo as soon as they are louder than it is. Whatever has just begun
to sound is like all else that has; so what is audible must be alike by itself, too.

It is no echo canceller: while the user is quieter than the echo, they are not heard. A client that can cancel
echo (a browser does) should.
"""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

from hearsight.streams.events import INPUT_RATE_HZ, OUTPUT_RATE_HZ, Samples

HOP = 256
WINDOW = 512
HOP_S = HOP / INPUT_RATE_HZ
BANDS = 24
LOWEST_HZ, HIGHEST_HZ = 150.0, 5_000.0
COMPARED = 20
"""Hops of the microphone that are compared: 320 ms."""
EARLIEST, LATEST = -8, 56
"""Hops by which the echo may be late, from -0.1 s, for clocks differ, to 0.9 s: speaker, room and network."""
THRESHOLD = 0.65
AUDIBLE = 0.35
"""Share of the loudest hop's energy from which a hop is audible."""
LOUDNESS = 0.3
"""Exponent of the energies: a quiet band counts for less than a loud one, but counts."""
REMEMBERED = 2_048
"""Hops of what is played that are kept: 33 s, of which most may lie ahead."""


def _band_matrix() -> NDArray[np.float32]:
    """Which of the 257 frequencies belong to which band; bands are equally wide in mel."""
    mel = 2595 * np.log10(1 + np.fft.rfftfreq(WINDOW, 1 / INPUT_RATE_HZ) / 700)
    low, high = (2595 * np.log10(1 + edge / 700) for edge in (LOWEST_HZ, HIGHEST_HZ))
    edges = np.linspace(low, high, BANDS + 1)
    widest = np.maximum(edges[1:], edges[:-1] + 45)  # a low band is narrower than a frequency's step
    matrix: NDArray[np.float32] = ((mel >= edges[:-1, None]) & (mel < widest[:, None])).T.astype(np.float32)
    return matrix


_BANDS = _band_matrix()
_TAPER = np.hanning(WINDOW).astype(np.float32)


class BandEnergies:
    """Loudness in bands over time, from audio as it comes."""

    def __init__(self) -> None:
        self._rest = np.zeros(WINDOW - HOP, np.float32)

    def feed(self, samples: Samples) -> NDArray[np.float32]:
        """Take more audio at 16 kHz.

        Returns:
            Shape (hops, 24), one row for each 16 ms that are complete.
        """
        audio = np.concatenate([self._rest, samples.astype(np.float32)])
        hops = max(0, (len(audio) - WINDOW) // HOP + 1)
        self._rest = audio[hops * HOP :]
        if not hops:
            return np.zeros((0, BANDS), np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(audio, WINDOW)[::HOP][:hops]
        spectrum = np.fft.rfft(windows * _TAPER, axis=1)
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        # Not `@`: see log_mel; the threads of a matrix product would spin beside the models.
        energies: NDArray[np.float32] = np.einsum("hf,fb->hb", power, _BANDS) ** np.float32(LOUDNESS)
        return energies


class EchoGuard:
    """Follows what one client plays and what its microphone hears."""

    def __init__(self) -> None:
        self._ends_at_s = -np.inf
        self._played = np.zeros((REMEMBERED, BANDS), np.float32)
        """What is played, hop by hop of the session's clock, as a ring."""
        self._newest = -1
        """The last hop in it."""
        self._playing = BandEnergies()
        self._resample = soxr.ResampleStream(OUTPUT_RATE_HZ, INPUT_RATE_HZ, 1, dtype="int16")
        self._heard = np.zeros((0, BANDS), np.float32)
        self._hearing = BandEnergies()
        self._samples = 0
        self._behind_s = np.inf
        """The clock less the audio clock: the least ever, for chunks come late and never early."""

    def play(self, samples: Samples, now: float) -> None:
        """Audio (24 kHz) is sent; it is played once all before it was.

        Args:
            samples: The audio.
            now: Seconds of the session's clock.
        """
        if now > self._ends_at_s + HOP_S:
            self._ends_at_s = now
        for row in self._playing.feed(self._resample.resample_chunk(samples)):
            self._put(int(self._ends_at_s / HOP_S), row)
            self._ends_at_s += HOP_S

    def stop(self, now: float) -> None:
        """The client throws away what it has not played, most likely: what comes next is played at once."""
        self._ends_at_s = min(self._ends_at_s, now)

    def hear(self, samples: Samples, now: float) -> None:
        """Take the next audio of the microphone (16 kHz).

        Args:
            samples: The audio.
            now: Seconds of the session's clock.
        """
        self._samples += samples.size
        behind_s = now - self._samples / INPUT_RATE_HZ
        if behind_s > self._behind_s + 1.0:
            self._behind_s = np.inf  # the microphone had been closed
        self._behind_s = min(self._behind_s, behind_s)
        self._heard = np.concatenate([self._heard, self._hearing.feed(samples)])[-COMPARED:]

    @property
    def is_echo(self) -> bool:
        """Whether what was heard last is the service's own voice; to be asked of what sounds like speech."""
        hop = int((self._samples / INPUT_RATE_HZ + self._behind_s) / HOP_S)
        if len(self._heard) < COMPARED or hop - LATEST > self._newest:
            return False
        return self._likeness(hop) > THRESHOLD

    def _put(self, hop: int, row: NDArray[np.float32]) -> None:
        for skipped in range(max(self._newest + 1, hop - REMEMBERED + 1), hop):
            self._played[skipped % REMEMBERED] = 0
        self._played[hop % REMEMBERED] = row
        self._newest = max(self._newest, hop)

    def _likeness(self, hop: int) -> float:
        """How like what was heard up to this hop is to what may be echoed in it, 1 at most."""
        hops = np.arange(hop - LATEST - COMPARED + 1, hop - EARLIEST + 1)
        played = self._played[hops % REMEMBERED]
        played[(hops > self._newest) | (hops <= self._newest - REMEMBERED)] = 0
        # shape (delays, hops, bands)
        compared = np.lib.stride_tricks.sliding_window_view(played, COMPARED, axis=0).transpose(0, 2, 1)
        levels = self._heard.mean(axis=1)
        audible = levels > AUDIBLE * levels.max()
        return min(_likeness(self._heard, compared), _likeness(self._heard[audible], compared[:, audible]))


def _likeness(heard: NDArray[np.float32], compared: NDArray[np.float32]) -> float:
    """The best correlation of shape (hops, bands) with any of shape (delays, hops, bands)."""
    heard = heard - heard.mean(axis=0)
    compared = compared - compared.mean(axis=1, keepdims=True)
    common = np.einsum("dhb,hb->d", compared, heard)
    power = np.einsum("dhb,dhb->d", compared, compared) * np.square(heard).sum()
    return float(np.max(common / np.sqrt(power + 1e-6)))
