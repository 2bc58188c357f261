"""Speech synthesis: text is cut into clauses, made speakable, and spoken with the time of every word."""
