"""Everything with meaning: graph, context ledger, routing of text, engines, voice."""
