"""When do means help? What replaces pruned units, and which moments of what is read from them it keeps."""
