"""What a slide is made of in a SpatialData store: its table, its spots' places, its image and how these fit."""
