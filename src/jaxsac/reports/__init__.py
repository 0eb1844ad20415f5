"""From runs to an answer: what their seeds show, how sure it is, and whether they differ."""
