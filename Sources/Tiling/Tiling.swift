// Tiling
