"""Charts of results and of the collection: bars, boxes, pies, and several models on one sheet."""
