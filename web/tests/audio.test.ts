import { describe, expect, it } from "vitest";
import { CHUNK_SAMPLES, Chunker } from "../src/audio/chunker";
import { decodePcm16, encodePcm16, loudness, toPcm16 } from "../src/audio/pcm";
import { Playlist } from "../src/audio/playlist";
import { Resampler } from "../src/audio/resample";

function tone(hz: number, rateHz: number, samples: number): Float32Array {
  return Float32Array.from({ length: samples }, (_, i) => Math.sin((2 * Math.PI * hz * i) / rateHz));
}

function inBlocks(samples: Float32Array, size: number): Float32Array[] {
  return Array.from({ length: Math.ceil(samples.length / size) }, (_, i) => samples.slice(i * size, (i + 1) * size));
}

function resampled(samples: Float32Array, from: number, to: number, block: number): Float32Array {
  const resampler = new Resampler(from, to);
  return Float32Array.from(inBlocks(samples, block).flatMap((part) => [...resampler.process(part)]));
}

/** Energy at a frequency against all of it, in decibels; by fitting a sine to the middle of the signal. */
function noiseBelow(samples: Float32Array, hz: number, rateHz: number): number {
  const middle = samples.slice(200, -200);
  let [s, c] = [0, 0];
  middle.forEach((x, i) => {
    s += x * Math.sin((2 * Math.PI * hz * i) / rateHz);
    c += x * Math.cos((2 * Math.PI * hz * i) / rateHz);
  });
  [s, c] = [(2 * s) / middle.length, (2 * c) / middle.length];
  const rest = middle.map((x, i) => x - s * Math.sin((2 * Math.PI * hz * i) / rateHz) - c * Math.cos((2 * Math.PI * hz * i) / rateHz));
  return 10 * Math.log10(energy(rest) / energy(middle));
}

const energy = (samples: Float32Array) => samples.reduce((sum, x) => sum + x * x, 0);

describe("the resampler", () => {
  it.each([
    [48_000, 1000],
    [44_100, 1000],
    [48_000, 9000],
    [16_000, 3000],
    [96_000, 440],
  ])("keeps a tone from %i Hz at %i Hz what it is", (from, hz) => {
    const output = resampled(tone(hz, from, from), from, 24_000, 128);
    expect(Math.abs(output.length - 24_000)).toBeLessThan(40);
    expect(noiseBelow(output, hz, 24_000)).toBeLessThan(-50);
    expect(Math.max(...output.slice(200, -200))).toBeCloseTo(1, 1);
  });

  it.each([13_500, 18_000, 22_000])("lets %i Hz, which would fold back, not through", (hz) => {
    const output = resampled(tone(hz, 48_000, 48_000), 48_000, 24_000, 128).slice(200, -200);
    expect(10 * Math.log10(energy(output) / output.length / 0.5)).toBeLessThan(-45);
  });

  it("does not care how the stream is cut", () => {
    const input = tone(700, 44_100, 20_000);
    const whole = resampled(input, 44_100, 24_000, input.length);
    for (const block of [1, 7, 128, 999]) expect(resampled(input, 44_100, 24_000, block)).toEqual(whole);
  });

  it("hands on what has the right rate already", () => {
    const input = tone(700, 24_000, 500);
    expect(resampled(input, 24_000, 24_000, 128)).toEqual(input);
  });
});

describe("chunks", () => {
  it("are 40 ms long and lose nothing", () => {
    const chunker = new Chunker(48_000);
    const chunks = inBlocks(tone(500, 48_000, 48_000), 128).flatMap((block) => chunker.push(block));
    expect(chunks.every((chunk) => chunk.samples.length === 960)).toBe(true);
    expect(chunks.length).toBe(24);
    expect(chunks[5]?.loudness).toBeGreaterThan(0.9);
    expect(CHUNK_SAMPLES).toBe(960);
  });
});

describe("samples on their way", () => {
  it("arrive as they were sent", () => {
    const samples = Float32Array.from([0, 0.5, -0.5, 0.999, -1, 1.5, -1.5]);
    const there = decodePcm16(encodePcm16(toPcm16(samples)));
    [0, 0.5, -0.5, 0.999, -1, 1, -1].forEach((sample, i) => expect(there[i]).toBeCloseTo(sample, 3));
  });

  it("may be many", () => {
    expect(decodePcm16(encodePcm16(new Int16Array(100_000).fill(-2)))).toHaveLength(100_000);
  });

  it("are as loud as they sound", () => {
    expect(loudness(new Float32Array(960))).toBe(0);
    expect(loudness(new Float32Array(0))).toBe(0);
    const quiet = loudness(tone(300, 24_000, 960).map((x) => x * 0.05));
    expect(quiet).toBeGreaterThan(0.2);
    expect(quiet).toBeLessThan(loudness(tone(300, 24_000, 960)));
  });
});

describe("what is to be played", () => {
  const block = (length: number, value: number) => new Float32Array(length).fill(value);
  const pull = (playlist: Playlist, length: number) => {
    const output = new Float32Array(length).fill(9);
    const began = playlist.pull(output);
    return { began, output: [...output] };
  };

  it("comes in order, and then there is silence", () => {
    const playlist = new Playlist();
    playlist.push("a", block(3, 1));
    playlist.push("a", block(2, 2));
    playlist.push("b", block(2, 3));
    expect(pull(playlist, 4)).toEqual({ began: ["a"], output: [1, 1, 1, 2] });
    expect(playlist.current).toMatchObject({ item: "a", played: 4, received: 5 });
    expect(pull(playlist, 4)).toEqual({ began: ["b"], output: [2, 3, 3, 0] });
    expect(playlist.current).toBeNull();
    expect(pull(playlist, 2)).toEqual({ began: [], output: [0, 0] });
  });

  it("goes on after a gap where it was", () => {
    const playlist = new Playlist();
    playlist.push("a", block(2, 1));
    pull(playlist, 4);
    playlist.push("a", block(2, 2));
    expect(pull(playlist, 1)).toEqual({ began: [], output: [2] });
    expect(playlist.stop()).toEqual([{ item: "a", played: 3, received: 4 }]);
  });

  it("stops at once, without a click, and knows what was heard of each", () => {
    const playlist = new Playlist();
    playlist.push("a", block(1000, 1));
    playlist.push("b", block(500, 1));
    pull(playlist, 300);
    expect(playlist.stop()).toEqual([
      { item: "a", played: 300, received: 1000 },
      { item: "b", played: 0, received: 500 },
    ]);
    const { output } = pull(playlist, 128);
    expect(output[0]).toBeLessThan(1);
    expect(output.slice(1).every((sample, i) => sample <= (output[i] as number))).toBe(true);
    expect(output.slice(96)).toEqual(new Array(32).fill(0));
    expect(playlist.stop()).toEqual([]);
  });

  it("has nothing to say of what was played to its end", () => {
    const playlist = new Playlist();
    playlist.push("a", block(10, 1));
    pull(playlist, 10);
    expect(playlist.stop()).toEqual([]);
  });
});
