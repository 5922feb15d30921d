"""What an alert policy would have meant: stored risk, decided again by the code that alerts."""
