"""Fine-tuning two towers on spots with accelerate: settings, data, steps, checkpoints, what comes out."""
