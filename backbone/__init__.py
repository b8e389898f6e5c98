"""LFM2, embedded. Text in, text out; knows nothing of documents."""
