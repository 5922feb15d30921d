"""Who the patient is outside the gateway: pseudonyms, the table that undoes them, and merges."""
