"""How each pipeline is, judged by run, freshness, quality, drift and serving: a grade, a word, why, and what to do."""
