"""Everything with a clock: audio, camera, turn taking, the session, the server."""
