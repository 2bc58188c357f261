"""Audio in: decoding, resampling, voice activity, end of turn."""
