"""Programs that stand on their own, in a module: edited, saved and loaded, written as source, taken from others."""
