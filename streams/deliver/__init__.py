"""What becomes of an alert: to whom it goes, who answers, who is asked next."""
