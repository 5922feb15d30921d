"""The care team's pages: rendered here, whole without JavaScript, nothing loaded from elsewhere."""
