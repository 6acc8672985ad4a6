"""What a slide is made of in an AnnData: its parts, its counts and genes, its spots' places, its small image."""
