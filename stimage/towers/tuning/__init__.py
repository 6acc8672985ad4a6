"""What of an image encoder is tuned: all of it, its upper layers, or small matrices beside its own (LoRA)."""
