"""Where models come from, each source a listing and a way to fetch one file of it."""
