"""How an alert reaches people: one adapter for each way, all of them safe to repeat."""
