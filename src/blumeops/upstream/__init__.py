"""What the world has of the programs that a lab runs: registries of images, indexes of packages. Nothing is changed."""
