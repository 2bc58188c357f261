"""The nodes of the graph: plain functions from the state to what they change of it."""
