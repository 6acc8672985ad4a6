"""What programs of 10x Genomics write: Space Ranger's folders and the matrices in them."""
