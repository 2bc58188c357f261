/** Changes the sample rate of a stream, block by block and without seams: a polyphase windowed sinc. */

const ZERO_CROSSINGS = 16;
/** Of the lower of the two Nyquist frequencies: what lies above would fold back into what is heard. */
const PASSBAND = 0.92;

export class Resampler {
  private readonly up: number;
  private readonly down: number;
  private readonly half: number;
  private readonly kernels: Float32Array[];
  private held: Float32Array;
  /** Position of the next output sample: whole input samples into `held`, and a fraction in 1/up. */
  private at: number;
  private phase = 0;

  constructor(fromHz: number, toHz: number) {
    const divisor = gcd(fromHz, toHz);
    this.up = toHz / divisor;
    this.down = fromHz / divisor;
    const cutoff = Math.min(1, toHz / fromHz) * PASSBAND;
    this.half = fromHz === toHz ? 0 : Math.ceil(ZERO_CROSSINGS / cutoff);
    this.kernels = Array.from({ length: this.up }, (_, phase) => kernel(phase / this.up, cutoff, this.half));
    this.held = new Float32Array(Math.max(0, this.half - 1));
    this.at = Math.max(0, this.half - 1);
  }

  process(input: Float32Array): Float32Array {
    if (this.half === 0) return input;
    const held = new Float32Array(this.held.length + input.length);
    held.set(this.held);
    held.set(input, this.held.length);
    const output: number[] = [];
    while (this.at + this.half < held.length) {
      const taps = this.kernels[this.phase] as Float32Array;
      let sum = 0;
      const first = this.at - this.half + 1;
      for (let k = 0; k < taps.length; k += 1) sum += (held[first + k] as number) * (taps[k] as number);
      output.push(sum);
      this.phase += this.down;
      this.at += Math.floor(this.phase / this.up);
      this.phase %= this.up;
    }
    const done = Math.max(0, Math.min(held.length, this.at - this.half + 1));
    this.held = held.slice(done);
    this.at -= done;
    return Float32Array.from(output);
  }
}

/** The taps for an output sample that lies `fraction` of an input sample after the middle of the filter. */
function kernel(fraction: number, cutoff: number, half: number): Float32Array {
  const taps = new Float32Array(2 * half);
  let sum = 0;
  for (let k = 0; k < taps.length; k += 1) {
    const x = k - half + 1 - fraction;
    const window = Math.abs(x) < half ? 0.5 + 0.5 * Math.cos((Math.PI * x) / half) : 0;
    const value = cutoff * sinc(cutoff * x) * window;
    taps[k] = value;
    sum += value;
  }
  return taps.map((tap) => tap / sum);
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}
