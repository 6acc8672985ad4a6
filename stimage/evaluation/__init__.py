"""What a trained model is worth: embeddings, probes, scores, prediction, retrieval, each as a stated protocol."""
