"""The HTTP server: OpenAI's protocol over a backbone, and grounded answers over an index.

The only package with pydantic and asyncio in it; `app.py` makes the application, `serve.py` runs
it.
"""
