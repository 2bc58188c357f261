"""Any server of OpenAI chat completions as an engine: how the service outgrows one machine."""
