"""The joint model. Its files go to the Hub with each model, and import only one another, torch and transformers."""
