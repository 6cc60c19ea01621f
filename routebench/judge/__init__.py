"""Grade answers with a judge plugin, and measure how far judges agree."""
