"""The pictures of the documents, made of a running product."""
