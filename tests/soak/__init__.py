"""A million clicks on ten thousand cards, while the worker that counts them is killed again and again."""
