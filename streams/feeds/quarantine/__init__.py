"""What feeds could not accept: kept whole, looked at, corrected, offered again or discarded."""
