"""Dead letters as an operator works on them: found, explained, and published again as they came."""
