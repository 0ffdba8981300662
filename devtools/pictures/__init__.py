"""The pictures of the documents, made of a product that really runs."""
