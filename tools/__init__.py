"""Tools: what the assistant can do besides talk.

Built-in tools live one to a file and are collected in ``builtin``; ``registry`` runs them; ``client`` checks
the tools that a client brings along.
"""
